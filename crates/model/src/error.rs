//! What can be wrong with a net.

use frugal_tensor::GraphError;

/// Why a net cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// There is no net of this name.
    #[error("there is no net `{name}`; there are: {known}")]
    NoSuchNet {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The net does not fit the input.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
