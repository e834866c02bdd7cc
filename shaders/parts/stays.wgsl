{# Whether parameters stay as they are in this step. The kernel binds status, and control if gradients are summed.
   Variables: summed (gradients are summed over several batches: crates/tensor/src/ops/optimizer/recipe.rs has the bits). -#}
fn stays() -> bool {
{% if summed %}
    return (status[0] != 0u) | ((control[3] & 4u) != 0u);
{% else %}
    return status[0] != 0u;
{% endif %}
}
