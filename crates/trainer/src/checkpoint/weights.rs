//! Weights of any program: safetensors with PyTorch's names, which are ours as well.
//!
//! Nets carry torchvision's parameter names and layouts (`crates/model/tests/torchvision.rs` compares them), lists of layers
//! those of `nn.Sequential`, so a `state_dict` that was saved as safetensors fits as it is.

use super::{Checkpoint, CheckpointError, PARAMETER, STATISTIC, Tensor, decode};
use crate::Error;
use frugal_tensor::Session;
use frugal_tensor::graph::{Element, Graph, Kind, Value};
use frugal_tensor::ops::optimizer::Recipe;
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// How many names of one kind an error lists.
const LISTED: usize = 8;

/// The values of a trained net: parameters and running statistics.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Where they come from.
    pub path: PathBuf,
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// Reads a checkpoint, or any safetensors file. Numbers of 16 or 64 bits become f32; tensors of whole numbers, such as
    /// PyTorch's `num_batches_tracked`, are left out.
    ///
    /// # Errors
    /// [`Error::Io`], [`CheckpointError::Damaged`], [`CheckpointError::Newer`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = crate::input::read(path, u64::MAX).map_err(Error::io("read", path))?;
        match decode(path, &bytes) {
            Ok(checkpoint) => Ok(Self::of(path, checkpoint)),
            Err(CheckpointError::Foreign(_)) => Ok(Self { path: path.to_path_buf(), tensors: floats(path, &bytes)? }),
            Err(error) => Err(error.into()),
        }
    }

    /// Those of a checkpoint: averages in the place of parameters where it has both, as evaluations have them.
    pub fn of(path: &Path, checkpoint: Checkpoint) -> Self {
        let Checkpoint { about, mut tensors } = checkpoint;
        let mut kept = BTreeMap::new();
        for (name, kind) in about.kinds {
            if kind == PARAMETER || kind == STATISTIC {
                let average = tensors.remove(&format!("{name}{}", Recipe::AVERAGE));
                let tensor = average.or_else(|| tensors.remove(&name));
                // Counters and the like are not the net's.
                if let Some(tensor) = tensor.filter(|tensor| tensor.element == Element::F32) {
                    kept.insert(name, tensor);
                }
            }
        }
        Self { path: path.to_path_buf(), tensors: kept }
    }

    /// Whether these are the values of a net, but for these of its layers and what is in them. `net` is for messages.
    ///
    /// # Errors
    /// [`CheckpointError::Weights`] says what differs, [`CheckpointError::NoSuchLayer`] which layer is nowhere.
    pub fn check(&self, net: &str, graph: &Graph, except: &[String]) -> Result<(), CheckpointError> {
        let values: BTreeMap<&str, &[usize]> =
            trained(graph).map(|value| (value.name.as_str(), value.shape.extents())).collect();
        let names = || values.keys().copied().chain(self.tensors.keys().map(String::as_str));
        if let Some(layer) = except.iter().find(|layer| !names().any(|name| is_in(name, layer))) {
            let (path, net, layer) = (self.path.clone(), net.to_owned(), layer.clone());
            return Err(CheckpointError::NoSuchLayer { path, net, layer });
        }
        let mut differences = Differences::default();
        // In the order of the graph.
        for value in trained(graph).filter(|value| !is_excepted(&value.name, except)) {
            let here = value.shape.extents();
            match self.tensors.get(&value.name) {
                Some(tensor) if tensor.shape == here => {}
                Some(tensor) => differences.shapes.push((value.name.clone(), tensor.shape.clone(), here.to_vec())),
                None => differences.missing.push(value.name.clone()),
            }
        }
        let extra = |name: &&String| !values.contains_key(name.as_str()) && !is_excepted(name, except);
        differences.extra = self.tensors.keys().filter(extra).cloned().collect();
        if differences == Differences::default() {
            return Ok(());
        }
        Err(CheckpointError::Weights { path: self.path.clone(), net: net.to_owned(), differences })
    }

    /// Writes the values into a session of the net that was [checked](Weights::check).
    ///
    /// # Errors
    /// What befell the device.
    pub fn restore(&self, session: &Session, except: &[String]) -> Result<(), Error> {
        for value in trained(&session.plans()[0].graph).filter(|value| !is_excepted(&value.name, except)) {
            if let Some(tensor) = self.tensors.get(&value.name) {
                session.write_words(&value.name, &tensor.words)?;
            }
        }
        Ok(())
    }
}

/// Whether a value is of this layer, or of one in it.
fn is_in(name: &str, layer: &str) -> bool {
    name.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'))
}

fn is_excepted(name: &str, layers: &[String]) -> bool {
    layers.iter().any(|layer| is_in(name, layer))
}

/// The parameters and running statistics of a graph.
fn trained(graph: &Graph) -> impl Iterator<Item = &Value> {
    let values = graph.values().iter();
    values.filter(|value| matches!(value.kind, Kind::Parameter | Kind::Statistic) && value.element == Element::F32)
}

/// All tensors of floats, under our names.
fn floats(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, CheckpointError> {
    let damaged = |reason: String| CheckpointError::Damaged { path: path.to_path_buf(), reason };
    let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
    let tensor = |view: &TensorView<'_>| {
        let data = view.data();
        let words = match view.dtype() {
            Dtype::F32 => data.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect(),
            Dtype::F16 => words(data.chunks_exact(2).map(|x| bytemuck::pod_read_unaligned::<f16>(x).to_f32())),
            Dtype::BF16 => words(data.chunks_exact(2).map(|x| bytemuck::pod_read_unaligned::<bf16>(x).to_f32())),
            Dtype::F64 => words(data.chunks_exact(8).map(|x| bytemuck::pod_read_unaligned::<f64>(x) as f32)),
            _ => return None,
        };
        Some(Tensor { shape: view.shape().to_vec(), element: Element::F32, words })
    };
    Ok(file.tensors().into_iter().filter_map(|(name, view)| Some((our_name(&name), tensor(&view)?))).collect())
}

fn words(values: impl Iterator<Item = f32>) -> Vec<u32> {
    values.map(f32::to_bits).collect()
}

/// Our name for PyTorch's: the same, but for two old habits.
fn our_name(name: &str) -> String {
    // `DataParallel` puts this before everything.
    let name = name.strip_prefix("module.").unwrap_or(name);
    // torchvision's published densenet121 says `denselayer1.norm.1.weight`; its code reads that as `denselayer1.norm1.weight`.
    if !name.contains(".denselayer") {
        return name.to_owned();
    }
    ["norm", "conv"].iter().fold(name.to_owned(), |name, part| {
        [1, 2]
            .iter()
            .fold(name, |name, number| name.replace(&format!(".{part}.{number}."), &format!(".{part}{number}.")))
    })
}

/// In what a file's tensors differ from a net's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Names with their extents in the file and in the net.
    pub shapes: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// What the net has and the file lacks.
    pub missing: Vec<String>,
    /// What the file has and the net lacks.
    pub extra: Vec<String>,
}

impl Differences {
    /// The layer, with its outputs in the file and in the net, if that is all that differs: a classifier of other classes.
    pub fn classifier(&self) -> Option<(&str, usize, usize)> {
        let (first, there, here) = self.shapes.first()?;
        let layer = first.rsplit_once('.')?.0;
        let outputs = (*there.first()?, *here.first()?);
        let same = |(name, there, here): &(String, Vec<usize>, Vec<usize>)| {
            name.rsplit_once('.').is_some_and(|(other, _)| other == layer)
                && there.len() == here.len()
                && there[1..] == here[1..]
                && (there[0], here[0]) == outputs
        };
        let alone = self.missing.is_empty() && self.extra.is_empty();
        // A weight and a bias: a convolution in the middle has other layers behind it.
        (alone && self.shapes.len() <= 2 && self.shapes.iter().all(same)).then_some((layer, outputs.0, outputs.1))
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |names: Vec<String>| {
            let more = names.len().saturating_sub(LISTED);
            let shown = names.into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
            if more == 0 { shown } else { format!("{shown} and {more} more") }
        };
        let extents = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
        let quoted = |names: &[String]| listed(names.iter().map(|name| format!("`{name}`")).collect());
        let shape = |(name, there, here): &(String, Vec<usize>, Vec<usize>)| {
            format!("`{name}` is {} there and {} here", extents(there), extents(here))
        };
        let mut parts = Vec::new();
        if !self.shapes.is_empty() {
            parts.push(listed(self.shapes.iter().map(shape).collect()));
        }
        if !self.missing.is_empty() {
            parts.push(format!("the file lacks {}", quoted(&self.missing)));
        }
        if !self.extra.is_empty() {
            parts.push(format!("the net has no {}", quoted(&self.extra)));
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_are_understood() {
        let old = "module.features.denseblock1.denselayer12.norm.2.running_mean";
        assert_eq!(our_name(old), "features.denseblock1.denselayer12.norm2.running_mean");
        let new = "features.denseblock1.denselayer12.conv1.weight";
        assert_eq!(our_name(new), new);
        // A layer of another net that is called so.
        assert_eq!(our_name("body.norm.1.weight"), "body.norm.1.weight");
    }

    #[test]
    fn a_classifier_is_told_from_another_net() {
        let shape = |name: &str, there: &[usize], here: &[usize]| (name.to_owned(), there.to_vec(), here.to_vec());
        let fc = [shape("fc.weight", &[1000, 512], &[10, 512]), shape("fc.bias", &[1000], &[10])];
        let shapes = |shapes: &[(String, Vec<usize>, Vec<usize>)]| Differences {
            shapes: shapes.to_vec(),
            ..Differences::default()
        };
        assert_eq!(shapes(&fc).classifier(), Some(("fc", 1000, 10)));
        assert_eq!(shapes(&[fc[0].clone(), shape("fc2.bias", &[1000], &[10])]).classifier(), None);
        assert_eq!(shapes(&[shape("fc.weight", &[10, 256], &[10, 512])]).classifier(), None);
        let missing = vec!["conv1.weight".to_owned()];
        assert_eq!(Differences { missing, ..shapes(&fc) }.classifier(), None);
    }
}
