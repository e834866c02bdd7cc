//! The trained net that a run leaves, as safetensors.

use crate::Error;
use crate::state::checkpoint::Weights;
use std::collections::HashMap;
use std::path::Path;

/// The name of the file.
pub const FILE: &str = "weights.safetensors";

/// Values by their names.
pub type Named = HashMap<String, Vec<f32>>;

/// Reads what a run left in its folder.
///
/// # Errors
/// As [`Weights::read`].
pub fn read(folder: &Path) -> Result<Named, Error> {
    Ok(Weights::read(&folder.join(FILE))?.into_values())
}
