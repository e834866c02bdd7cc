//! `model.layers`: a net as a list of layers, in TOML.
//!
//! ```toml
//! layers = [
//!   { conv = 16, kernel = 3, padding = 1 },
//!   "relu",
//!   { max_pool = 2 },
//!   "flatten",
//!   { linear = "classes" },
//! ]
//! ```
//!
//! A layer is the name of its kind, or a table in which the kind has its main setting and stands beside the others.

mod written;

use super::ConfigError;
use super::reader::{Reader, wrong};
use super::sections::epsilon;
use super::source::{Node, Value};
use crate::error::Place;
use crate::error::suggest;
use frugal_model::Layer;
use frugal_model::layers::{Conv, NORM, Padding};
use frugal_tensor::GraphError;
use frugal_tensor::ops::activation::{Activation, RELU6};
use frugal_tensor::ops::batch_norm::BatchNorm;
use frugal_tensor::ops::upsample::Upsampling;

type Result<T> = std::result::Result<T, ConfigError>;

/// How deep blocks may lie in each other.
const DEEPEST: usize = 32;
/// How many layers there may be, those in blocks included.
const MOST_LAYERS: usize = 10_000;
/// The most that an extent or a number of channels can be.
const MOST: i64 = 1 << 20;

/// A kind of layer.
struct Kind {
    name: &'static str,
    main: Main,
    /// The settings beside the main one.
    settings: &'static [&'static str],
    /// How to write it, where its name alone will not do.
    example: &'static str,
}

/// The setting that stands with the name of a kind.
#[derive(PartialEq)]
enum Main {
    /// `{ conv = 16, … }`.
    Needed,
    /// `{ leaky_relu = 0.1 }`, `"leaky_relu"`.
    Optional,
    /// `"relu"`; with other settings `{ batch_norm = true, … }`.
    None,
}

const fn needed(name: &'static str, settings: &'static [&'static str], example: &'static str) -> Kind {
    Kind { name, main: Main::Needed, settings, example }
}

const fn plain(name: &'static str) -> Kind {
    Kind { name, main: Main::None, settings: &[], example: "" }
}

const CONV: &[&str] = &["kernel", "stride", "padding", "dilation", "groups", "bias"];
const CONV_TRANSPOSE: &[&str] = &["kernel", "stride", "padding", "output_padding", "dilation", "groups", "bias"];

const KINDS: &[Kind] = &[
    needed("conv", CONV, "{ conv = 16, kernel = 3, padding = 1 }"),
    needed("conv_transpose", CONV_TRANSPOSE, "{ conv_transpose = 16, kernel = 2, stride = 2 }"),
    needed("linear", &[], "{ linear = \"classes\" }"),
    Kind { settings: &["epsilon", "momentum"], ..plain("batch_norm") },
    plain("layer_norm"),
    needed("group_norm", &[], "{ group_norm = 8 }"),
    plain("relu"),
    plain("relu6"),
    Kind { main: Main::Optional, ..plain("leaky_relu") },
    plain("hardtanh"),
    plain("sigmoid"),
    plain("tanh"),
    plain("gelu"),
    plain("silu"),
    needed("max_pool", &["stride", "padding"], "{ max_pool = 2 }"),
    needed("avg_pool", &[], "{ avg_pool = 2 }"),
    needed("adaptive_avg_pool", &[], "{ adaptive_avg_pool = 7 }"),
    plain("global_avg_pool"),
    plain("flatten"),
    needed("upsample", &["mode"], "{ upsample = 2, mode = \"bilinear\" }"),
    needed("dropout", &[], "{ dropout = 0.5 }"),
    needed("residual", &["shortcut"], "{ residual = [{ conv = 16, kernel = 3, padding = 1 }, \"batch_norm\"] }"),
];

/// A list of layers as a config has it.
#[derive(Clone, Debug)]
pub struct Layers {
    list: Vec<Layer>,
    /// The name of each layer in the graph, and where it was written.
    places: Vec<(String, Place)>,
}

/// Where layers were written is no setting.
impl PartialEq for Layers {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Layers {
    /// Reads the list `key`; none if there is none.
    pub(super) fn read(section: &Reader<'_>, key: &str) -> Result<Option<Self>> {
        let mut places = Vec::new();
        let list = layers(section, key, "", &mut places)?;
        Ok(list.map(|list| Self { list, places }))
    }

    /// The layers.
    pub fn list(&self) -> &[Layer] {
        &self.list
    }

    /// What is wrong with the list, where it stands, if the error is about one of its layers.
    pub(crate) fn locate(&self, error: &GraphError) -> Option<ConfigError> {
        let (layer, operator, shapes) = match error {
            GraphError::Shape { layer, operator, shapes, .. } => (layer, *operator, shapes.as_slice()),
            GraphError::TooLarge { layer, .. } => (layer, "", [].as_slice()),
            _ => return None,
        };
        let within = |name: &str| layer.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        // The innermost is the last: blocks come before what is in them.
        let (_, place) = self.places.iter().rev().find(|(name, _)| within(name))?;
        let given = shapes.first().map_or_else(|| "too large".to_owned(), |shape| format!("it is given {shape}"));
        let error = ConfigError::at(place, format!("the layers do not fit: {error}"), given);
        let planes = shapes.first().is_some_and(|shape| shape.rank() == 4);
        Some(match operator {
            "matrix product" if planes => error.help("put \"flatten\" or \"global_avg_pool\" before it"),
            "the loss" if planes => {
                error.help("end with \"flatten\" or \"global_avg_pool\" and `{ linear = \"classes\" }`")
            }
            "the loss" => error.help("`{ linear = \"classes\" }` makes as many as the data has"),
            _ => error,
        })
    }
}

/// A list of layers; `outer` is the name of what it is in, with a dot.
fn layers(table: &Reader<'_>, key: &str, outer: &str, places: &mut Vec<(String, Place)>) -> Result<Option<Vec<Layer>>> {
    let Some(items) = table.list(key)? else { return Ok(None) };
    let numbered = items.iter().enumerate();
    let read = |(number, (path, node)): (usize, &(String, &Node))| {
        let name = format!("{outer}{number}");
        if places.len() == MOST_LAYERS {
            let message = format!("`{path}` is one layer too many: there may be {MOST_LAYERS}");
            return Err(ConfigError::at(&node.place, message, "too many"));
        }
        places.push((name.clone(), node.place.clone()));
        layer(path, node, &name, places)
    };
    numbered.map(read).collect::<Result<_>>().map(Some)
}

fn layer(path: &str, node: &Node, name: &str, places: &mut Vec<(String, Place)>) -> Result<Layer> {
    let names = || KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>();
    let find = |name: &str| KINDS.iter().find(|kind| kind.name == name);
    match &node.value {
        Value::Text(text) => {
            let Some(kind) = find(text) else {
                let message = format!("`{path}`: there is no layer \"{text}\"");
                return Err(ConfigError::at(&node.place, message, "unknown").help(suggest(text, &names())));
            };
            if kind.main == Main::Needed {
                let message = format!("`{path}`: the layer \"{text}\" needs settings");
                let help = format!("write for example `{}`", kind.example);
                return Err(ConfigError::at(&node.place, message, "needs settings").help(help));
            }
            build(kind, &Reader::empty(node, path), name, places)
        }
        Value::Table(entries) => {
            let kinds: Vec<&Kind> = entries.keys().filter_map(|key| find(key)).collect();
            match kinds[..] {
                [kind] => {
                    let keys: Vec<&str> = [kind.name].into_iter().chain(kind.settings.iter().copied()).collect();
                    build(kind, &Reader::open(node, path, &keys)?, name, places)
                }
                [] => {
                    let message = format!("`{path}` does not say which layer it is");
                    let help = match entries.keys().next() {
                        Some(key) => suggest(key, &names()),
                        None => format!("write for example `{}`", KINDS[0].example),
                    };
                    Err(ConfigError::at(&node.place, message, "of no kind").help(help))
                }
                [first, second, ..] => {
                    let message = format!("`{path}` is two layers at once: {} and {}", first.name, second.name);
                    Err(ConfigError::at(&node.place, message, "two").help("give each a place of its own in the list"))
                }
            }
        }
        _ => Err(wrong(path, node, "the name of a layer, or a table such as `{ conv = 16, kernel = 3 }`")),
    }
}

fn build(kind: &Kind, table: &Reader<'_>, name: &str, places: &mut Vec<(String, Place)>) -> Result<Layer> {
    // The main setting, where it is a whole number.
    let main = || integer(table, kind.name, 1, "16");
    if let Some(node) = table.get(kind.name)
        && kind.main == Main::None
        && !matches!(node.value, Value::Flag(true))
    {
        return Err(table.wrong(kind.name, node, "true, as its name has no number"));
    }
    Ok(match kind.name {
        "conv" => Layer::Conv(convolution(table, kind.name)?),
        "conv_transpose" => Layer::ConvTranspose {
            convolution: convolution(table, kind.name)?,
            output_padding: table.integer("output_padding", 0, MOST)?.unwrap_or(0) as usize,
        },
        "linear" => Layer::Linear { outputs: outputs(table)? },
        "batch_norm" => {
            let momentum = table.float("momentum", "from 1e-6 to 1", |value| (1e-6..=1.0).contains(&value))?;
            Layer::BatchNorm(BatchNorm {
                epsilon: epsilon(table)?.map_or(NORM.epsilon, |epsilon| epsilon as f32),
                momentum: momentum.map_or(NORM.momentum, |momentum| momentum as f32),
            })
        }
        "layer_norm" => Layer::LayerNorm,
        "group_norm" => Layer::GroupNorm { groups: main()? },
        "relu" => Layer::Activation(Activation::Relu),
        "relu6" => Layer::Activation(RELU6),
        "leaky_relu" => {
            let slope = table.float("leaky_relu", "from 0 to 1", |slope| (0.0..=1.0).contains(&slope))?;
            Layer::Activation(Activation::LeakyRelu { slope: slope.unwrap_or(0.01) as f32 })
        }
        "hardtanh" => Layer::Activation(HARDTANH),
        "sigmoid" => Layer::Activation(Activation::Sigmoid),
        "tanh" => Layer::Activation(Activation::Tanh),
        "gelu" => Layer::Activation(Activation::Gelu),
        "silu" => Layer::Activation(Activation::Silu),
        "max_pool" => {
            let kernel = main()?;
            let stride = table.integer("stride", 1, MOST)?.map_or(kernel, |stride| stride as usize);
            Layer::MaxPool { kernel, stride, padding: table.integer("padding", 0, MOST)?.unwrap_or(0) as usize }
        }
        "avg_pool" => Layer::AveragePool { kernel: main()? },
        "adaptive_avg_pool" => Layer::AdaptiveAveragePool { extents: extents(table, kind.name)? },
        "global_avg_pool" => Layer::GlobalAveragePool,
        "flatten" => Layer::Flatten,
        "upsample" => {
            let mode = table.choice("mode", &["nearest", "bilinear"])?;
            let how = if mode == Some("bilinear") { Upsampling::Bilinear } else { Upsampling::Nearest };
            Layer::Upsample { factor: main()?, how }
        }
        "dropout" => {
            let rate = table.float("dropout", "from 0 to 0.9999999", |rate| (0.0..=0.999_999_9).contains(&rate))?;
            Layer::Dropout { rate: table.required("dropout", "0.5", rate)? as f32 }
        }
        // A block in a block has two more dots in its name.
        _ if name.matches('.').count() >= 2 * DEEPEST => {
            let message = format!("`{name}` lies {DEEPEST} blocks deep, and no deeper ones are taken");
            return Err(ConfigError::at(table.place(), message, "too deep"));
        }
        _ => {
            let body = layers(table, "residual", &format!("{name}.body."), places)?;
            let shortcut = layers(table, "shortcut", &format!("{name}.shortcut."), places)?;
            Layer::Residual { body: body.unwrap_or_default(), shortcut: shortcut.unwrap_or_default() }
        }
    })
}

/// PyTorch's.
const HARDTANH: Activation = Activation::Clamp { low: -1.0, high: 1.0 };

fn integer(table: &Reader<'_>, key: &str, least: i64, example: &str) -> Result<usize> {
    let number = table.integer(key, least, MOST)?;
    Ok(table.required(key, example, number)? as usize)
}

/// What is absent is as in PyTorch: no padding, a bias.
fn convolution(table: &Reader<'_>, kind: &str) -> Result<Conv> {
    let or = |key, usual: usize| Ok(table.integer(key, 1, MOST)?.map_or(usual, |number| number as usize));
    let padding = match table.get("padding") {
        None => Padding::Even(0),
        Some(Node { value: Value::Integer(padding), .. }) if (0..=MOST).contains(padding) => {
            Padding::Even(*padding as usize)
        }
        Some(Node { value: Value::Text(text), .. }) if text == "same" => Padding::Same,
        Some(node) => return Err(table.wrong("padding", node, "a whole number, or \"same\"")),
    };
    Ok(Conv {
        filters: integer(table, kind, 1, "16")?,
        kernel: integer(table, "kernel", 1, "3")?,
        stride: or("stride", 1)?,
        padding,
        dilation: or("dilation", 1)?,
        groups: or("groups", 1)?,
        bias: table.flag("bias")?.unwrap_or(true),
    })
}

/// `linear = 128`, or `linear = "classes"`.
fn outputs(table: &Reader<'_>) -> Result<Option<usize>> {
    match table.get("linear") {
        Some(Node { value: Value::Text(text), .. }) if text == "classes" => Ok(None),
        Some(Node { value: Value::Integer(outputs), .. }) if (1..=MOST).contains(outputs) => {
            Ok(Some(*outputs as usize))
        }
        Some(node) => Err(table.wrong("linear", node, "a number of outputs, or \"classes\"")),
        None => Ok(None),
    }
}

/// A number for both, or a list of height and width.
fn extents(table: &Reader<'_>, key: &str) -> Result<[usize; 2]> {
    let side = |value: &Value| match value {
        Value::Integer(side) if (1..=MOST).contains(side) => Some(*side as usize),
        _ => None,
    };
    let extents = table.get(key).and_then(|node| match &node.value {
        Value::List(sides) => match &sides[..] {
            [height, width] => Some([side(&height.value)?, side(&width.value)?]),
            _ => None,
        },
        value => side(value).map(|side| [side; 2]),
    });
    match table.get(key) {
        Some(node) => extents.ok_or_else(|| table.wrong(key, node, "a number, or a list of height and width")),
        None => table.required(key, "7", extents),
    }
}
