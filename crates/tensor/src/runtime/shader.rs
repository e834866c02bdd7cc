//! Shaders: templates under `shaders/`, embedded in the binary, expanded to plain WGSL.
//!
//! A template is WGSL with `{% if %}`, `{% for %}` and `{% include %}` for what WGSL cannot vary: unrolled blocks of
//! registers, kernel sizes, parts shared between kernels. Expansion needs no device, and a test expands every variant
//! that the plans of the shipped nets use and validates it with naga.

mod f16_bindings;

use super::GpuError;
use crate::codec::error_bounded;
use crate::ir::Variable;
pub use crate::ir::Variant;
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

impl Variant {
    /// Expands the template to plain WGSL.
    ///
    /// # Errors
    /// [`GpuError::Shader`] if there is no such template or it uses a variable that is not set.
    pub fn expand(&self) -> Result<String, GpuError> {
        let variables: BTreeMap<&str, minijinja::Value> = self
            .variables
            .iter()
            .map(|(name, variable)| {
                let value = match variable {
                    Variable::Number(number) => (*number).into(),
                    Variable::Flag(flag) => (*flag).into(),
                    Variable::Word(word) => word.as_ref().into(),
                };
                (name.as_ref(), value)
            })
            .collect();
        let text = match &self.source {
            Some(source) => TEMPLATES.render_named_str(&self.shader, source, variables),
            None => {
                let template = TEMPLATES.get_template(&format!("{}.wgsl", self.shader));
                template.and_then(|template| template.render(variables))
            }
        };
        // WGSL wants them before everything else.
        let enabled: String = self.extensions().iter().map(|extension| format!("enable {extension};\n")).collect();
        let refused = |reason: String| GpuError::Shader { shader: self.shader.to_string(), reason };
        let text = text.map_err(|e| refused(format!("{e:#}")))?;
        let text = f16_bindings::hold(text, &self.f16_bindings).map_err(refused)?;
        Ok(enabled + &text)
    }
}

/// Paths of all embedded templates.
pub fn files() -> impl Iterator<Item = String> {
    Files::iter().map(|path| path.into_owned())
}
