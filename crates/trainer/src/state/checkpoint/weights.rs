//! Weights of any program: safetensors with PyTorch's names, which are ours as well.
//!
//! Nets carry torchvision's parameter names and layouts (`crates/model/tests/torchvision.rs` compares them), lists of layers
//! those of `nn.Sequential`, so a `state_dict` that was saved as safetensors fits as it is. Those that a run leaves say in
//! their metadata what they learned from, so that they can be used without the run.

use super::matching::trained;
use super::{About, Checkpoint, CheckpointError, PARAMETER, STATISTIC, Tensor, decode};
use crate::Error;
use crate::artifacts::DataFacts;
use crate::error::check_format;
use frugal_tensor::ir::Element;
use frugal_tensor::ops::optimizer::UpdateConfig;
use frugal_tensor::{GpuError, PlannedSession};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// The only entry of the metadata: a map of several would come out in any order, and equal runs must give equal files.
const ENTRY: &str = "frugal";

/// The values of a trained net: parameters and running statistics.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Where they come from.
    pub path: PathBuf,
    /// What they say of themselves, if they do.
    pub origin: Option<Origin>,
    pub(super) tensors: BTreeMap<String, Tensor>,
    /// Tensors whose numbers are not read, with their type.
    pub(super) unread: BTreeMap<String, String>,
}

/// The run that weights are from: the metadata of `weights.safetensors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The net.
    pub net: String,
    /// The seed.
    pub seed: u32,
    /// What it learned from.
    pub data: DataFacts,
}

impl Weights {
    /// Reads a checkpoint, or any safetensors file. Numbers of 16 or 64 bits become f32; tensors of whole numbers, such as
    /// PyTorch's `num_batches_tracked`, are left out.
    ///
    /// # Errors
    /// [`Error::Io`], [`CheckpointError::OtherFormat`], [`CheckpointError::Damaged`], [`CheckpointError::Newer`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        check_format(path)?;
        let bytes = frugal_data::input::read(path, u64::MAX).map_err(Error::io("read", path))?;
        match decode(path, &bytes) {
            Ok(checkpoint) => Ok(Self::of(path, checkpoint)),
            Err(CheckpointError::Foreign(_)) => Ok(Self::of_bytes(path, &bytes)?),
            Err(error) => Err(error.into()),
        }
    }

    /// Those of a checkpoint: averages in the place of parameters where it has both, as evaluations have them.
    pub fn of(path: &Path, checkpoint: Checkpoint) -> Self {
        let Checkpoint { about, mut tensors } = checkpoint;
        let origin = Origin::of(&about);
        let mut kept = BTreeMap::new();
        for (name, kind) in about.kinds {
            if kind == PARAMETER || kind == STATISTIC {
                let average = tensors.remove(&format!("{name}{}", UpdateConfig::AVERAGE));
                let tensor = average.or_else(|| tensors.remove(&name));
                // Counters and the like are not the net's.
                if let Some(tensor) = tensor.filter(|tensor| tensor.element == Element::F32) {
                    kept.insert(name, tensor);
                }
            }
        }
        Self { path: path.to_path_buf(), origin, tensors: kept, unread: BTreeMap::new() }
    }

    /// Those that a session has come to, averages in the place of parameters where it has both. `path` is where they will be.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn of_session(session: &PlannedSession, path: PathBuf, origin: Origin) -> Result<Self, Error> {
        let graph = &session.plans()[0].graph;
        let mut tensors = BTreeMap::new();
        for value in trained(graph) {
            let average = format!("{}{}", value.name, UpdateConfig::AVERAGE);
            let source = if graph.find(&average).is_some() { &average } else { &value.name };
            let words = words(session.read(source)?.into_iter());
            let shape = value.shape.extents().to_vec();
            tensors.insert(value.name.clone(), Tensor { shape, element: Element::F32, words });
        }
        Ok(Self { path, origin: Some(origin), tensors, unread: BTreeMap::new() })
    }

    /// From any safetensors file.
    fn of_bytes(path: &Path, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let damaged = |reason: String| CheckpointError::Damaged { path: path.to_path_buf(), reason };
        let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
        let (mut tensors, mut unread) = (BTreeMap::new(), BTreeMap::new());
        for (name, view) in file.tensors() {
            match floats(&view) {
                Some(words) => {
                    let shape = view.shape().to_vec();
                    tensors.insert(name, Tensor { shape, element: Element::F32, words });
                }
                None => {
                    unread.insert(name, view.dtype().to_string());
                }
            }
        }
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
        let entry = header.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
        // Older versions wrote a sentence, and others may write what they like.
        let origin: Option<Origin> = entry.and_then(|text| serde_json::from_str(text).ok());
        if let Some(origin) = &origin {
            origin.data.check().map_err(|reason| damaged(format!("its metadata cannot be true: {reason}")))?;
        }
        Ok(Self { path: path.to_path_buf(), origin, tensors, unread })
    }

    /// The bytes of a safetensors file.
    ///
    /// # Errors
    /// [`GpuError::Refused`] if a tensor's words are not as many as its extents say: a defect of Frugal.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let refused = |error: safetensors::SafeTensorError| Error::from(GpuError::Refused(error.to_string()));
        let view = |(name, tensor)| -> Result<_, _> {
            let Tensor { shape, words, .. }: &Tensor = tensor;
            Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(words))?))
        };
        let views = self.tensors.iter().map(view).collect::<Result<Vec<_>, _>>().map_err(refused)?;
        let text = |origin| serde_json::to_string(origin).expect("facts have text keys only");
        let metadata = self.origin.as_ref().map(|origin| HashMap::from([(ENTRY.to_owned(), text(origin))]));
        safetensors::serialize(views, metadata).map_err(refused)
    }

    /// The numbers, by their names.
    pub fn into_values(self) -> HashMap<String, Vec<f32>> {
        let values = |words: Vec<u32>| words.into_iter().map(f32::from_bits).collect();
        self.tensors.into_iter().map(|(name, tensor)| (name, values(tensor.words))).collect()
    }
}

impl Origin {
    /// Of a checkpoint, if it is not of an older version that did not write it down.
    fn of(about: &About) -> Option<Self> {
        let content = about.data.clone()?;
        let data = DataFacts {
            set: about.set.clone(),
            shape: about.image,
            class_names: content.classes.clone(),
            numbered: about.numbered,
            mean: about.mean.clone(),
            std: about.std.clone(),
            // Those of a table are in the run's folder, and in the weights that it leaves.
            columns: None,
            content: Some(content),
            parts: None,
        };
        data.check().is_ok().then(|| Self { net: about.net.clone(), seed: about.seed, data })
    }
}

/// The numbers of a tensor as f32, as bits; none if they are whole numbers, or of less than 16 bits.
fn floats(view: &TensorView<'_>) -> Option<Vec<u32>> {
    let data = view.data();
    Some(match view.dtype() {
        Dtype::F32 => data.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect(),
        Dtype::F16 => words(data.chunks_exact(2).map(|x| bytemuck::pod_read_unaligned::<f16>(x).to_f32())),
        Dtype::BF16 => words(data.chunks_exact(2).map(|x| bytemuck::pod_read_unaligned::<bf16>(x).to_f32())),
        Dtype::F64 => words(data.chunks_exact(8).map(|x| bytemuck::pod_read_unaligned::<f64>(x) as f32)),
        _ => return None,
    })
}

fn words(values: impl Iterator<Item = f32>) -> Vec<u32> {
    values.map(f32::to_bits).collect()
}
