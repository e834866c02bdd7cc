{# What a loss is multiplied by: a fixed weight, or the scalar in a word of the control upload; no word is 2^32 − 1.
   Variables: scheduled (whether the control upload is bound). -#}
fn loss_weight(fixed: f32, word: u32) -> f32 {
{% if scheduled %}
    if word != 0xffffffffu {
        return bitcast<f32>(control[word]);
    }
{% endif %}
    return fixed;
}
