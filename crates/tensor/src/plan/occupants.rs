//! What lives in each block of a plan, and when.

use super::Plan;
use crate::ir::{OperatorKind, Phase, Role, ValueId};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// What transient memory is in use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryKind {
    /// What was uploaded for the step, unless it is kept for the backward pass.
    Inputs,
    /// What is kept from the forward to the backward pass, in its stored form.
    Kept,
    /// Values decoded or recomputed for the backward pass.
    Decoded,
    /// What the forward pass makes and does not keep.
    Activations,
    /// Gradients, except those of parameters.
    Gradients,
    /// Gradients of parameters.
    ParameterGradients,
    /// What kernels write and read within a node.
    Scratch,
}

impl MemoryKind {
    /// All of them, in the order in which pictures pile them up.
    pub const ALL: [MemoryKind; 7] = [
        MemoryKind::Inputs,
        MemoryKind::Kept,
        MemoryKind::ParameterGradients,
        MemoryKind::Decoded,
        MemoryKind::Activations,
        MemoryKind::Gradients,
        MemoryKind::Scratch,
    ];

    /// Words for it.
    pub fn name(self) -> &'static str {
        match self {
            MemoryKind::Inputs => "inputs",
            MemoryKind::Kept => "kept for backward",
            MemoryKind::Decoded => "decoded, recomputed",
            MemoryKind::Activations => "activations in flight",
            MemoryKind::Gradients => "gradients",
            MemoryKind::ParameterGradients => "parameters' gradients",
            MemoryKind::Scratch => "scratch",
        }
    }
}

/// The values that live in the transient blocks of a plan.
pub(super) struct Occupants<'p> {
    plan: &'p Plan,
    /// The value in whose memory each value lies: another one for views and windows. Of a whole that lies in pieces, the whole whose
    /// pieces they are.
    memory_of: Vec<ValueId>,
    /// The values of each block, with the moments from which they live there, in that order. A block of scratch has none.
    of_block: Vec<Vec<(usize, ValueId)>>,
    /// The form of each value that is kept, wholes of pieces among them.
    kept_forms: HashMap<ValueId, &'static str>,
    /// What codecs decode.
    decoded: HashSet<ValueId>,
    /// Where each value is made.
    phase_of: Vec<Option<Phase>>,
}

impl<'p> Occupants<'p> {
    pub fn of(plan: &'p Plan) -> Self {
        let graph = &plan.graph;
        let mut memory_of: Vec<ValueId> = graph.ids().map(|(id, _)| graph.memory_of(id).0).collect();
        let mut phase_of = vec![None; graph.values().len()];
        let mut of_block = vec![Vec::new(); plan.lifetimes.blocks.len()];
        let mut moves_in = |moment: usize, value: ValueId| {
            let occupants: Option<&mut Vec<_>> =
                plan.lifetimes.of_value[value.index()].map(|block| &mut of_block[block]);
            if let Some(occupants) = occupants.filter(|all| all.last().is_none_or(|(_, last)| *last != value)) {
                occupants.push((moment, value));
            }
        };
        graph.ids().filter(|(_, value)| value.role == Role::Input).for_each(|(id, _)| moves_in(0, id));
        for (index, node) in graph.nodes().iter().enumerate() {
            for &output in &node.outputs {
                phase_of[output.index()] = Some(node.phase);
                if node.operator.kind() == OperatorKind::View {
                    let source = memory_of[node.inputs[0].index()];
                    memory_of[output.index()] = source;
                    if graph.value(output).part.is_some() {
                        memory_of[graph.whole_of(output).index()] = graph.whole_of(source);
                    }
                } else {
                    let whole = memory_of[output.index()];
                    phase_of[whole.index()].get_or_insert(node.phase);
                    moves_in(index + 1, whole);
                }
            }
        }
        let decoded = plan.stored.iter().flat_map(|stored| stored.decoded.iter().copied()).collect();
        let mut this = Self { plan, memory_of, of_block, kept_forms: HashMap::new(), decoded, phase_of };
        let stored = plan.stored.iter().filter(|stored| !stored.is_recomputed());
        let forms: HashMap<ValueId, &str> = stored.map(|stored| (this.home(stored.kept), stored.form)).collect();
        let kept = plan.kept_values().into_iter().map(|value| this.home(value));
        this.kept_forms = kept.map(|value| (value, forms.get(&value).copied().unwrap_or("raw"))).collect();
        this
    }

    /// The value by which one is known that may be a view, a window or a piece of another.
    fn home(&self, value: ValueId) -> ValueId {
        let whole = self.plan.graph.whole_of(self.memory_of[value.index()]);
        self.memory_of[whole.index()]
    }

    /// The values that live in a block one after the other, with the moments from which they do.
    pub fn of_block(&self, block: usize) -> &[(usize, ValueId)] {
        &self.of_block[block]
    }

    /// The value that lives in a block at a moment; none in scratch.
    pub fn at(&self, block: usize, moment: usize) -> Option<ValueId> {
        let occupants = &self.of_block[block];
        let since = occupants.partition_point(|(since, _)| *since <= moment);
        since.checked_sub(1).map(|last| occupants[last].1)
    }

    /// Whether a value is kept from the forward to the backward pass.
    pub fn is_kept(&self, value: ValueId) -> bool {
        self.kept_forms.contains_key(&self.home(value))
    }

    /// What memory that holds a value is in use for.
    pub fn kind(&self, value: ValueId) -> MemoryKind {
        match self.plan.graph.value(value).role {
            _ if self.is_kept(value) => MemoryKind::Kept,
            Role::Input => MemoryKind::Inputs,
            Role::Gradient => MemoryKind::Gradients,
            Role::ParameterGradient => MemoryKind::ParameterGradients,
            Role::Stored if self.phase_of[value.index()] != Some(Phase::Forward) => MemoryKind::Decoded,
            _ => MemoryKind::Activations,
        }
    }

    /// The form in which a value is kept, or what it is otherwise.
    pub fn form(&self, value: ValueId) -> &'static str {
        let of = self.plan.graph.value(value);
        let is_decoded = || self.decoded.contains(&self.plan.graph.whole_of(value));
        match self.kept_forms.get(&self.home(value)) {
            Some(form) => form,
            None if of.is_metric() => "metric",
            None => match self.kind(value) {
                MemoryKind::Inputs => "input",
                MemoryKind::Gradients | MemoryKind::ParameterGradients => "gradient",
                MemoryKind::Decoded if is_decoded() => "decoded",
                MemoryKind::Decoded => "recomputed",
                _ if of.role == Role::Stored => "encoded",
                _ => "activation",
            },
        }
    }
}
