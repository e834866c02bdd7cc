{# What one load of a plane brings: four elements where planes are whole vectors, one elsewhere.
   Variables: vector. -#}
{% if vector %}
alias Packet = vec4<f32>;

fn across(packet: Packet) -> f32 {
    return (packet.x + packet.y) + (packet.z + packet.w);
}

fn first(packet: Packet) -> f32 {
    return packet.x;
}

fn least(packet: Packet) -> f32 {
    return min(min(packet.x, packet.y), min(packet.z, packet.w));
}

fn most(packet: Packet) -> f32 {
    return max(max(packet.x, packet.y), max(packet.z, packet.w));
}
{% else %}
alias Packet = f32;

fn across(packet: Packet) -> f32 {
    return packet;
}

fn first(packet: Packet) -> f32 {
    return packet;
}

fn least(packet: Packet) -> f32 {
    return packet;
}

fn most(packet: Packet) -> f32 {
    return packet;
}
{% endif %}
