//! What can be wrong with a net.

use frugal_tensor::GraphError;

/// Why a net cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// There is no net of this name.
    #[error("there is no net `{name}`; there are: {known}")]
    NoSuchNet {
        /// What was requested.
        name: String,
        /// What there is.
        known: String,
    },
    /// The loss is not for what the net makes: cross-entropy is for classifiers.
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
    /// The net takes images, and the samples are rows of a table.
    #[error(
        "`{net}` takes images, and samples are rows of a table; those take `mlp`, or a list of layers (`model.layers`)"
    )]
    NoRows {
        /// The net's name.
        net: &'static str,
    },
    /// The net does not fit the input.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
