{# Whether parameters stay, and how often they have moved before: in steps that were skipped they did not. The kernel includes
   parts/step.wgsl and binds control and status.
   Variables: summed. -#}
{% include "parts/update_skipped.wgsl" %}

fn updates_before() -> u32 {
    return {{ "(control[CONTROL_FLAGS] >> UPDATES_SHIFT)" if summed else "control[CONTROL_STEP]" }} - status[STATUS_SKIPPED_STEPS];
}
