//! The section `model`: which net, and what it starts from.

use super::Layers;
use frugal_data::Goal;
use frugal_model::{Mlp, ModelError, Net, Task};
use serde::Serialize;
use std::path::PathBuf;

/// What learns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// A net by name, or as a list of layers.
    #[serde(flatten)]
    pub design: Design,
    /// Outputs of the hidden layers of `mlp`; none for the usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<usize>>,
    /// The share of the hidden layers' outputs that training of `mlp` drops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// Elements of a category's embedding; none for the usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<usize>,
    /// Whether it is trained for numbers: `data.task` says so.
    #[serde(skip)]
    pub values: bool,
    /// One in this many of a named net's hidden channels, rounded up: the same layers, for small data and small machines.
    #[serde(skip_serializing_if = "is_one")]
    pub narrow: usize,
    /// Where its values come from at first: a safetensors file with PyTorch's names, or a checkpoint. None for values by
    /// chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    /// Layers that begin by chance all the same, such as a classifier of other classes, by their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights_except: Vec<String>,
}

/// What a net is made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Design {
    /// A net by name (`frugal nets`).
    Net(String),
    /// Layers, one after the other.
    Layers(Layers),
}

impl Model {
    /// What to call the net.
    pub fn name(&self) -> &str {
        match &self.design {
            Design::Net(name) => name,
            Design::Layers(_) => Net::SEQUENTIAL,
        }
    }

    /// What the net makes of images.
    pub fn task(&self) -> Task {
        self.net().map_or(Task::Classes, |net| net.task)
    }

    /// What the net is to make of images of a set with so many classes.
    pub fn goal(&self, classes: usize) -> Goal {
        match self.task() {
            Task::Classes => Goal::Classes(classes),
            Task::Pixels | Task::Images => Goal::Images,
            // Rows have their targets with them.
            Task::Values => Goal::Classes(classes),
        }
    }

    /// The net.
    ///
    /// # Errors
    /// [`ModelError::NoSuchNet`].
    pub fn net(&self) -> Result<Net, ModelError> {
        let usual = Mlp::USUAL;
        let net = match &self.design {
            Design::Net(_) if self.hidden.is_some() || self.dropout.is_some() => Net::mlp(Mlp {
                hidden: self.hidden.clone().map_or(usual.hidden, Into::into),
                dropout: self.dropout.map_or(usual.dropout, |share| share as f32),
            })
            .narrowed(self.narrow),
            Design::Net(name) => Net::find(name)?.narrowed(self.narrow),
            Design::Layers(layers) => Net::sequential(layers.list()),
        };
        let net = self.embedding.map_or(net.clone(), |elements| net.with_embedding(elements));
        Ok(if self.values { net.for_values() } else { net })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
fn is_one(count: &usize) -> bool {
    *count == 1
}
