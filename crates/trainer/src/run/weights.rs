//! The trained net as safetensors, under PyTorch's names: parameters and running statistics.

use super::folder::Folder;
use crate::Error;
use frugal_tensor::graph::{Element, Kind};
use frugal_tensor::{GpuError, Session};
use safetensors::{Dtype, tensor::TensorView};
use std::collections::HashMap;

/// The name of the file.
pub const FILE: &str = "weights.safetensors";

pub(super) fn write(session: &Session, folder: &Folder, metadata: &[(&str, String)]) -> Result<(), Error> {
    let graph = &session.plans()[0].graph;
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    for (_, value) in graph.ids() {
        let trained = matches!(value.kind, Kind::Parameter | Kind::Statistic) && value.element == Element::F32;
        if trained {
            tensors.push((value.name.clone(), value.shape.extents().to_vec(), session.read(&value.name)?));
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
