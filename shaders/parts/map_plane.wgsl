{# Visits each plane (the elements of one sample and channel) with what belongs to its channel in registers: no index is
   divided per element.

   The including kernel has `planes`, `size` (in lanes) and `channels` first in its Params, and defines
     struct Channel                                     what belongs to a channel
     fn channel_of(channel: u32) -> Channel             gathers it
     fn visit(channel: Channel, index: u32)             does lane `index` of all lanes
   Variables: vector, tiles. Dispatch: one workgroup for each plane, of 64 with tiles and of 8 without. -#}
{% set width = 64 if tiles else 8 %}
@compute @workgroup_size({{ width }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let plane = group_index(group, groups);
    if plane >= p.planes {
        return;
    }
    let channel = channel_of(plane % p.channels);
    let start = plane * p.size;
    let stop = start + p.size;
    var index = start + lane;
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
}
