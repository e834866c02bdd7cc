//! The kernel of y, with what comes behind the norm in its pass.

use super::{INPUTS, with_output};
use crate::ir::{Kernel, KernelContext};
use crate::ops::{epilogue::Epilogue, launch};

/// The kernel of y, its inputs those of the norm that are named: by running statistics or the batch's.
pub(super) fn normalize_then(
    epilogue: Epilogue,
    context: &KernelContext,
    epsilon: Option<f32>,
    bind: impl FnOnce(Kernel) -> Kernel,
) -> Kernel {
    let kernel = epilogue.function(normalize(context, epsilon, epilogue.add));
    let kernel = bind(kernel.variable("recompute", false)).inputs(epilogue.add.then_some(INPUTS));
    with_output(kernel, context)
}

/// The kernel of y, begun.
pub(super) fn normalize(context: &KernelContext, epsilon: Option<f32>, add: bool) -> Kernel {
    let kernel = launch::map_planes("ops/batch_norm/normalize", context)
        .variable("running", epsilon.is_some())
        .variable("add", add);
    kernel.parameters(epsilon)
}
