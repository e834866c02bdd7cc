//! Why a table of tiles cannot be used.

use frugal_tensor::ir::tiles::TileError;
use std::path::PathBuf;

/// Names a table in the place of the adapter's own; empty for none.
pub const VARIABLE: &str = "FRUGAL_TILES";

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TilesError {
    /// It is no such table.
    #[error("{} is no table of tiles: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tile of it is impossible.
    #[error("{}: {source}", path.display())]
    Impossible {
        /// The file.
        path: PathBuf,
        /// Which, and why.
        source: Box<TileError>,
    },
    /// It was requested by name, but belongs to another adapter.
    #[error("{} was measured on {there}, not on {here}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its adapter.
        there: String,
        /// The adapter that is open.
        here: String,
    },
}
