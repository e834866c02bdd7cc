{# Whether bounds are renewed in this step: where the step calibrates, often in the beginning, when gradients change fast, then every
   `interval` steps. The kernel includes parts/step.wgsl, binds `control` and has `interval` in its Params. -#}
fn refresh_due() -> bool {
    let step = control[CONTROL_STEP];
    let often = (step < 16u) | ((step < 128u) & (step % 8u == 0u));
    return often | (step % p.interval == 0u) | ((control[CONTROL_FLAGS] & FLAG_CALIBRATES) != 0u);
}
