{# What one load of a plane brings: four elements where planes are whole vectors, one elsewhere.
   Variables: vector. -#}
{% if vector %}
alias Lane = vec4<f32>;

fn across(lane: Lane) -> f32 {
    return (lane.x + lane.y) + (lane.z + lane.w);
}

fn first(lane: Lane) -> f32 {
    return lane.x;
}

fn least(lane: Lane) -> f32 {
    return min(min(lane.x, lane.y), min(lane.z, lane.w));
}

fn most(lane: Lane) -> f32 {
    return max(max(lane.x, lane.y), max(lane.z, lane.w));
}
{% else %}
alias Lane = f32;

fn across(lane: Lane) -> f32 {
    return lane;
}

fn first(lane: Lane) -> f32 {
    return lane;
}

fn least(lane: Lane) -> f32 {
    return lane;
}

fn most(lane: Lane) -> f32 {
    return lane;
}
{% endif %}
