//! Changes of values that live across steps, put off until the step is known to count.

use crate::ir::{Graph, GraphError, Phase};

impl Graph {
    /// Appends what forward nodes move in values that live across steps ([`crate::ir::Operator::deferred_update`]): after everything that may
    /// yet stop the step, so that a step that does not count leaves no trace.
    ///
    /// # Errors
    /// [`GraphError::NameTaken`] if another value has the name of the status.
    pub fn add_deferred_updates(&mut self) -> Result<(), GraphError> {
        self.set_phase(Phase::Update);
        for node in self.nodes.clone() {
            if let Some((operator, mut inputs)) = node.operator.deferred_update(&node, self) {
                inputs.push(self.status()?);
                let deferred_update = self.make_node(operator, &inputs, node.layer)?;
                self.nodes.push(deferred_update);
            }
        }
        Ok(())
    }
}
