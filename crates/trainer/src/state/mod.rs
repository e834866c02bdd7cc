//! What of a run lives from step to step, and how it is kept so that it can go on.

pub(crate) mod capacity_history;
pub mod checkpoint;
mod lock;
pub(crate) mod means;
pub(crate) mod resume;
pub(crate) mod stored_sizes;
mod train_state;
pub mod weights;

pub use lock::Lock;
pub use resume::{Left, check_settings, resolved, settings};
pub use train_state::TrainState;
