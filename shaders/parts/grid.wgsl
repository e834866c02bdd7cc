{# Grids are one-dimensional; more than 65,535 workgroups are folded into two. Callers check their bounds. -#}
fn group_index(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.x + group.y * groups.x;
}
