//! Shaders: templates under `shaders/`, embedded in the binary, expanded to plain WGSL.
//!
//! A template is WGSL with `{% if %}`, `{% for %}` and `{% include %}` for what WGSL cannot vary: unrolled blocks of
//! registers, kernel sizes, parts shared between kernels. Expansion needs no device, and a test expands every variant
//! that the plans of the shipped nets use and validates it with naga.

mod f16_bindings;

use super::GpuError;
use crate::codec::error_bounded;
use crate::ir::{Kernel, Variable};
use crate::step;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Object;
use minijinja::{AutoEscape, Environment, State, UndefinedBehavior};
use rust_embed::RustEmbed;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

#[derive(RustEmbed)]
#[folder = "../../shaders"]
struct Files;

/// Parts that are written from declarations in Rust.
const GENERATED: [(&str, &[step::Constant]); 2] =
    [("parts/step.wgsl", step::CONSTANTS), ("parts/controller_state.wgsl", error_bounded::word::CONSTANTS)];

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the default delimiters are valid"));
    environment.add_function("steps", || minijinja::Value::from_object(Steps::default()));
    environment.set_loader(|path| {
        if let Some((_, constants)) = GENERATED.iter().find(|(generated, _)| *generated == path) {
            return Ok(Some(step::wgsl(constants)));
        }
        let text = Files::get(path).map(|file| String::from_utf8_lossy(&file.data).into_owned());
        Ok(text)
    });
    environment
});

/// Names for values that unrolled code works out in steps, so that each step is a `let` instead of a variable written
/// again: compilers keep what they made of every such write for as long as a pipeline lives (Mesa's NIR: most of its memory).
///
/// In a template: `{% set sums = steps() %}`; `sums.now("a")` is the name of the newest value, at first `a` itself;
/// `sums.next("a")` names one more; `sums.all()` has each name with its newest value, for writing it back at the end.
#[derive(Debug, Default)]
struct Steps(Mutex<BTreeMap<String, usize>>);

impl Object for Steps {
    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        arguments: &[minijinja::Value],
    ) -> Result<minijinja::Value, minijinja::Error> {
        let mut steps = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let named = |name: &str, step: usize| if step == 0 { name.to_owned() } else { format!("{name}s{step}") };
        let name = arguments.first().and_then(minijinja::Value::as_str);
        match (method, name) {
            ("now", Some(name)) => Ok(named(name, steps.get(name).copied().unwrap_or(0)).into()),
            ("next", Some(name)) => {
                let step = steps.entry(name.to_owned()).or_default();
                *step += 1;
                Ok(named(name, *step).into())
            }
            ("all", None) => Ok(steps.iter().map(|(name, &step)| vec![name.clone(), named(name, step)]).collect()),
            _ => Err(minijinja::ErrorKind::UnknownMethod.into()),
        }
    }
}

/// The extension of WGSL for cooperative matrices, as naga names it.
const MATRICES: &str = "wgpu_cooperative_matrix";

/// What distinguishes one compiled shader from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    /// Path under `shaders/`, without `.wgsl`, or the name of a shader from elsewhere.
    pub shader: &'static str,
    /// The template, if it comes from elsewhere ([`Kernel::wgsl`]).
    pub source: Option<&'static str>,
    /// Template variables, sorted by name.
    pub variables: Vec<(&'static str, Variable)>,
    /// The bindings that are f16 in memory.
    pub f16_bindings: Vec<usize>,
}

impl Variant {
    /// The variant that a kernel uses.
    pub fn of(kernel: &Kernel) -> Self {
        let (variables, f16_bindings) = (kernel.variables.clone(), kernel.f16_bindings.clone());
        Self { shader: kernel.shader, source: kernel.source, variables, f16_bindings }
    }

    /// Whether it needs subgroup operations.
    pub fn uses_subgroups(&self) -> bool {
        self.variables.contains(&("subgroups", Variable::Flag(true)))
    }

    /// The extensions of WGSL that it needs: those of values in f16, and of products with f16 operands, which their cores' names
    /// tell.
    pub fn extensions(&self) -> &'static [&'static str] {
        let core = self.variables.iter().find(|(name, _)| *name == "core");
        match core {
            Some((_, Variable::Word("f16_tiles"))) => &["f16"],
            Some((_, Variable::Word("f16_matrices"))) => &["f16", MATRICES],
            _ if !self.f16_bindings.is_empty() => &["f16"],
            _ => &[],
        }
    }

    /// Whether it works with cooperative matrices.
    pub fn uses_matrices(&self) -> bool {
        self.extensions().contains(&MATRICES)
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
        let refused = |reason: String| GpuError::Shader { shader: self.shader.to_string(), reason };
        let text = template.and_then(|template| template.render(variables)).map_err(|e| refused(format!("{e:#}")))?;
        let text = f16_bindings::hold(text, &self.f16_bindings).map_err(refused)?;
        Ok(enabled + &text)
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
        if !self.f16_bindings.is_empty() {
            write!(f, " f16_bindings={:?}", self.f16_bindings)?;
        }
        Ok(())
    }
}

/// Paths of all embedded templates.
pub fn files() -> impl Iterator<Item = String> {
    Files::iter().map(|path| path.into_owned())
}
