{# Visits each plane (the elements of one sample and channel) with what belongs to its channel in registers: no index is
   divided per element. A workgroup does the planes of one channel in `run` samples, so that it is asked for less often where planes
   are small.

   The including kernel has `planes`, `size` (in lanes), `channels` and `run` first in its Params, and defines
     struct Channel                                     what belongs to a channel
     fn channel_of(channel: u32) -> Channel             gathers it
     fn visit(channel: Channel, index: u32)             does lane `index` of all lanes
   Variables: vector, tiles, several (run is not 1). Dispatch: channels × ⌈samples / run⌉ workgroups, of 64 with tiles and of 8 without. -#}
{% set width = 64 if tiles else 8 %}
@compute @workgroup_size({{ width }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let share = group_index(group, groups);
    let c = share % p.channels;
{% if several %}
    let first = share / p.channels * p.run * p.channels + c;
    let last = min(first + p.run * p.channels, p.planes);
{% else %}
    let first = share;
{% endif %}
    if first >= p.planes {
        return;
    }
    let channel = channel_of(c);
    {# A loop around the one below slows it down by a tenth on llvmpipe, even if it turns once. -#}
    {{ "for (var plane = first; plane < last; plane += p.channels)" if several else "let plane = first;" }}
    {{ "{" if several }}
        let stop = (plane + 1u) * p.size;
        var index = plane * p.size + lane;
{% if not tiles %}
        // Several loads in flight at a time.
        for (; index + {{ 3 * width }}u < stop; index += {{ 4 * width }}u) {
            visit(channel, index);
            visit(channel, index + {{ width }}u);
            visit(channel, index + {{ 2 * width }}u);
            visit(channel, index + {{ 3 * width }}u);
        }
{% endif %}
        for (; index < stop; index += {{ width }}u) {
            visit(channel, index);
        }
    {{ "}" if several }}
}
