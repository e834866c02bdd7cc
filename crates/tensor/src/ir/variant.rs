//! What distinguishes one compiled shader from another.

use super::{Kernel, Variable};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The extension of WGSL for cooperative matrices, as naga names it.
const MATRICES: &str = "wgpu_cooperative_matrix";

/// What distinguishes one compiled shader from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Variant {
    /// Path under `shaders/`, without `.wgsl`, or the name of a shader from elsewhere.
    pub shader: Cow<'static, str>,
    /// The template, if it comes from elsewhere ([`Kernel::wgsl`]).
    pub source: Option<Cow<'static, str>>,
    /// Template variables, sorted by name.
    pub variables: Vec<(Cow<'static, str>, Variable)>,
    /// The bindings that are f16 in memory.
    pub f16_bindings: Vec<usize>,
}

impl Variant {
    /// The variant that a kernel uses.
    pub fn of(kernel: &Kernel) -> Self {
        let variables = kernel.variables.iter().map(|(name, variable)| (Cow::Borrowed(*name), variable.clone()));
        Self {
            shader: kernel.shader.into(),
            source: kernel.source.map(Cow::Borrowed),
            variables: variables.collect(),
            f16_bindings: kernel.f16_bindings.clone(),
        }
    }

    fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, variable)| variable)
    }

    /// Whether it needs subgroup operations.
    pub fn uses_subgroups(&self) -> bool {
        self.variable("subgroups") == Some(&Variable::Flag(true))
    }

    /// The extensions of WGSL that it needs: those of values in f16, and of products with f16 operands, which their cores' names
    /// tell.
    pub fn extensions(&self) -> &'static [&'static str] {
        let core = match self.variable("core") {
            Some(Variable::Word(core)) => core.as_ref(),
            _ => "",
        };
        match core {
            "f16_tiles" => &["f16"],
            "f16_matrices" => &["f16", MATRICES],
            _ if !self.f16_bindings.is_empty() => &["f16"],
            _ => &[],
        }
    }

    /// Whether it works with cooperative matrices.
    pub fn uses_matrices(&self) -> bool {
        self.extensions().contains(&MATRICES)
    }
}

impl std::fmt::Display for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shader)?;
        for (name, variable) in &self.variables {
            match variable {
                Variable::Number(number) => write!(f, " {name}={number}")?,
                Variable::Flag(flag) => write!(f, " {name}={flag}")?,
                Variable::Word(word) => write!(f, " {name}={word}")?,
            }
        }
        if !self.f16_bindings.is_empty() {
            write!(f, " f16_bindings={:?}", self.f16_bindings)?;
        }
        Ok(())
    }
}
