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
    /// Cross-entropy is for classifiers, and the net is none.
    #[error(
        "`{net}` is no classifier: it makes {makes}, with {parameters} parameters, and cross-entropy is for classes; its losses \
         are mse, mae and bce"
    )]
    NoLoss {
        /// The net's name.
        net: &'static str,
        /// What it makes of what.
        makes: String,
        /// How many parameters it has.
        parameters: usize,
    },
    /// The net does not fit the input.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
