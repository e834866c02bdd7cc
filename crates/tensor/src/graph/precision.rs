//! Which values memory holds in f16.
//!
//! Activations and the gradients that come back along them: all that grows with the batch. Everything else stays in f32:
//! inputs, which the host uploads; parameters, what is made of them alone, and their gradients; what operators
//! [always](crate::ops::Output::always_f32) have in f32; metrics; and all that updates work with.

use super::{CONTROL, Element, Graph, Kind, Phase, Value, ValueId};
use crate::ops::{Operator, Output, Precision, add::Add};
use std::collections::HashMap;

impl Graph {
    /// Lets memory hold in f16 what may be, of the nodes that are there and of those to come. For a graph whose gradients and
    /// metrics are known and whose stores are not.
    pub(crate) fn hold_in_f16(&mut self) {
        self.precision = Precision::F16;
        let mut views: HashMap<ValueId, Vec<ValueId>> = HashMap::new();
        for keep in &self.keeps {
            views.entry(keep.source).or_default().push(keep.view);
        }
        let nodes = std::mem::take(&mut self.nodes);
        for node in &nodes {
            let inputs: Vec<&Value> = node.inputs.iter().map(|&v| self.value(v)).collect();
            let made = node.operator.outputs(&inputs).expect("it took them before");
            for (&output, made) in node.outputs.iter().zip(&made) {
                let kind = self.value(output).kind;
                let precision = self.precision_of(&*node.operator, &node.inputs, node.phase, made, kind);
                self.value_mut(output).precision = precision;
                for &view in views.get(&output).into_iter().flatten() {
                    self.value_mut(view).precision = precision;
                }
            }
        }
        self.nodes = nodes;
        self.agree();
    }

    /// The precision of an output.
    pub(super) fn precision_of(
        &self,
        operator: &dyn Operator,
        inputs: &[ValueId],
        phase: Phase,
        output: &Output,
        kind: Kind,
    ) -> Precision {
        // Not what is made of parameters alone. What waited for the backward pass is of samples whatever it was held in.
        let of_samples = |&input: &ValueId| {
            let value = self.value(input);
            match value.kind {
                Kind::Input => value.name != CONTROL,
                kind => value.precision == Precision::F16 || kind == Kind::Stored,
            }
        };
        let in_flight = matches!(kind, Kind::Activation | Kind::Gradient | Kind::Stored);
        let may_be = in_flight && output.element == Element::F32 && !output.always_f32;
        match inputs.first() {
            Some(&source) if operator.is_view() => self.value(source).precision,
            _ if may_be && phase != Phase::Update && inputs.iter().any(of_samples) => self.precision,
            _ => Precision::F32,
        }
    }

    /// Views share their memory, and kept values are read as they are, so both ends have one precision: f32 where one of them
    /// must. So has what adds up to a parameter's gradient.
    fn agree(&mut self) {
        let view = self.nodes.iter().filter(|node| node.operator.is_view()).map(|node| (node.inputs[0], node.outputs[0]));
        let same: Vec<_> = view.chain(self.keeps.iter().map(|keep| (keep.source, keep.view))).collect();
        let sums = self.nodes.iter().filter(|node| node.operator.name() == Add.name());
        let terms: Vec<_> = sums.flat_map(|node| node.inputs.iter().map(|&term| (node.outputs[0], term))).collect();
        loop {
            let single = |v: ValueId| self.value(v).precision == Precision::F32;
            let apart = same.iter().filter(|(a, b)| single(*a) != single(*b)).flat_map(|&(a, b)| [a, b]);
            let of_parameters = |sum: ValueId| self.value(sum).kind == Kind::ParameterGradient;
            let parts = terms.iter().filter(|(sum, term)| of_parameters(*sum) && !single(*term)).map(|(_, term)| *term);
            let must: Vec<ValueId> = apart.chain(parts).collect();
            if must.is_empty() {
                return;
            }
            must.into_iter().for_each(|v| self.value_mut(v).precision = Precision::F32);
        }
    }
}
