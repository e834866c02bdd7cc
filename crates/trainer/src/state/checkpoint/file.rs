//! A checkpoint as one safetensors file, so that tensors and JSON are always of the same moment.
//!
//! The metadata has one entry `frugal`: `{"format": 1, "checksum": "…", "about": {…}}`. The checksum is the CRC-32C of the
//! text of `about` and of the name, extents and bytes of each tensor, in the order of their names: a file that was cut off
//! or changed is told from a whole one. A later version of Frugal that changes the meaning of anything raises the format.

use super::{About, Checkpoint, CheckpointError, Tensor};
use crate::Error;
use frugal_tensor::GpuError;
use frugal_tensor::ir::Element;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The format that this version writes, and the latest that it reads.
pub const FORMAT: u64 = 1;

/// The only entry of the metadata: a map of several would come out in any order, and equal states must give equal files.
const ENTRY: &str = "frugal";

#[derive(Serialize, Deserialize)]
struct Envelope {
    format: u64,
    checksum: String,
    about: Box<RawValue>,
}

/// The bytes of the file.
///
/// # Errors
/// [`GpuError::Refused`] if a tensor's words are not as many as its extents say: a defect of Frugal.
pub fn encode(checkpoint: &Checkpoint) -> Result<Vec<u8>, Error> {
    let refused = |error: safetensors::SafeTensorError| Error::from(GpuError::Refused(error.to_string()));
    let about = serde_json::to_string(&checkpoint.about).expect("the state of a run has text keys only");
    let checksum = checksum(&about, &checkpoint.tensors);
    let about = RawValue::from_string(about).expect("it was just written as JSON");
    let envelope = serde_json::to_string(&Envelope { format: FORMAT, checksum, about }).expect("three plain fields");
    let mut views = Vec::new();
    for (name, tensor) in &checkpoint.tensors {
        let bytes: &[u8] = bytemuck::cast_slice(&tensor.words);
        let (dtype, bytes) = match tensor.element {
            Element::F32 => (Dtype::F32, bytes),
            Element::U32 => (Dtype::U32, bytes),
            // Without what fills the last word.
            Element::U8 => (Dtype::U8, &bytes[..tensor.shape.iter().product()]),
            other => return Err(GpuError::Refused(format!("checkpoints have no {other:?}")).into()),
        };
        let view = TensorView::new(dtype, tensor.shape.clone(), bytes);
        views.push((name.as_str(), view.map_err(refused)?));
    }
    safetensors::serialize(views, Some(HashMap::from([(ENTRY.to_owned(), envelope)]))).map_err(refused)
}

/// From the bytes of a file; `path` is for messages.
///
/// # Errors
/// [`CheckpointError::Damaged`], [`CheckpointError::Newer`], [`CheckpointError::Foreign`].
pub fn decode(path: &Path, bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let damaged = |reason: String| CheckpointError::Damaged { path: path.to_path_buf(), reason };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
    let text = header.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
    let foreign = || CheckpointError::Foreign(path.to_path_buf());
    let text = text.ok_or_else(foreign)?;
    // The number first: a later format may have other fields.
    let format = serde_json::from_str::<serde_json::Value>(text).ok().and_then(|value| value["format"].as_u64());
    match format {
        Some(format) if format > FORMAT => {
            return Err(CheckpointError::Newer { path: path.to_path_buf(), format, newest: FORMAT });
        }
        Some(_) => {}
        None => return Err(foreign()),
    }
    let unreadable = |error: serde_json::Error| damaged(format!("its description cannot be read: {error}"));
    let envelope: Envelope = serde_json::from_str(text).map_err(unreadable)?;
    let tensors = tensors(path, bytes)?;
    let (found, wanted) = (checksum(envelope.about.get(), &tensors), envelope.checksum);
    if found != wanted {
        return Err(damaged(format!("its checksum is {found}, not {wanted}")));
    }
    let about: About = serde_json::from_str(envelope.about.get()).map_err(unreadable)?;
    super::validate::check(&about, &tensors).map_err(damaged)?;
    Ok(Checkpoint { about, tensors })
}

/// The tensors of any safetensors file that have words of 32 bits or bytes.
///
/// # Errors
/// [`CheckpointError::Damaged`].
pub fn tensors(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, CheckpointError> {
    let damaged = |reason: String| CheckpointError::Damaged { path: path.to_path_buf(), reason };
    let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
    let tensor = |view: &TensorView<'_>| {
        let element = match view.dtype() {
            Dtype::F32 => Element::F32,
            Dtype::U32 => Element::U32,
            Dtype::U8 => Element::U8,
            _ => return None,
        };
        // The tensors of a file need not begin at multiples of four bytes.
        let word = |bytes: &[u8]| {
            let mut word = [0; 4];
            word[..bytes.len()].copy_from_slice(bytes);
            u32::from_ne_bytes(word)
        };
        let words = view.data().chunks(4).map(word).collect();
        Some(Tensor { shape: view.shape().to_vec(), element, words })
    };
    Ok(file.tensors().into_iter().filter_map(|(name, view)| Some((name, tensor(&view)?))).collect())
}

/// The checksum of a file with this description, as JSON, and these tensors.
pub fn checksum(about: &str, tensors: &BTreeMap<String, Tensor>) -> String {
    let mut sum = crc32c::crc32c(about.as_bytes());
    for (name, Tensor { shape, words, .. }) in tensors {
        sum = crc32c::crc32c_append(sum, format!("{name} {shape:?}").as_bytes());
        sum = crc32c::crc32c_append(sum, bytemuck::cast_slice(words));
    }
    format!("{sum:08x}")
}
