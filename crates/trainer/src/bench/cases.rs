//! What is measured of operators: layers of real nets, and what of a step no single layer shows.

use crate::Error;
use crate::config::{CodecSpec, PolicySpec, SavePolicy};
use frugal_model::layers::{Conv, Mode, batch_norm, group_norm, layer_norm, relu6};
use frugal_model::{Net, StepShape, Training, training_step};
use frugal_tensor::Plan;
use frugal_tensor::codec::Policy;
use frugal_tensor::ir::{Element, Graph, GraphError, Init, ValueId};
use frugal_tensor::ops::activation::Activation;
use frugal_tensor::ops::loss::{ElementLoss, Loss};
use frugal_tensor::ops::matmul::MatMul;
use frugal_tensor::ops::optimizer::{Adam, Optimizer, RmsProp, Sgd, UpdateConfig};
use frugal_tensor::ops::upsample::Upsampling;
use frugal_tensor::plan::StepRole;

/// A graph, and which of its nodes are measured.
pub struct Case {
    /// Where it comes from, for readers: a net and its layer.
    pub layer: String,
    /// What is computed.
    pub graph: Graph,
    /// In which form saved tensors are kept.
    pub policy: Policy,
    /// Labels are below this.
    pub classes: usize,
    /// Whether a node is measured.
    pub measures: fn(&Plan, usize, StepRole) -> bool,
}

/// All of them.
///
/// # Errors
/// [`Error::Model`]: a defect of Frugal.
pub fn all() -> Result<Vec<Case>, Error> {
    let mut cases = Vec::new();
    cases.extend(convolutions()?);
    cases.extend(products()?);
    cases.extend(others()?);
    cases.extend(losses()?);
    cases.extend(updates()?);
    cases.extend(codecs()?);
    Ok(cases)
}

const SGD: Optimizer = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 });

fn graph_error(error: GraphError) -> Error {
    Error::Model(error.into())
}

/// A layer over a value of this shape, forward and backward.
fn layer(
    name: &str,
    shape: &[usize],
    build: impl FnOnce(&mut Graph, ValueId) -> Result<ValueId, GraphError>,
) -> Result<Case, Error> {
    let mut graph = Graph::new();
    let add = || {
        // Images want no gradient.
        let x = match shape {
            [_, 1 | 3, _, _] => graph.input("images", shape, Element::F32),
            _ => graph.parameter("x", shape, Init::Uniform { bound: 1.0 })?,
        };
        let y = graph.within("layer", |graph| build(graph, x))?;
        let arriving = graph.shape(y).clone();
        let arriving = graph.input("arriving", arriving, Element::F32);
        graph.differentiate(&[(y, Some(arriving))])
    };
    add().map_err(graph_error)?;
    Ok(Case { layer: name.to_owned(), graph, policy: Policy::raw(), classes: 10, measures: |_, _, _| true })
}

/// Net and layer, N×C×H×W, filters, extent of the kernel, stride, groups.
type Convolution = (&'static str, [usize; 4], usize, usize, usize, usize);

const CONVOLUTIONS: &[Convolution] = &[
    ("lenet conv1", [64, 1, 28, 28], 8, 5, 1, 1),
    ("lenet conv2", [64, 8, 14, 14], 16, 5, 1, 1),
    ("resnet20 conv1", [32, 3, 32, 32], 16, 3, 1, 1),
    ("resnet20 layer1", [32, 16, 32, 32], 16, 3, 1, 1),
    ("resnet20 layer2.0.conv1", [32, 16, 32, 32], 32, 3, 2, 1),
    ("resnet20 layer2.0.downsample", [32, 16, 32, 32], 32, 1, 2, 1),
    ("resnet20 layer2", [32, 32, 16, 16], 32, 3, 1, 1),
    ("resnet20 layer3.0.conv1", [32, 32, 16, 16], 64, 3, 2, 1),
    ("resnet20 layer3", [32, 64, 8, 8], 64, 3, 1, 1),
    ("resnet50 conv1", [2, 3, 224, 224], 64, 7, 2, 1),
    ("resnet50 layer1 expand", [2, 64, 56, 56], 256, 1, 1, 1),
    ("resnet50 layer1 reduce", [2, 256, 56, 56], 64, 1, 1, 1),
    ("resnet50 layer1", [2, 64, 56, 56], 64, 3, 1, 1),
    ("resnet50 layer2.0.downsample", [2, 256, 56, 56], 512, 1, 2, 1),
    ("resnet50 layer2", [2, 128, 28, 28], 128, 3, 1, 1),
    ("resnet50 layer3 reduce", [2, 1024, 14, 14], 256, 1, 1, 1),
    ("resnet50 layer3", [2, 256, 14, 14], 256, 3, 1, 1),
    ("resnet50 layer4", [2, 512, 7, 7], 512, 3, 1, 1),
    ("mobilenet-v2 depthwise", [4, 32, 112, 112], 32, 3, 1, 32),
    ("mobilenet-v2 depthwise", [4, 96, 112, 112], 96, 3, 2, 96),
    ("mobilenet-v2 depthwise", [4, 144, 56, 56], 144, 3, 1, 144),
    ("mobilenet-v2 depthwise", [4, 384, 14, 14], 384, 3, 1, 384),
    ("resnext50 layer2", [2, 256, 28, 28], 256, 3, 1, 32),
];

fn convolutions() -> Result<Vec<Case>, Error> {
    let case = |&(name, shape, filters, kernel, stride, groups): &Convolution| {
        let convolution = Conv::new(filters, kernel).stride(stride).groups(groups);
        let strides = if stride > 1 { format!(" stride {stride}") } else { String::new() };
        let name = format!("{name} {kernel}×{kernel}{strides} to {filters}");
        layer(&name, &shape, |graph, x| convolution.apply(graph, "conv", x))
    };
    CONVOLUTIONS.iter().map(case).collect()
}

fn products() -> Result<Vec<Case>, Error> {
    let mut cases = Vec::new();
    // Features × outputs: those of LeNet, of the end of ResNet-20, and large ones.
    for (name, shape, outputs) in [
        ("lenet fc1", [64, 784], 128),
        ("lenet fc2", [64, 128], 10),
        ("resnet20 fc", [32, 64], 10),
        ("vgg fc2", [16, 4096], 4096),
    ] {
        cases.push(layer(&format!("{name} to {outputs}"), &shape, |graph, x| {
            let w = graph.parameter("weight", [outputs, shape[1]], Init::Uniform { bound: 1.0 })?;
            graph.linear(x, w)
        })?);
    }
    for extent in [512, 1024] {
        cases.push(layer("square", &[extent, extent], |graph, x| {
            let w = graph.parameter("weight", [extent, extent], Init::Uniform { bound: 1.0 })?;
            graph.apply_one(MatMul::default(), &[x, w])
        })?);
    }
    Ok(cases)
}

/// Norms, activations, pooling, and movements.
fn others() -> Result<Vec<Case>, Error> {
    let wide = [32, 16, 32, 32];
    let norm = |graph: &mut Graph, x| batch_norm(graph, "bn", x, Mode::Training);
    let vector = |graph: &mut Graph, extent: usize| graph.parameter("b", [extent], Init::Uniform { bound: 1.0 });
    let mut cases = vec![
        layer("resnet20 layer1", &wide, norm)?,
        layer("resnet20 layer3", &[32, 64, 8, 8], norm)?,
        layer("resnet50 layer1", &[2, 256, 56, 56], norm)?,
        layer("mobilenet-v2", &[4, 96, 112, 112], norm)?,
        layer("group norm", &wide, |graph, x| group_norm(graph, "gn", x, 4))?,
        layer("layer norm", &[512, 768], |graph, x| layer_norm(graph, "ln", x))?,
        layer("resnet20 layer1", &wide, |graph, x| graph.relu(x))?,
        layer("mobilenet-v2", &[4, 96, 112, 112], |graph, x| relu6(graph, "relu", x))?,
        layer("gelu", &[512, 3072], |graph, x| graph.activate(x, Activation::Gelu))?,
        layer("silu", &wide, |graph, x| graph.activate(x, Activation::Silu))?,
        layer("sigmoid", &wide, |graph, x| graph.activate(x, Activation::Sigmoid))?,
        layer("dropout", &wide, |graph, x| graph.dropout(x, 0.5))?,
        layer("lenet conv2", &[64, 16, 14, 14], |graph, x| {
            let b = vector(graph, 16)?;
            graph.bias(x, b)
        })?,
        layer("scale of channels", &wide, |graph, x| {
            let b = vector(graph, 16)?;
            graph.scale(x, b)
        })?,
        layer("resnet20 add", &wide, |graph, x| {
            let z = graph.parameter("z", wide, Init::Uniform { bound: 1.0 })?;
            graph.add(x, z)
        })?,
        layer("product of elements", &wide, |graph, x| {
            let z = graph.parameter("z", wide, Init::Uniform { bound: 1.0 })?;
            graph.multiply(x, z)
        })?,
        layer("lenet pool1 2×2", &[64, 8, 28, 28], |graph, x| graph.max_pool(x, 2))?,
        layer("resnet50 pool 3×3 stride 2", &[2, 64, 112, 112], |graph, x| graph.max_pool_padded(x, 3, 2, 1))?,
        layer("resnet20 avgpool", &[32, 64, 8, 8], |graph, x| graph.global_average_pool(x))?,
        layer("average 2×2", &[32, 64, 16, 16], |graph, x| graph.average_pool(x, 2))?,
        layer("densenet concat", &[4, 64, 56, 56], |graph, x| {
            let z = graph.parameter("z", [4, 32, 56, 56], Init::Uniform { bound: 1.0 })?;
            graph.concat(&[x, z])
        })?,
        layer("half of the channels", &wide, |graph, x| graph.slice(x, 1, 0..8))?,
        layer("channels last", &wide, |graph, x| graph.transpose(x, &[0, 2, 3, 1]))?,
    ];
    for (name, how) in [("nearest", Upsampling::Nearest), ("bilinear", Upsampling::Bilinear)] {
        cases.push(layer(&format!("{name} to 56×56"), &[4, 64, 28, 28], |graph, x| graph.upsample(x, how, [56, 56]))?);
    }
    let words = layer("embedding, 1024 words", &[1024, 256], |graph, table| {
        let words = graph.input("words", [1024], Element::U32);
        graph.embedding(words, table)
    })?;
    cases.push(Case { classes: 1024, ..words });
    let convolution = Conv::new(64, 2).stride(2).padding(0);
    cases.push(layer("unet up 2×2 to 64", &[4, 128, 28, 28], |graph, x| {
        frugal_model::layers::conv_transpose(graph, "up", x, convolution, [0, 0])
    })?);
    Ok(cases)
}

/// A training step, of which some nodes are measured.
fn step(
    name: &str,
    net: &str,
    shape: StepShape,
    training: Training,
    store: CodecSpec,
    measures: fn(&Plan, usize, StepRole) -> bool,
) -> Result<Case, Error> {
    let graph = training_step(&Net::find(net)?, shape, training)?;
    let policy = SavePolicy::from(PolicySpec::from(store)).policy();
    Ok(Case { layer: name.to_owned(), graph, policy, classes: shape.classes, measures })
}

fn losses() -> Result<Vec<Case>, Error> {
    let elements = [ElementLoss::MeanSquared, ElementLoss::MeanAbsolute, ElementLoss::BinaryCrossEntropy];
    let case = |loss: Loss| {
        let shape = StepShape { batch: 64, sample: [1, 28, 28].into(), classes: 1000 };
        let training = Training { loss, ..SGD.into() };
        step("loss", "lenet", shape, training, CodecSpec::Raw, |plan, node, part| {
            plan.graph.nodes()[node].layer == "loss" && part != StepRole::Update
        })
    };
    std::iter::once(Loss::default()).chain(elements.map(Loss::Elements)).map(case).collect()
}

/// Optimisers and what else may happen to gradients, on LeNet's largest weight.
fn updates() -> Result<Vec<Case>, Error> {
    let adam = Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, decoupled: true };
    let rms = RmsProp { alpha: 0.99, epsilon: 1e-8, momentum: 0.9, weight_decay: 0.0 };
    let everything = UpdateConfig { clip_norm: Some(1.0), accumulate: true, average: Some(0.99), ..SGD.into() };
    let case = |update: UpdateConfig| {
        let shape = StepShape { batch: 64, sample: [1, 28, 28].into(), classes: 10 };
        step("lenet fc1 weight", "lenet", shape, update.into(), CodecSpec::Raw, |plan, node, part| {
            let inputs = plan.graph.nodes()[node].inputs.iter();
            part == StepRole::Update && inputs.map(|&input| plan.graph.shape(input).elements()).max() == Some(100_352)
        })
    };
    let plain = [SGD, Optimizer::Adam(adam), Optimizer::RmsProp(rms)].map(UpdateConfig::from);
    plain.into_iter().chain([everything]).map(case).collect()
}

/// Encoding and decoding, on what ResNet-20 keeps.
fn codecs() -> Result<Vec<Case>, Error> {
    let case = |form: CodecSpec| {
        let shape = StepShape { batch: 32, sample: [3, 32, 32].into(), classes: 10 };
        step("resnet20, batch 32", "resnet20", shape, Training::from(SGD), form, |_, _, part| {
            matches!(part, StepRole::Encode | StepRole::Decode)
        })
    };
    CodecSpec::all().filter(|form| *form != CodecSpec::Raw).map(case).collect()
}
