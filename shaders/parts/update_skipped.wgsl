{# Whether parameters stay as they are in this step. The kernel includes parts/step.wgsl and binds status, and control if gradients
   are summed.
   Variables: summed (gradients are summed over several batches). -#}
fn update_skipped() -> bool {
{% if summed %}
    return (status[STATUS_STOP] != 0u) | ((control[CONTROL_FLAGS] & FLAG_HOLD) != 0u);
{% else %}
    return status[STATUS_STOP] != 0u;
{% endif %}
}
