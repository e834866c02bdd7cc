//! The two nets of this comparison in Meganeura, as far as it goes: its SGD has no momentum, the gradient of its max pooling is
//! an approximation by its own word, and it has no batch norm for training, which is put together here from its group norm.
//! So its losses go their own way after the first step.

use meganeura::{Graph, NodeId, Session, SessionConfig};
use peer_harness::{LEARNING_RATE, Start};

/// A net under construction: values are flat, N×C×H×W.
struct Builder {
    graph: Graph,
    batch: usize,
    /// Names and values of parameters.
    parameters: Vec<(String, Vec<f32>)>,
}

/// A value with its channels and the extent of its square planes.
#[derive(Clone, Copy)]
struct Planes {
    node: NodeId,
    channels: usize,
    extent: usize,
}

impl Planes {
    fn size(self) -> usize {
        self.extent * self.extent
    }
}

impl Builder {
    fn parameter(&mut self, name: String, values: Vec<f32>, shape: &[usize]) -> NodeId {
        let node = self.graph.parameter(&name, shape);
        self.parameters.push((name, values));
        node
    }

    /// A convolution that keeps the extents at stride 1.
    fn convolution(&mut self, start: &Start, name: &str, x: Planes, stride: usize, bias: bool) -> Planes {
        let (weights, extents) = start.floats(&format!("{name}.weight"));
        let [filters, _, kernel, _] = extents[..] else { panic!("{name} is no convolution") };
        let elements = weights.len();
        let w = self.parameter(format!("{name}.weight"), weights, &[elements]);
        let words = |number: usize| number as u32;
        let [batch, channels, extent, out, kernel, steps, padding] =
            [self.batch, x.channels, x.extent, filters, kernel, stride, kernel / 2].map(words);
        let graph = &mut self.graph;
        let mut node = graph.conv2d(x.node, w, batch, channels, extent, extent, out, kernel, kernel, steps, padding);
        let y = Planes { node, channels: filters, extent: x.extent.div_ceil(stride) };
        if bias {
            let (values, _) = start.floats(&format!("{name}.bias"));
            let b = self.parameter(format!("{name}.bias"), values, &[filters]);
            node = self.graph.add_per_channel(y.node, b, words(filters), words(y.size()));
        }
        Planes { node, ..y }
    }

    /// A batch norm without running statistics: a group norm of one sample whose planes are those of the whole batch.
    fn batch_norm(&mut self, start: &Start, name: &str, x: Planes) -> Planes {
        let mut affine = |part: &str| {
            let (values, _) = start.floats(&format!("{name}.{part}"));
            self.parameter(format!("{name}.{part}"), values, &[x.channels])
        };
        let (weight, bias) = (affine("weight"), affine("bias"));
        let (rows, all) = (x.channels * x.size(), self.batch * x.channels * x.size());
        let graph = &mut self.graph;
        let samples = graph.reshape(x.node, &[self.batch, rows]);
        let channels = graph.transpose(samples);
        let channels = graph.reshape(channels, &[all]);
        let spatial = (self.batch * x.size()) as u32;
        let y = graph.group_norm(channels, weight, bias, 1, x.channels as u32, spatial, x.channels as u32, 1e-5);
        let y = graph.reshape(y, &[rows, self.batch]);
        let y = graph.transpose(y);
        Planes { node: graph.reshape(y, &[all]), ..x }
    }

    fn relu(&mut self, x: Planes) -> Planes {
        Planes { node: self.graph.relu(x.node), ..x }
    }

    fn max_pool(&mut self, x: Planes) -> Planes {
        let [batch, channels, extent] = [self.batch, x.channels, x.extent].map(|number| number as u32);
        let node = self.graph.max_pool_2d(x.node, batch, channels, extent, extent, 2, 2, 2, 0);
        Planes { node, extent: x.extent / 2, ..x }
    }

    /// A fully connected layer over samples × inputs.
    fn linear(&mut self, start: &Start, name: &str, x: NodeId) -> NodeId {
        let (weights, extents) = start.floats(&format!("{name}.weight"));
        let [outputs, inputs] = extents[..] else { panic!("{name} is no matrix") };
        // Meganeura's are inputs × outputs.
        let transposed = (0..inputs * outputs).map(|i| weights[i % outputs * inputs + i / outputs]).collect();
        let w = self.parameter(format!("{name}.weight"), transposed, &[inputs, outputs]);
        let (values, _) = start.floats(&format!("{name}.bias"));
        let b = self.parameter(format!("{name}.bias"), values, &[outputs]);
        let y = self.graph.matmul(x, w);
        self.graph.bias_add(y, b)
    }
}

fn lenet(b: &mut Builder, start: &Start, x: Planes) -> NodeId {
    let mut x = x;
    for name in ["conv1", "conv2"] {
        x = b.convolution(start, name, x, 1, true);
        x = b.relu(x);
        x = b.max_pool(x);
    }
    let x = b.graph.reshape(x.node, &[b.batch, x.channels * x.size()]);
    let x = b.linear(start, "fc1", x);
    let x = b.graph.relu(x);
    b.linear(start, "fc2", x)
}

fn resnet20(b: &mut Builder, start: &Start, x: Planes) -> NodeId {
    let x = b.convolution(start, "conv1", x, 1, false);
    let x = b.batch_norm(start, "bn1", x);
    let mut x = b.relu(x);
    for (stage, index) in (1..=3).flat_map(|stage| (0..3).map(move |index| (stage, index))) {
        let name = format!("layer{stage}.{index}");
        let strides = stage > 1 && index == 0;
        let stride = if strides { 2 } else { 1 };
        let y = b.convolution(start, &format!("{name}.conv1"), x, stride, false);
        let y = b.batch_norm(start, &format!("{name}.bn1"), y);
        let y = b.relu(y);
        let y = b.convolution(start, &format!("{name}.conv2"), y, 1, false);
        let y = b.batch_norm(start, &format!("{name}.bn2"), y);
        if strides {
            x = b.convolution(start, &format!("{name}.downsample.0"), x, stride, false);
            x = b.batch_norm(start, &format!("{name}.downsample.1"), x);
        }
        let sum = Planes { node: b.graph.add(y.node, x.node), ..y };
        x = b.relu(sum);
    }
    let pooled = b.graph.global_avg_pool(x.node, b.batch as u32, x.channels as u32, x.size() as u32);
    b.linear(start, "fc", pooled)
}

fn session(start: &Start) -> Session {
    let (images, extents) = start.floats("images");
    let [batch, channels, extent, _] = extents[..] else { panic!("images are N×C×H×W") };
    let mut b = Builder { graph: Graph::new(), batch, parameters: Vec::new() };
    let x = b.graph.input("images", &[images.len()]);
    // Pixels are not negative, so this changes nothing; but where a convolution is the first dispatch of a process, its
    // output is all zeros on llvmpipe of Mesa 22.3.
    let x = b.graph.relu(x);
    let x = Planes { node: x, channels, extent };
    let logits = match start.net.as_str() {
        "lenet" => lenet(&mut b, start, x),
        "resnet20" => resnet20(&mut b, start, x),
        other => panic!("no net `{other}` here"),
    };
    const CLASSES: usize = 10;
    let labels = b.graph.input("labels", &[batch, CLASSES]);
    let loss = b.graph.cross_entropy_loss(logits, labels);
    b.graph.set_outputs(vec![loss]);

    let mut session = meganeura::build(&b.graph, SessionConfig::default()).0;
    for (name, values) in &b.parameters {
        session.set_parameter(name, values);
    }
    let one_hot = |label: u32| (0..CLASSES as u32).map(move |class| if class == label { 1.0 } else { 0.0 });
    let targets: Vec<f32> = start.labels().into_iter().flat_map(one_hot).collect();
    session.set_input("images", &images);
    session.set_input("labels", &targets);
    session.set_learning_rate(LEARNING_RATE as f32);
    session
}

fn main() {
    let start = Start::from_arguments();
    let mut session = session(&start);
    start.measure("Meganeura 0.3.0", "no momentum, max pooling's gradient approximate", || {
        session.step();
        session.wait();
        session.read_loss()
    });
}
