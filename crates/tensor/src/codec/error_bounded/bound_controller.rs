//! The bound follows the gradients.
//!
//! A weight's gradient sums error × δ over all positions, so an error that is uniform within ±eb on a share R of the
//! elements gives it an error of standard deviation
//!
//! ```text
//! sigma = eb · √(C·R/3) · rms over output channels k of ‖δ_k‖
//! ```
//!
//! and the bound for a wanted sigma is eb = sigma · √(3/(C·R)) / rms ‖δ_k‖. C is the share of its positions at which a tap
//! of a convolution meets an element and not the padding, a mean over the taps. The scale γ of a batch norm is a weight like any
//! other, with x̂ in the place of x: there ‖δ_k‖ is multiplied by the channel's inv_std. An error that reaches a weight
//! through a norm that is recomputed is multiplied by the rms of its γ·inv_std. Where a value serves several weights, the
//! strictest of them decides.
//!
//! What the minibatch noise s of a gradient g is, its distance from the mean of earlier ones tells, which the optimiser's
//! average Σ c·βᵏ·g holds: after t steps, with mean = (1 − β)/(1 − βᵗ)/c · average,
//!
//! ```text
//! E (g − mean)² = s² · (1 + ((1 − β)/(1 − βᵗ))² · (1 − β²ᵗ)/(1 − β²))
//! ```
//!
//! The magnitude of the average alone would say less: where gradients agree from step to step, it is many times the noise.
//!
//! All of it is worked out on the device, every few steps in the beginning and every `interval` steps later: the host
//! waits for nothing, and the same run gives the same bounds.

use super::gain::Gain;
use super::noise::{Average, Noise};
use super::{CONTROLLER_STATE_WORDS, ControllerState, ErrorBounded, Target};
use crate::codec::{CodingFacts, ControllerNodes, DataSized, Stored};
use crate::ir::{
    ErrorRole, Graph, GraphError, Kernel, KernelContext, Operator, OperatorKind, Output, ParameterUpdate, Phase,
    Readers, Shape, Value, ValueId, want,
};
use crate::ops::activation::Activation;
use std::collections::HashMap;
use std::rc::Rc;

/// What renews the bound of a stored value.
#[derive(Clone, Debug)]
pub(super) struct BoundController {
    /// Its state, which holds the bound.
    pub state: ValueId,
    /// What the bound aims at.
    pub target: Target,
    /// Steps between two renewals, once training has settled.
    pub interval: u32,
    /// Extents of the value.
    pub shape: Shape,
}

/// By how much a bound may still change in the last calibrating step.
const CALIBRATED: f32 = 0.2;

impl DataSized for BoundController {
    fn report(&self) -> ValueId {
        self.state
    }

    fn fixed_words(&self) -> usize {
        ErrorBounded::head_words(&self.shape)
    }

    /// Four times the value itself, which is more than any step asks for.
    fn most_words(&self) -> usize {
        4 * self.shape.elements().max(512)
    }

    fn used(&self, report: &[u32]) -> u32 {
        ControllerState::read(report).used
    }

    fn is_calibrated(&self, before: &[u32], now: &[u32]) -> bool {
        let [before, now] = [before, now].map(|words| ControllerState::read(words).bound);
        (now - before).abs() <= CALIBRATED * before
    }

    /// What renews the bound. Where nothing is trained, it stays what it is.
    fn controller(
        &self,
        graph: &mut Graph,
        readers: &GradientReaders,
        stored: &Stored,
    ) -> Result<ControllerNodes, GraphError> {
        self.nodes(graph, readers, stored)
    }

    fn facts(&self, report: &[u32]) -> CodingFacts {
        let state = ControllerState::read(report);
        CodingFacts {
            bound: Some(state.bound.into()),
            density: Some(f64::from(state.nonzero) / self.shape.elements() as f64),
            raw_share: Some(f64::from(state.raw_tiles) / ErrorBounded::tiles(&self.shape) as f64),
            predicted_error: Some(state.predicted_error().into()),
        }
    }
}

/// A backward node that correlates a kept value with a gradient.
struct Reader {
    node: usize,
    with: ValueId,
    scale: Option<ValueId>,
    gradient: ValueId,
    coverage: f32,
    /// Factors by which an error is multiplied on the way, channel by channel: those of a norm that is recomputed.
    factors: Vec<ValueId>,
}

/// What reads saved tensors in the backward pass, by the positions of nodes in a graph, which must not change meanwhile.
#[derive(Debug)]
pub struct GradientReaders {
    readers: Readers,
    /// The nodes that make a value alone.
    makers: HashMap<ValueId, usize>,
}

impl GradientReaders {
    /// Those of a graph.
    pub fn of(graph: &Graph) -> Self {
        let nodes = graph.nodes().iter().enumerate();
        let makers = nodes.clone().filter_map(|(index, node)| match node.outputs[..] {
            [output] => Some((output, index)),
            _ => None,
        });
        Self { makers: makers.collect(), readers: Readers::of(nodes) }
    }

    /// The readers of a decoded value, also behind nodes that carry it on.
    fn of_decoded(&self, graph: &Graph, decoded: ValueId) -> Vec<Reader> {
        let mut found = Vec::new();
        let mut pending = vec![(decoded, Vec::new())];
        while let Some((decoded, factors)) = pending.pop() {
            let read_by = self.readers.of_value(decoded).iter().map(|&index| (index, &graph.nodes()[index]));
            for (index, node) in read_by.filter(|(_, node)| node.phase == Phase::Backward) {
                let values: Vec<&Value> = node.inputs.iter().map(|&input| graph.value(input)).collect();
                let places = node.inputs.iter().enumerate().filter(|(_, input)| **input == decoded);
                for (input, _) in places {
                    match node.operator.error_role(input, &values) {
                        ErrorRole::Propagates(more) => {
                            let factors = factors.iter().copied().chain(more.iter().map(|&factor| node.inputs[factor]));
                            pending.push((node.outputs[0], factors.collect()));
                        }
                        ErrorRole::WeightGradient(role) => found.push(Reader {
                            node: index,
                            with: node.inputs[role.with],
                            scale: role.scale.map(|scale| node.inputs[scale]),
                            gradient: node.outputs[role.gradient],
                            coverage: role.coverage,
                            factors: factors.clone(),
                        }),
                        ErrorRole::Unknown => {}
                    }
                }
            }
        }
        found.sort_by_key(|reader| reader.node);
        found
    }

    /// Whether an error of this decoded value enters the gradient of a weight in a way that the theory knows.
    pub fn any(&self, graph: &Graph, decoded: ValueId) -> bool {
        !self.of_decoded(graph, decoded).is_empty()
    }

    /// The gradients of weights that an error of this decoded value enters, each once.
    pub fn gradients(&self, graph: &Graph, decoded: ValueId) -> Vec<ValueId> {
        let mut gradients: Vec<ValueId> =
            self.of_decoded(graph, decoded).into_iter().map(|reader| reader.gradient).collect();
        gradients.sort_unstable();
        gradients.dedup();
        gradients
    }
}

impl BoundController {
    fn nodes(
        &self,
        graph: &mut Graph,
        readers: &GradientReaders,
        stored: &Stored,
    ) -> Result<ControllerNodes, GraphError> {
        let mut nodes = ControllerNodes::default();
        let mut trained: Vec<(Reader, ParameterUpdate)> = stored
            .decoded
            .iter()
            .flat_map(|&decoded| readers.of_decoded(graph, decoded))
            .filter_map(|reader| {
                let trained = graph.parameter_updates().iter().find(|trained| trained.gradient == reader.gradient)?;
                Some((reader, *trained))
            })
            .collect();
        // In the order in which they run: the first begins with a new candidate, the last decides.
        trained.sort_by_key(|(reader, _)| reader.node);
        let count = trained.len();
        let elements = graph.shape(stored.source).elements();
        let layer = graph.value(stored.source).name.clone();
        let (control, status) = (graph.control(), graph.status()?);
        for (position, (reader, trained)) in trained.into_iter().enumerate() {
            graph.set_phase(Phase::Backward);
            let Arriving { behind, from, node } = Arriving::at(graph, readers, &reader);
            let inputs: Vec<ValueId> =
                [control].into_iter().chain(from).chain(reader.scale).chain(trained.scale).collect();
            let (scaled, loss_scaled) = (reader.scale.is_some(), trained.scale.is_some());
            let gain = Gain { interval: self.interval, behind, scaled, loss_scaled, slice: None };
            let gain = graph.make_node(Rc::new(gain), &inputs, layer.clone())?;
            let parts = gain.outputs[0];
            nodes.backward.push((node, gain));
            graph.set_phase(Phase::Update);
            let noise = Noise {
                target: self.target,
                interval: self.interval,
                average: trained.average.map(|average| Average {
                    decay: average.decay,
                    scale: average.scale,
                    scales: average.scales.map(|scales| graph.shape(scales).extents()[1]),
                }),
                loss_scaled,
            };
            let mut inputs = vec![trained.gradient, control, status];
            inputs.extend(trained.average.iter().flat_map(|average| [average.value].into_iter().chain(average.scales)));
            inputs.extend(trained.scale);
            let noise = graph.make_node(Rc::new(noise), &inputs, layer.clone())?;
            let renew = Renew {
                target: self.target,
                interval: self.interval,
                elements,
                weights: graph.shape(trained.gradient).elements(),
                decay: trained.average.map(|average| average.decay),
                first: position == 0,
                last: position + 1 == count,
                factors: reader.factors.len(),
                coverage: reader.coverage,
            };
            let mut inputs = vec![self.state, control, status, parts, noise.outputs[0]];
            inputs.extend(&reader.factors);
            nodes.update.push(noise);
            nodes.update.push(graph.make_node(Rc::new(renew), &inputs, layer.clone())?);
        }
        Ok(nodes)
    }
}

/// Where the δ of a reader comes from.
struct Arriving {
    /// An activation whose gradient is taken on the way.
    behind: Option<Activation>,
    /// δ; or what arrives at the activation and what that kept.
    from: Vec<ValueId>,
    /// The node before which these are there.
    node: usize,
}

impl Arriving {
    /// Of a δ that an activation's gradient makes for this reader alone: otherwise the two could not become one pass.
    fn at(graph: &Graph, readers: &GradientReaders, reader: &Reader) -> Self {
        let alone = readers.readers.of_value(reader.with).len() == 1;
        let maker = readers.makers.get(&reader.with).copied().filter(|_| alone);
        match maker.map(|node| (node, graph.nodes()[node].operator.kind())) {
            Some((node, OperatorKind::ActivationGradient(activation))) => {
                Self { behind: Some(activation), from: graph.nodes()[node].inputs.clone(), node }
            }
            _ => Self { behind: None, from: vec![reader.with], node: reader.node },
        }
    }
}

/// A new bound. Inputs: state, control, status, gain, what the gradient's elements sum up to ([`Noise`]), then factors of each channel.
#[derive(Debug)]
struct Renew {
    target: Target,
    interval: u32,
    /// Elements of the value.
    elements: usize,
    /// Elements of the gradient.
    weights: usize,
    /// β of the average.
    decay: Option<f32>,
    /// Whether this is the first weight that the value serves, and the last.
    first: bool,
    last: bool,
    /// How many factors there are.
    factors: usize,
    /// Of a weight's positions.
    coverage: f32,
}

impl Operator for Renew {
    fn name(&self) -> &'static str {
        "new bound"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        want(inputs[0].shape.elements() == CONTROLLER_STATE_WORDS, "this is no state of a controller")?;
        Ok(vec![])
    }

    fn mutates(&self) -> &'static [usize] {
        &[0]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let planes = context.inputs[3].shape.elements();
        let channels = context.inputs[3].shape.extents()[1];
        let (of_noise, fraction) = match self.target {
            Target::Noise(fraction) => (true, fraction),
            Target::Momentum(fraction) => (false, fraction),
        };
        let flags = [of_noise, self.decay.is_some(), self.first, self.last].map(u32::from);
        let first_factor = context.inputs.len() - self.factors;
        let factored = context.inputs.get(first_factor).map_or(0, |factor| factor.shape.elements());
        let renew = Kernel::new("codec/error_bounded/renew")
            .variable("factors", self.factors)
            .rounds(planes.div_ceil(64) + factored + 10)
            .parameters([planes, channels, self.weights, self.elements])
            .parameter(self.interval)
            .parameters(flags)
            .parameters([fraction, self.decay.unwrap_or(0.0), self.coverage])
            .parameter(factored)
            .inputs(0..context.inputs.len())
            .workgroups(1);
        vec![renew]
    }
}
