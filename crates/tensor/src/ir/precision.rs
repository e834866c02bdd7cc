//! The precision in which memory holds what a node makes.

use super::step::CONTROL;
use super::{Element, Graph, Operator, OperatorKind, Output, Phase, Precision, Role, ValueId};

impl Graph {
    /// The precision of an output.
    pub(crate) fn precision_of(
        &self,
        operator: &dyn Operator,
        inputs: &[ValueId],
        phase: Phase,
        output: &Output,
        role: Role,
        read_back: bool,
    ) -> Precision {
        // Not what is made of parameters alone. What waited for the backward pass is of samples whatever it was held in.
        let of_samples = |&input: &ValueId| {
            let value = self.value(input);
            match value.role {
                Role::Input => value.name != CONTROL,
                role => value.precision == Precision::F16 || role == Role::Stored,
            }
        };
        let in_flight = !read_back && matches!(role, Role::Activation | Role::Gradient | Role::Stored);
        let may_be = in_flight && phase != Phase::Update && output.element == Element::F32 && !output.always_f32;
        match inputs.first() {
            _ if !may_be => Precision::F32,
            Some(&source) if operator.kind() == OperatorKind::View => self.value(source).precision,
            _ if inputs.iter().any(of_samples) => self.precision,
            _ => Precision::F32,
        }
    }
}
