//! The byte ledger: what a step holds, by what it is for and by layer.

use super::{Executable, Plan, StoreLayout, UPLOADS_IN_FLIGHT};
use crate::codec::Stored;
use crate::ir::{OperatorKind, Phase, Role, ValueId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where the bytes of a run go. `peak` is what the run allocates; parameters, gradients, optimizer, kept, scratch and inputs add up to
/// it, and `host` is the part of it in host-visible memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// Parameters, running statistics, constants, reports of data-sized values.
    pub parameters: u64,
    /// Most bytes of parameters' gradients that are alive at once (each is used up by its update right away).
    pub gradients: u64,
    /// State of the optimiser.
    pub optimizer: u64,
    /// What is kept from the forward to the backward pass, in its stored form.
    pub kept: u64,
    /// What would be kept if every value were kept raw.
    pub kept_raw: u64,
    /// Activations and gradients in flight, kernels' scratch and parameters, padding.
    pub scratch: u64,
    /// Upload buffers, and inputs that are not kept for the backward pass.
    pub inputs: u64,
    /// All of it: what the run allocates.
    pub peak: u64,
    /// What the run would allocate if every value were kept raw. Older records have 0.
    #[serde(default)]
    pub peak_raw: u64,
    /// Of the peak, what lies in host-visible memory: upload and read-back buffers. The rest is the device's. Older records have 0.
    #[serde(default)]
    pub host: u64,
}

/// A value that is kept from the forward to the backward pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptValue {
    /// What it is a form of.
    pub name: String,
    /// `raw`, `mask`, `window index`, `frequency-split` …; `recomputed` if it is recomputed and nothing is kept.
    pub form: &'static str,
    /// Bytes of the value itself.
    pub raw_bytes: u64,
    /// Bytes of the form.
    pub stored_bytes: u64,
    /// Whether it is an input of the step, as it was uploaded.
    #[serde(skip)]
    pub is_input: bool,
    /// Whether a convolution reads these values in the forward pass: what papers on compression count. Masks and tables
    /// next to them do not belong to it.
    pub convolution_input: bool,
    /// Whether the size of the form follows the data: what is planned for it changes while a run goes on.
    pub follows_data: bool,
    /// Bytes of what is kept for others, such as a rectifier's mask, and is read to decode this one as well.
    pub mask_bytes: u64,
}

impl KeptValue {
    /// Whether nothing is kept, because the value is recomputed in the backward pass.
    pub fn is_recomputed(&self) -> bool {
        self.form == crate::codec::RECOMPUTED
    }
}

/// A layer's share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerBytes {
    /// Dotted path.
    pub name: String,
    /// Operators of its forward pass.
    pub operators: Vec<&'static str>,
    /// Extents of what it makes.
    pub output: Vec<usize>,
    /// Trained elements.
    pub parameters: u64,
    /// Multiply-adds per sample.
    pub macs_per_sample: u64,
    /// What is kept of what it made.
    pub kept: Vec<KeptValue>,
}

impl Plan {
    /// Every value that was there before the backward pass, is not persistent, and is read in it.
    pub fn kept_values(&self) -> Vec<ValueId> {
        let graph = &self.graph;
        let mut made: BTreeSet<ValueId> = graph
            .ids()
            .filter(|(_, v)| v.role == Role::Input && v.name != crate::step::CONTROL)
            .map(|(id, _)| id)
            .collect();
        let mut kept = BTreeSet::new();
        for node in graph.nodes() {
            let wholes = |values: &[ValueId]| values.iter().map(|&v| graph.whole_of(v)).collect::<Vec<_>>();
            match node.phase {
                Phase::Forward => made.extend(wholes(&node.outputs).iter().filter(|&&v| !graph.value(v).is_metric())),
                Phase::Backward => kept.extend(wholes(&node.inputs).iter().filter(|v| made.contains(v))),
                // Running statistics move once the loss is known: their few numbers are kept until then, but for no gradient.
                Phase::Update => {}
            }
        }
        let mut blocks = BTreeSet::new();
        // What lies in pieces has no block of its own.
        kept.retain(|v: &ValueId| self.lifetimes.of_value[v.index()].is_none_or(|block| blocks.insert(block)));
        kept.into_iter().collect()
    }

    /// Bytes of [`Plan::kept_values`].
    pub fn kept_bytes(&self) -> u64 {
        self.bytes_of(&self.kept_values())
    }

    /// Where the bytes go when `self` trains and `others` run over the same memory in turns; `raw` are the plan of the same step with
    /// everything kept raw, and those of what would run beside it.
    pub fn bytes(&self, others: &[&Plan], raw: &[&Plan]) -> Bytes {
        let all: Vec<&Plan> = std::iter::once(self).chain(others.iter().copied()).collect();
        let most = |f: &dyn Fn(&Plan) -> u64| all.iter().map(|p| f(p)).max().unwrap_or(0);
        let of = |roles: &[Role]| {
            let values = self.graph.values().iter().filter(|v| roles.contains(&v.role));
            values.map(|v| v.bytes()).sum::<u64>()
        };
        let kept_values = self.kept_values();
        let uploads = UPLOADS_IN_FLIGHT as u64 * most(&|p| p.executable.upload_bytes());
        let inputs_not_kept: u64 =
            self.uploads().iter().filter(|v| !kept_values.contains(v)).map(|&v| self.graph.value(v).bytes()).sum();
        let parameters = of(&[Role::Parameter, Role::Statistic, Role::Constant, Role::Report]);
        let optimizer = of(&[Role::OptimizerState]);
        let gradients = self.most_gradient_bytes();
        let kept = self.kept_bytes();
        let inputs = uploads + inputs_not_kept;
        let peak = Self::allocated(&all);
        let executables: Vec<&Executable> = all.iter().map(|plan| plan.executable.as_ref()).collect();
        Bytes {
            parameters,
            gradients,
            optimizer,
            kept,
            kept_raw: raw.first().map_or(kept, |raw| raw.kept_bytes()),
            scratch: peak.saturating_sub(parameters + optimizer + gradients + kept + inputs),
            inputs,
            peak,
            peak_raw: Self::allocated(raw),
            host: Executable::host_bytes(&executables),
        }
    }

    /// What a session over these plans allocates, to the byte.
    pub fn allocated(plans: &[&Plan]) -> u64 {
        let executables: Vec<&Executable> = plans.iter().map(|plan| plan.executable.as_ref()).collect();
        let max_buffer = plans.first().map_or(u64::MAX, |plan| plan.options.max_buffer);
        StoreLayout::union(&executables, max_buffer).bytes() + Executable::bytes_beside_store(&executables)
    }

    fn most_gradient_bytes(&self) -> u64 {
        let mut alive = vec![0; self.graph.nodes().len() + 2];
        for (id, value) in self.graph.ids().filter(|(_, v)| v.role == Role::ParameterGradient && !v.is_metric()) {
            if let Some(block) = self.lifetimes.of_value[id.index()] {
                let block = &self.lifetimes.blocks[block];
                alive[block.start..=block.end].iter_mut().for_each(|bytes| *bytes += value.bytes());
            }
        }
        alive.into_iter().max().unwrap_or(0)
    }

    /// Each layer of the forward pass, in order.
    pub fn layers(&self) -> Vec<LayerBytes> {
        let kept = self.kept_values();
        let convolved = self.convolution_inputs();
        let mut layers: Vec<LayerBytes> = Vec::new();
        for node in self.unfused_nodes.iter().filter(|n| n.phase == Phase::Forward) {
            let position = layers.iter().position(|layer| layer.name == node.layer);
            let position = position.unwrap_or_else(|| {
                layers.push(LayerBytes {
                    name: node.layer.clone(),
                    operators: Vec::new(),
                    output: Vec::new(),
                    parameters: 0,
                    macs_per_sample: 0,
                    kept: Vec::new(),
                });
                layers.len() - 1
            });
            let layer = &mut layers[position];
            let first_output = self.graph.value(node.outputs[0]);
            if first_output.role != Role::Stored {
                layer.output = first_output.shape.extents().to_vec();
                // Of a parameter that is cut by rows each block has a product.
                if layer.operators.last() != Some(&node.operator.name()) {
                    layer.operators.push(node.operator.name());
                }
            }
            layer.macs_per_sample += self.graph.node_multiply_adds(node) / self.graph.batch() as u64;
            for &input in &node.inputs {
                let whole = self.graph.memory_of(input).0;
                if self.graph.value(whole).role == Role::Parameter {
                    layer.parameters += self.graph.shape(input).elements() as u64;
                }
            }
            layer.kept.extend(node.outputs.iter().chain(&node.inputs).filter_map(|&v| {
                let made_here = node.outputs.contains(&v) || self.graph.value(v).role == Role::Input;
                let stored = self.stored.iter().find(|s| s.kept == v)?;
                let recomputed = stored.is_recomputed();
                (made_here && (recomputed || kept.contains(&v))).then(|| KeptValue {
                    name: self.graph.value(stored.source).name.clone(),
                    form: stored.form,
                    raw_bytes: self.graph.value(stored.source).bytes(),
                    stored_bytes: if recomputed { 0 } else { self.graph.value(v).bytes() },
                    is_input: self.graph.value(stored.source).role == Role::Input,
                    convolution_input: stored.form != "mask" && convolved.contains(&stored.source),
                    follows_data: stored.data_sized.is_some(),
                    mask_bytes: self.mask_bytes(stored),
                })
            }));
        }
        layers
    }

    /// Bytes of what else is kept and is read where a value is decoded.
    fn mask_bytes(&self, stored: &Stored) -> u64 {
        let Some(decoded) = stored.decoded.first() else { return 0 };
        let decode = self.unfused_nodes.iter().find(|node| node.outputs.contains(decoded));
        let others = decode.into_iter().flat_map(|node| &node.inputs).filter(|&&input| input != stored.kept);
        others.map(|&input| self.graph.value(input)).filter(|v| v.role == Role::Stored).map(|v| v.bytes()).sum()
    }

    /// What convolutions read in the forward pass.
    fn convolution_inputs(&self) -> BTreeSet<ValueId> {
        let nodes = self.unfused_nodes.iter();
        let convolutions =
            nodes.filter(|n| n.phase == Phase::Forward && n.operator.kind() == OperatorKind::Convolution);
        let mut read: BTreeSet<ValueId> = convolutions.flat_map(|node| node.inputs.iter().copied()).collect();
        // Pictures that came as bytes are kept as such.
        let pictures = self.unfused_nodes.iter().filter(|n| n.operator.kind() == OperatorKind::NormalizeBytes);
        let bytes: Vec<ValueId> =
            pictures.filter(|node| read.contains(&node.outputs[0])).map(|node| node.inputs[0]).collect();
        read.extend(bytes);
        read
    }
}
