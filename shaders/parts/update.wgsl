{# Whether parameters stay, and how often they have moved before: in steps that were skipped (status[1]) they did not. The kernel
   binds control and status.
   Variables: summed. -#}
{% include "parts/stays.wgsl" %}

fn updates_before() -> u32 {
    return {{ "(control[3] >> 8u)" if summed else "control[0]" }} - status[1];
}
