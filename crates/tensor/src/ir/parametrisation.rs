//! How the parameters that layers ask for are made: as they are, frozen, or from other values.

use super::{Graph, GraphError, Init, Role, Shape, ValueId, matches};
use std::fmt;
use std::rc::Rc;

/// What a layer asks for.
#[derive(Clone, Debug)]
pub struct ParameterRequest {
    /// Its name in the layer, for example `weight`.
    pub name: String,
    /// Extents.
    pub shape: Shape,
    /// How it starts.
    pub init: Init,
}

/// A way to make parameters: a layer that asks for one reads what this returns, of the requested shape.
///
/// It may ask the graph for other parameters, which then come of the parametrisations around it, for constants and for
/// statistics, and apply operators to them: a product of two factors, a quantised or pruned weight.
pub trait Parametrisation: fmt::Debug {
    /// Makes what the layer reads.
    ///
    /// # Errors
    /// As [`Graph::persistent`] and [`Graph::apply`].
    fn parameter(&self, graph: &mut Graph, request: ParameterRequest) -> Result<ValueId, GraphError>;
}

/// Parameters that stay as they are: without gradients, without states of an optimiser. They are in checkpoints like others.
#[derive(Clone, Copy, Debug)]
pub struct Frozen;

impl Parametrisation for Frozen {
    fn parameter(&self, graph: &mut Graph, request: ParameterRequest) -> Result<ValueId, GraphError> {
        let first = graph.values().len();
        let value = graph.parameter(&request.name, request.shape, request.init)?;
        for index in first..graph.values().len() {
            let made = graph.value_mut(ValueId(index));
            made.frozen = made.role == Role::Parameter;
            made.needs_gradient = false;
        }
        Ok(value)
    }
}

impl Graph {
    /// Adds nodes whose parameters, as far as their full names fit the pattern (`*` for any text), are made by a parametrisation.
    /// Of several that fit, the innermost is asked, and what it asks for goes to those around it.
    pub fn parametrised<T>(
        &mut self,
        pattern: &str,
        parametrisation: impl Parametrisation + 'static,
        add: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.parametrisations.push((pattern.to_owned(), Rc::new(parametrisation)));
        let result = add(self);
        self.parametrisations.pop();
        result
    }

    /// Adds nodes whose parameters are [`Frozen`], for example a teacher beside a student.
    pub fn frozen<T>(&mut self, add: impl FnOnce(&mut Self) -> T) -> T {
        self.parametrised("*", Frozen, add)
    }

    /// What a net learns, under a name in the present layer. All layers ask for their parameters here, and get them from the
    /// [parametrisation](Graph::parametrised) in whose scope they are, if any.
    ///
    /// # Errors
    /// As [`Graph::persistent`], and those of the parametrisation.
    pub fn parameter(&mut self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<ValueId, GraphError> {
        let (path, shape) = (self.path(name), shape.into());
        let Some(place) = self.parametrisations.iter().rposition(|(pattern, _)| matches(pattern, &path)) else {
            return self.persistent(name, Role::Parameter, shape, super::Element::F32, init);
        };
        let inner = self.parametrisations.split_off(place);
        let request = ParameterRequest { name: name.to_owned(), shape: shape.clone(), init };
        let made = inner[0].1.parameter(self, request);
        self.parametrisations.extend(inner);
        let made = made?;
        if self.shape(made) != &shape {
            let (asked, made) = (shape, self.shape(made).clone());
            return Err(GraphError::Parametrisation { name: path, asked, made });
        }
        Ok(made)
    }
}
