//! Where a measured step starts from, as a file: with it other programs can take the same steps, and losses can be compared.

use super::uploads::Uploads;
use crate::Error;
use frugal_tensor::ir::{Element, Init, Node, OperatorKind, Role, ValueId};
use frugal_tensor::{GpuError, Plan, PlannedSession};
use safetensors::{Dtype, tensor::TensorView};
use std::path::Path;

/// What the step makes of an input of bytes, as the words of floats: by the table of its channel.
fn read(plan: &Plan, input: ValueId, bytes: &[u8]) -> Vec<u32> {
    let reads = |node: &&Node| node.operator.kind() == OperatorKind::NormalizeBytes && node.inputs[0] == input;
    let node = plan.graph.nodes().iter().find(reads).expect("bytes have a reader");
    let Some(Init::Words(table)) = &plan.graph.value(node.inputs[1]).init else {
        unreachable!("its table is constant")
    };
    let [_, channels, plane] = plan.graph.shape(input).planes().expect("images have channels");
    let value = |(at, &byte): (usize, &u8)| table[at / plane % channels * 256 + usize::from(byte)];
    bytes.iter().enumerate().map(value).collect()
}

/// Writes the parameters under their names, and the batch under those of the inputs, as safetensors; images as the net reads them.
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
        debug_assert_eq!(value.role, Role::Input);
        let (dtype, bytes) = match value.element {
            Element::U32 => (Dtype::U32, bytes.to_vec()),
            Element::U8 => (Dtype::F32, bytemuck::cast_slice(&read(plan, id, bytes)).to_vec()),
            _ => (Dtype::F32, bytes.to_vec()),
        };
        tensors.push((&value.name, value.shape.extents(), dtype, bytes));
    }
    let refused = |error: safetensors::SafeTensorError| Error::from(GpuError::Refused(error.to_string()));
    let mut views = Vec::new();
    for (name, shape, dtype, bytes) in &tensors {
        views.push((*name, TensorView::new(*dtype, shape.to_vec(), bytes).map_err(refused)?));
    }
    let bytes = safetensors::serialize(views, None).map_err(refused)?;
    std::fs::write(path, bytes).map_err(Error::io("write", path))
}
