//! What an update of all parameters consists of.

use super::average::Average;
use super::gradients::{Accumulate, Factor, SquareSum};
use super::scale::{Check, LossScale, Move};
use super::{Optimizer, StateForm, Update, moments};
use crate::ir::{Element, GradientAverage, Graph, GraphError, Init, ParameterUpdate, Role, Shape, Value, ValueId};
use crate::step::LEARNING_RATE;
use std::collections::HashMap;

/// How parameters move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateConfig {
    /// By which rule.
    pub optimizer: Optimizer,
    /// The largest norm of all gradients together; larger ones are scaled down to it.
    pub clip_norm: Option<f32>,
    /// Whether gradients are summed over several batches before parameters move. The flags then say which batch of a step this is
    /// ([`crate::step::FLAG_FIRST`], [`crate::step::FLAG_HOLD`], [`crate::step::updates_before`]). A step gives the gradients that one batch of all
    /// their samples would have given, up to rounding, unless the net normalises batches.
    pub accumulate: bool,
    /// The decay of an average of each parameter, kept under the parameter's name and [`UpdateConfig::AVERAGE`].
    pub average: Option<f64>,
    /// What gradients are multiplied by on their way back, so that f16 holds them. They have to be those of a pass that began
    /// with it ([`Graph::loss_scale`]).
    pub loss_scale: Option<LossScale>,
    /// In which form the optimiser keeps its state. Sums and averages are f32 in any case.
    pub state: StateForm,
}

impl From<Optimizer> for UpdateConfig {
    fn from(optimizer: Optimizer) -> Self {
        Self { optimizer, clip_norm: None, accumulate: false, average: None, loss_scale: None, state: StateForm::F32 }
    }
}

impl UpdateConfig {
    /// What the name of a parameter's average ends in.
    pub const AVERAGE: &'static str = ".average";
}

impl Graph {
    /// Appends the update of every parameter that has a gradient, and [`Graph::add_deferred_updates`]s. `loss` is whose mean the gradients are
    /// of, and has counted the samples.
    ///
    /// # Errors
    /// [`GraphError::NameTaken`] if a parameter's state exists already, [`GraphError::Shape`] if a setting makes no sense.
    pub fn train(
        &mut self,
        update: impl Into<UpdateConfig>,
        loss: ValueId,
        gradients: &HashMap<ValueId, ValueId>,
    ) -> Result<(), GraphError> {
        self.move_parameters(update.into(), Some(loss), gradients)
    }

    /// [`Graph::train`] by an optimiser alone, which needs no loss.
    ///
    /// # Errors
    /// As [`Graph::train`].
    pub fn update(&mut self, optimizer: Optimizer, gradients: &HashMap<ValueId, ValueId>) -> Result<(), GraphError> {
        self.move_parameters(optimizer.into(), None, gradients)
    }

    fn move_parameters(
        &mut self,
        update: UpdateConfig,
        loss: Option<ValueId>,
        gradients: &HashMap<ValueId, ValueId>,
    ) -> Result<(), GraphError> {
        let UpdateConfig { optimizer, clip_norm, accumulate, average, loss_scale, state: form } = update;
        let summed_by = loss.filter(|_| accumulate);
        let summed = summed_by.is_some();
        let learning_rate = self.scalar(LEARNING_RATE);
        let (control, status) = (learning_rate.control, self.status()?);
        let scale = loss_scale.map(|setting| self.loss_scale(setting)).transpose()?;
        let parameters = self.parameters().map(|(id, value)| (id, value.clone()));
        let trained: Vec<(ValueId, Value, ValueId)> =
            parameters.filter_map(|(id, value)| Some((id, value, *gradients.get(&id)?))).collect();
        let kept = |graph: &mut Graph, name: &str, shape: Shape, element: Element| {
            graph.persistent(name, Role::OptimizerState, shape, element, Init::Constant(0.0))
        };
        let state = |graph: &mut Graph, name: &str, of: &Value| kept(graph, name, of.shape.clone(), Element::F32);

        let mut used: Vec<ValueId> = trained.iter().map(|(.., gradient)| *gradient).collect();
        let mut samples = None;
        if let Some(loss) = summed_by {
            for ((_, value, gradient), used) in trained.iter().zip(&mut used) {
                let sum = state(self, &format!("{}.sum", value.name), value)?;
                let inputs = [sum, loss, control, status, *gradient];
                self.within(layer(value), |graph| graph.apply(Accumulate, &inputs))?;
                *used = sum;
            }
            let start = Init::Constant(0.0);
            let sum = self.persistent("samples.sum", Role::OptimizerState, [1], Element::F32, start)?;
            self.apply(Accumulate, &[sum, loss, control, status])?;
            samples = Some(sum);
        }
        let mut squares = None;
        if clip_norm.is_some() || scale.is_some() {
            for ((_, value, _), used) in trained.iter().zip(&used) {
                let inputs: Vec<ValueId> = [*used].into_iter().chain(squares).collect();
                squares = Some(self.within(layer(value), |graph| graph.apply_one(SquareSum, &inputs))?);
            }
        }
        if let (Some(scale), Some(squares)) = (scale, squares) {
            let inputs: Vec<ValueId> = [squares, scale, status].into_iter().chain(summed.then_some(control)).collect();
            self.within(LossScale::NAME, |graph| graph.apply(Check, &inputs))?;
        }
        let factor_of: Vec<ValueId> =
            squares.filter(|_| clip_norm.is_some()).into_iter().chain(samples).chain(scale).collect();
        let factor = match factor_of.is_empty() {
            true => None,
            false => {
                let factor = Factor { limit: clip_norm, summed, scaled: scale.is_some() };
                Some(self.apply_one(factor, &factor_of)?)
            }
        };

        for ((parameter, value, gradient), used) in trained.iter().zip(used) {
            let mut inputs = vec![*parameter, used, control, status];
            let coded = optimizer.has_state() && form.codes(value);
            let element = if coded { Element::U8 } else { Element::F32 };
            for name in optimizer.states() {
                inputs.push(kept(self, &format!("{}.{name}", value.name), value.shape.clone(), element)?);
            }
            if coded {
                let shape = moments::scales(&value.shape, optimizer.states().len());
                inputs.push(kept(self, &format!("{}.scales", value.name), shape, Element::F32)?);
            }
            let averaged = optimizer.average().map(|(decay, scale)| GradientAverage {
                value: inputs[4],
                scales: coded.then(|| inputs[inputs.len() - 1]),
                decay,
                scale,
            });
            self.note_parameter_update(ParameterUpdate { gradient: *gradient, average: averaged, scale });
            inputs.extend(factor);
            let update = Update { optimizer, learning_rate, summed, scaled: factor.is_some(), coded };
            self.within(layer(value), |graph| graph.apply(update, &inputs))?;
            if let Some(decay) = average {
                let inputs = [
                    state(self, &format!("{}{}", value.name, UpdateConfig::AVERAGE), value)?,
                    *parameter,
                    control,
                    status,
                ];
                self.within(layer(value), |graph| graph.apply(Average { decay, summed }, &inputs))?;
            }
        }
        self.add_deferred_updates()?;
        // After all that a step changes: it lets the next step change things again.
        if let (Some(setting), Some(scale)) = (loss_scale, scale) {
            let good_steps = self.good_steps()?;
            let inputs: Vec<ValueId> =
                [scale, good_steps, status].into_iter().chain(summed.then_some(control)).collect();
            self.within(LossScale::NAME, |graph| graph.apply(Move(setting), &inputs))?;
        }
        Ok(())
    }

    /// Lets every parameter be what its average is: for an evaluation beside a training step that keeps averages.
    pub fn use_averages(&mut self) {
        for id in self.parameters().map(|(id, _)| id).collect::<Vec<_>>() {
            self.value_mut(id).name += UpdateConfig::AVERAGE;
        }
    }
}

fn layer(parameter: &Value) -> String {
    parameter.name.rsplit_once('.').map_or("", |(layer, _)| layer).to_string()
}
