//! Shaders: templates under `shaders/`, embedded in the binary, expanded to plain WGSL.
//!
//! A template is WGSL with `{% if %}`, `{% for %}` and `{% include %}` for what WGSL cannot vary: unrolled blocks of
//! registers, kernel sizes, parts shared between kernels. Expansion needs no device, and a test expands every variant
//! that the plans of the shipped nets use and validates it with naga.

use super::GpuError;
use crate::ops::{Kernel, Variable};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use rust_embed::RustEmbed;
use std::collections::BTreeMap;
use std::sync::LazyLock;

#[derive(RustEmbed)]
#[folder = "../../shaders"]
struct Files;

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the default delimiters are valid"));
    environment.set_loader(|path| {
        let text = Files::get(path).map(|file| String::from_utf8_lossy(&file.data).into_owned());
        Ok(text)
    });
    environment
});

/// What distinguishes one compiled shader from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    /// Path under `shaders/`, without `.wgsl`, or the name of a shader from elsewhere.
    pub shader: &'static str,
    /// The template, if it comes from elsewhere ([`Kernel::wgsl`]).
    pub source: Option<&'static str>,
    /// Template variables, sorted by name.
    pub variables: Vec<(&'static str, Variable)>,
}

impl Variant {
    /// The variant that a kernel uses.
    pub fn of(kernel: &Kernel) -> Self {
        Self { shader: kernel.shader, source: kernel.source, variables: kernel.variables.clone() }
    }

    /// Whether it needs subgroup operations.
    pub fn uses_subgroups(&self) -> bool {
        self.variables.contains(&("subgroups", Variable::Flag(true)))
    }

    /// The extensions of WGSL that it needs: those of products with f16 operands, which their cores' names tell.
    pub fn extensions(&self) -> &'static [&'static str] {
        let core = self.variables.iter().find(|(name, _)| *name == "core");
        match core {
            Some((_, Variable::Word("f16_tiles"))) => &["f16"],
            Some((_, Variable::Word("f16_matrices"))) => &["f16", "wgpu_cooperative_matrix"],
            _ => &[],
        }
    }

    /// Expands the template to plain WGSL.
    ///
    /// # Errors
    /// [`GpuError::Shader`] if there is no such template or it uses a variable that is not set.
    pub fn expand(&self) -> Result<String, GpuError> {
        let variables: BTreeMap<&str, minijinja::Value> = self
            .variables
            .iter()
            .map(|(name, variable)| {
                let value = match *variable {
                    Variable::Number(number) => number.into(),
                    Variable::Flag(flag) => flag.into(),
                    Variable::Word(word) => word.into(),
                };
                (*name, value)
            })
            .collect();
        let template = match self.source {
            Some(source) => TEMPLATES.template_from_named_str(self.shader, source),
            None => TEMPLATES.get_template(&format!("{}.wgsl", self.shader)),
        };
        // WGSL wants them before everything else.
        let enabled: String = self.extensions().iter().map(|extension| format!("enable {extension};\n")).collect();
        template
            .and_then(|template| template.render(variables))
            .map(|text| enabled + &text)
            .map_err(|error| GpuError::Shader { shader: self.shader.to_string(), reason: format!("{error:#}") })
    }
}

impl std::fmt::Display for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.shader)?;
        for (name, variable) in &self.variables {
            match variable {
                Variable::Number(number) => write!(f, " {name}={number}")?,
                Variable::Flag(flag) => write!(f, " {name}={flag}")?,
                Variable::Word(word) => write!(f, " {name}={word}")?,
            }
        }
        Ok(())
    }
}

/// Paths of all embedded templates.
pub fn files() -> impl Iterator<Item = String> {
    Files::iter().map(|path| path.into_owned())
}
