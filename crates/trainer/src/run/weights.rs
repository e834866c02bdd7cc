//! The trained net as safetensors, under PyTorch's names: parameters, or their averages where a run keeps those, and running
//! statistics.

use super::folder::Folder;
use crate::Error;
use frugal_tensor::graph::{Element, Kind};
use frugal_tensor::ops::optimizer::Recipe;
use frugal_tensor::{GpuError, Session};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::HashMap;
use std::path::Path;

/// The name of the file.
pub const FILE: &str = "weights.safetensors";

pub(super) fn write(session: &Session, folder: &Folder, metadata: &[(&str, String)]) -> Result<(), Error> {
    let graph = &session.plans()[0].graph;
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    for (_, value) in graph.ids() {
        let trained = matches!(value.kind, Kind::Parameter | Kind::Statistic) && value.element == Element::F32;
        if trained {
            // What was evaluated.
            let average = format!("{}{}", value.name, Recipe::AVERAGE);
            let source = if graph.find(&average).is_some() { &average } else { &value.name };
            tensors.push((value.name.clone(), value.shape.extents().to_vec(), session.read(source)?));
        }
    }
    let refused = |error: safetensors::SafeTensorError| Error::from(GpuError::Refused(error.to_string()));
    let mut views = Vec::new();
    for (name, shape, values) in &tensors {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values)).map_err(refused)?;
        views.push((name.as_str(), view));
    }
    // One entry at most: a map of several would come out in any order, and equal runs must give equal files.
    let text = metadata.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ");
    let metadata = HashMap::from([("frugal".to_owned(), text)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(refused)?;
    folder.write(FILE, &bytes)
}

/// Values by their names.
pub type Named = HashMap<String, Vec<f32>>;

/// Reads what a run left in its folder.
///
/// # Errors
/// [`Error::Io`] if the file is not there or not whole.
pub fn read(folder: &Path) -> Result<Named, Error> {
    let path = folder.join(FILE);
    let bytes = crate::input::read(&path, u64::MAX).map_err(Error::io("read", &path))?;
    let damaged = |error: safetensors::SafeTensorError| std::io::Error::other(error.to_string());
    let tensors = SafeTensors::deserialize(&bytes).map_err(damaged).map_err(Error::io("read", &path))?;
    // The tensors of a file need not begin at multiples of four bytes.
    let values = |tensor: &TensorView<'_>| tensor.data().chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
    let single = |(_, tensor): &(String, TensorView<'_>)| tensor.dtype() == Dtype::F32;
    Ok(tensors.tensors().into_iter().filter(single).map(|(name, tensor)| (name, values(&tensor))).collect())
}
