//! Where a measured step starts from, as a file: with it other programs can take the same steps, and losses can be compared.

use super::uploads::Uploads;
use crate::Error;
use frugal_tensor::ir::{Element, Role};
use frugal_tensor::{GpuError, PlannedSession};
use safetensors::{Dtype, tensor::TensorView};
use std::path::Path;

/// Writes the parameters under their names, and the batch under those of the inputs, as safetensors.
///
/// # Errors
/// [`Error::Io`], [`Error::Gpu`].
pub fn write(session: &PlannedSession, uploads: &Uploads, path: &Path) -> Result<(), Error> {
    let plan = &session.plans()[0];
    let mut tensors: Vec<(&str, &[usize], Dtype, Vec<u8>)> = Vec::new();
    for (_, value) in plan.graph.parameters() {
        let elements = session.read(&value.name)?;
        tensors.push((&value.name, value.shape.extents(), Dtype::F32, bytemuck::cast_slice(&elements).to_vec()));
    }
    for (&id, bytes) in plan.uploads().iter().zip(uploads.bytes()) {
        let value = plan.graph.value(id);
        let dtype = if value.element == Element::U32 { Dtype::U32 } else { Dtype::F32 };
        debug_assert_eq!(value.role, Role::Input);
        tensors.push((&value.name, value.shape.extents(), dtype, bytes.to_vec()));
    }
    let refused = |error: safetensors::SafeTensorError| Error::from(GpuError::Refused(error.to_string()));
    let mut views = Vec::new();
    for (name, shape, dtype, bytes) in &tensors {
        views.push((*name, TensorView::new(*dtype, shape.to_vec(), bytes).map_err(refused)?));
    }
    let bytes = safetensors::serialize(views, None).map_err(refused)?;
    std::fs::write(path, bytes).map_err(Error::io("write", path))
}
