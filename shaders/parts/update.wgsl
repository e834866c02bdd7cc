{# Whether parameters move in this step, and how often they have moved before. The kernel binds control and status.
   Variables: summed (gradients are summed over several batches: crates/tensor/src/ops/optimizer/recipe.rs has the bits). -#}
fn stays() -> bool {
{% if summed %}
    return (status[0] != 0u) | ((control[3] & 4u) != 0u);
{% else %}
    return status[0] != 0u;
{% endif %}
}

fn updates_before() -> u32 {
    return {{ "control[3] >> 8u" if summed else "control[0]" }};
}
