//! Weights of other programs: safetensors whose header, a JSON, lies in all ways.

use super::{SMALL_SHAPE, Target};
use crate::random::Random;
use crate::tree::Tree;
use crate::{bytes, tree};
use frugal_model::{StepShape, inference_step};
use frugal_tensor::ir::{Graph, Role};
use frugal_trainer::Error;
use frugal_trainer::state::checkpoint::Weights;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::Path;

pub const TARGET: Target = Target { name: "safetensors", file: "net.safetensors", seeds, mutate, attempt };

/// The forward pass of the small net.
fn graph() -> Graph {
    let (image, classes) = SMALL_SHAPE;
    let net = super::small().model.net().expect("a list of layers is a net");
    inference_step(&net, StepShape { batch: 2, sample: image.into(), classes }).expect("it fits its images")
}

fn seeds() -> Vec<Vec<u8>> {
    let graph = graph();
    let trained = graph.values().iter().filter(|value| matches!(value.role, Role::Parameter | Role::Statistic));
    let values: Vec<(String, Vec<usize>)> =
        trained.map(|value| (value.name.clone(), value.shape.extents().to_vec())).collect();
    let file = |prefix: &str, dtype: Dtype, width: usize| {
        let tensors = values.iter().map(|(name, shape)| {
            let zeros = vec![0; width * shape.iter().product::<usize>()];
            (format!("{prefix}{name}"), shape.clone(), zeros)
        });
        let tensors: Vec<_> = tensors.collect();
        let views = tensors.iter().map(|(name, shape, data)| {
            (name.as_str(), TensorView::new(dtype, shape.clone(), data).expect("as many bytes as the shape says"))
        });
        safetensors::serialize(views, None).expect("a file in memory")
    };
    vec![file("", Dtype::F32, 4), file("module.", Dtype::F16, 2), file("", Dtype::BF16, 2), file("", Dtype::F64, 8)]
}

/// The header as a tree, and the bytes behind it.
pub(super) fn parts(file: &[u8]) -> Option<(Tree, &[u8])> {
    let length = u64::from_le_bytes(file.get(..8)?.try_into().expect("eight bytes"));
    let header = file.get(8..8usize.checked_add(usize::try_from(length).ok()?)?)?;
    let tree = serde_json::from_slice::<serde_json::Value>(header).ok()?;
    Some((tree.into(), &file[8 + header.len()..]))
}

/// A file with this header.
pub(super) fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let mut header = header.as_bytes().to_vec();
    header.resize(header.len().next_multiple_of(8), b' ');
    [&(header.len() as u64).to_le_bytes(), &header[..], data].concat()
}

pub(super) fn mutate(input: &[u8], donor: &[u8], random: &mut Random) -> Vec<u8> {
    match (parts(input), parts(donor)) {
        (Some((mut header, data)), Some((donor, _))) if !random.once_in(3) => {
            tree::mutate(&mut header, &donor, random);
            with_header(&header.to_json(), data)
        }
        _ => bytes::mutate(input, donor, random),
    }
}

fn attempt(path: &Path) -> Result<(), Error> {
    thread_local!(static GRAPH: Graph = graph());
    let weights = Weights::read(path)?;
    GRAPH.with(|graph| weights.fit("small", graph, &[]).map(|_| ()))?;
    Ok(())
}
