{# Whether bounds are renewed in this step: in a probe (a bit of the last control word), often in the beginning, when gradients
   change fast, then every `interval` steps. The kernel binds `control` and has `interval` in its Params. -#}
fn due() -> bool {
    let step = control[0];
    let often = (step < 16u) | ((step < 128u) & (step % 8u == 0u));
    return often | (step % p.interval == 0u) | ((control[3] & 1u) != 0u);
}
