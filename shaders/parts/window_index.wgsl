{# Places in pooling windows, packed as crates/tensor/src/ops/pool/window_index.rs has it: digits of words to the base PLACES,
   the first the lowest.
   Variables: places, per_word; bits of a digit if places is a power of two, else 0. -#}
const PLACES = {{ places }}u;
const PER_WORD = {{ per_word }}u;

// The word without its digits below this one.
fn digits_from(word: u32, digit: u32) -> u32 {
{% if bits %}
    return word >> ({{ bits }}u * digit);
{% else %}
    // Divided by PLACES^digit, factor by factor: constants divide faster.
    var rest = word;
{% for power in [1, 2, 4, 8, 16] if power < per_word %}
    rest = select(rest, rest / {{ places ** power }}u, (digit & {{ power }}u) != 0u);
{% endfor %}
    return rest;
{% endif %}
}

fn place_in(word: u32, digit: u32) -> u32 {
    return digits_from(word, digit) % PLACES;
}
