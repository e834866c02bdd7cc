//! Which tensor of a file is which value of a net.
//!
//! Names are PyTorch's. What wrappers put before them (`module.` of `DataParallel`, `_orig_mod.` of `torch.compile`, `model.` of
//! many trainers) is taken away from a name that the net does not have.

use super::{CheckpointError, Differences, Tensor, Weights};
use crate::Error;
use frugal_tensor::PlannedSession;
use frugal_tensor::ir::{Element, Graph, Role, Value};
use std::collections::HashMap;

/// What wrappers put before names, perhaps several of them.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// Tensors, each for a value of a net, in the order of its graph.
#[derive(Debug)]
pub struct Matched<'a>(Vec<(String, &'a Tensor)>);

impl Matched<'_> {
    /// Writes the values into a session of that net.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn restore(&self, session: &PlannedSession) -> Result<(), Error> {
        self.0.iter().try_for_each(|(name, tensor)| Ok(session.write_words(name, &tensor.words)?))
    }
}

impl Weights {
    /// The tensors for the values of a net, but for these of its layers and what is in them. `net` is for messages.
    ///
    /// # Errors
    /// [`CheckpointError::Weights`] says what differs, [`CheckpointError::NoSuchLayer`] which layer is nowhere,
    /// [`CheckpointError::TwoTensors`] which two have one name, [`CheckpointError::NotFinite`] what is no number.
    pub fn fit(&self, net: &str, graph: &Graph, except: &[String]) -> Result<Matched<'_>, CheckpointError> {
        let values: HashMap<&str, &Value> = trained(graph).map(|value| (value.name.as_str(), value)).collect();
        let in_file = || self.tensors.keys().chain(self.unread.keys());
        let somewhere = |layer: &String| {
            values.keys().any(|name| is_in(name, layer))
                || in_file().flat_map(|name| names(name)).any(|name| is_in(&name, layer))
        };
        if let Some(layer) = except.iter().find(|layer| !somewhere(layer)) {
            let (path, net, layer) = (self.path.clone(), net.to_owned(), layer.clone());
            return Err(CheckpointError::NoSuchLayer { path, net, layer });
        }
        let mut found: HashMap<String, &String> = HashMap::new();
        let mut differences = Differences::default();
        for name in in_file() {
            let Some(value) = names(name).find(|name| values.contains_key(name.as_str())) else {
                // Counters and the like are nobody's.
                if self.tensors.contains_key(name) && !names(name).any(|name| is_excepted(&name, except)) {
                    differences.extra.push(name.clone());
                }
                continue;
            };
            if let Some(other) = found.insert(value.clone(), name) {
                let (path, names) = (self.path.clone(), [other.clone(), name.clone()]);
                return Err(CheckpointError::TwoTensors { path, value, names });
            }
        }
        let mut fit = Vec::new();
        for value in trained(graph).filter(|value| !is_excepted(&value.name, except)) {
            let (name, here) = (&value.name, value.shape.extents());
            let Some(&file_name) = found.get(name) else {
                differences.missing.push(name.clone());
                continue;
            };
            match self.tensors.get(file_name) {
                Some(tensor) if tensor.shape == here => fit.push((name.clone(), tensor)),
                Some(tensor) => differences.shapes.push((name.clone(), tensor.shape.clone(), here.to_vec())),
                None => differences.types.push((name.clone(), self.unread[file_name].clone())),
            }
        }
        if differences != Differences::default() {
            let (path, net, differences) = (self.path.clone(), net.to_owned(), Box::new(differences));
            return Err(CheckpointError::Weights { path, net, differences });
        }
        for (name, tensor) in &fit {
            let mut values = tensor.words.iter().map(|&word| f32::from_bits(word));
            if let Some(value) = values.find(|value| !value.is_finite()) {
                return Err(CheckpointError::NotFinite { path: self.path.clone(), name: name.clone(), value });
            }
        }
        Ok(Matched(fit))
    }
}

/// The names that a tensor may have in a net: its own, and without what wrappers put before it.
fn names(name: &str) -> impl Iterator<Item = String> {
    std::iter::successors(Some(name), |name| PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))).map(our_name)
}

/// Our name for PyTorch's: the same, but for an old habit.
fn our_name(name: &str) -> String {
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

/// Whether a value is of this layer, or of one in it.
fn is_in(name: &str, layer: &str) -> bool {
    name.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'))
}

fn is_excepted(name: &str, layers: &[String]) -> bool {
    layers.iter().any(|layer| is_in(name, layer))
}

/// The parameters and running statistics of a graph.
pub(super) fn trained(graph: &Graph) -> impl Iterator<Item = &Value> {
    let values = graph.values().iter();
    values.filter(|value| matches!(value.role, Role::Parameter | Role::Statistic) && value.element == Element::F32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_are_understood() {
        let old = "features.denseblock1.denselayer12.norm.2.running_mean";
        assert_eq!(our_name(old), "features.denseblock1.denselayer12.norm2.running_mean");
        let new = "features.denseblock1.denselayer12.conv1.weight";
        assert_eq!(our_name(new), new);
        // A layer of another net that is called so.
        assert_eq!(our_name("body.norm.1.weight"), "body.norm.1.weight");
    }

    #[test]
    fn what_wrappers_put_before_a_name_may_go() {
        let all: Vec<String> = names("module._orig_mod.model.module.fc.weight").collect();
        let shorter = ["module._orig_mod.model.module.", "_orig_mod.model.module.", "model.module.", "module.", ""];
        assert_eq!(all, shorter.map(|prefix| format!("{prefix}fc.weight")));
        assert_eq!(names("models.fc.weight").count(), 1);
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
