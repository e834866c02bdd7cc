//! What host and device tell each other about a step: the control words, which the host writes before it, and the status words,
//! by which the device stops updates.

use super::{Element, Graph, GraphError, Init, Kind, ValueId};

/// Name of the input that [`Graph::control`] returns.
pub const CONTROL: &str = "control";

/// What the host tells each step, see [`Graph::control`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Control {
    /// Steps done before.
    pub step: u32,
    /// Keys all random numbers, together with the step.
    pub seed: u32,
    /// The optimiser's.
    pub learning_rate: f32,
    /// Bit 0 for a step that only looks (see [`crate::Session::calibrate`]), the others as [`crate::ops::optimizer::Recipe`] says.
    pub flags: u32,
}

impl Control {
    /// As the input [`CONTROL`] takes it.
    pub fn words(self) -> [u32; 4] {
        [self.step, self.seed, self.learning_rate.to_bits(), self.flags]
    }
}

/// Name of the persistent value whose first word stops all updates.
pub const STATUS: &str = "status";

impl Graph {
    /// The words that the host writes before each step, those of [`Control`].
    pub fn control(&mut self) -> ValueId {
        let known = self.ids().find(|(_, v)| v.kind == Kind::Input && v.name == CONTROL);
        match known {
            Some((id, _)) => id,
            None => self.at_root(|graph| graph.input(CONTROL, [4], Element::U32)),
        }
    }

    /// The persistent words by which the device stops updates, made on first use.
    ///
    /// # Errors
    /// [`GraphError::NameTaken`] if another value has their name.
    pub fn status(&mut self) -> Result<ValueId, GraphError> {
        match self.find(STATUS) {
            Some(status) => Ok(status),
            // Loss and optimisers must find the same one.
            None => {
                self.at_root(|graph| graph.persistent(STATUS, Kind::Statistic, [4], Element::U32, Init::Constant(0.0)))
            }
        }
    }
}
