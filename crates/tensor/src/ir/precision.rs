//! The precision in which memory holds what a node makes.

use super::step::CONTROL;
use super::{Element, Graph, Kind, Operator, Output, Phase, Precision, ValueId};

impl Graph {
    /// The precision of an output.
    pub(crate) fn precision_of(
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
        let may_be = in_flight && phase != Phase::Update && output.element == Element::F32 && !output.always_f32;
        match inputs.first() {
            _ if !may_be => Precision::F32,
            Some(&source) if operator.is_view() => self.value(source).precision,
            _ if inputs.iter().any(of_samples) => self.precision,
            _ => Precision::F32,
        }
    }
}
