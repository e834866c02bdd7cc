//! The nets of this comparison in Burn, on its wgpu backend with fusion and autotuning.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{AdaptiveAvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, DeviceKind, Int, Tensor, TensorData};
use peer_harness::{LEARNING_RATE, MOMENTUM, Start};

/// A tensor of the start.
fn tensor<const D: usize>(start: &Start, name: &str, device: &Device) -> Tensor<D> {
    let (elements, extents) = start.floats(name);
    Tensor::from_data(TensorData::new(elements, extents), device)
}

/// A convolution that keeps the extents at stride 1.
fn convolution(start: &Start, name: &str, stride: usize, bias: bool, device: &Device) -> Conv2d {
    let weight = tensor::<4>(start, &format!("{name}.weight"), device);
    let [outputs, inputs, kernel, _] = weight.dims();
    let padding = kernel / 2;
    let mut layer = Conv2dConfig::new([inputs, outputs], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .with_bias(bias)
        .init(device);
    layer.weight = Param::from_tensor(weight);
    layer.bias = bias.then(|| Param::from_tensor(tensor(start, &format!("{name}.bias"), device)));
    layer
}

fn linear(start: &Start, name: &str, device: &Device) -> Linear {
    // Burn's weights are inputs × outputs.
    let weight = tensor::<2>(start, &format!("{name}.weight"), device).transpose();
    let [inputs, outputs] = weight.dims();
    let mut layer = LinearConfig::new(inputs, outputs).init(device);
    layer.weight = Param::from_tensor(weight);
    layer.bias = Some(Param::from_tensor(tensor(start, &format!("{name}.bias"), device)));
    layer
}

trait Net: Module {
    fn forward(&self, images: Tensor<4>) -> Tensor<2>;
}

#[derive(Module, Debug)]
struct LeNet {
    conv1: Conv2d,
    conv2: Conv2d,
    fc1: Linear,
    fc2: Linear,
}

impl LeNet {
    fn new(start: &Start, device: &Device) -> Self {
        Self {
            conv1: convolution(start, "conv1", 1, true, device),
            conv2: convolution(start, "conv2", 1, true, device),
            fc1: linear(start, "fc1", device),
            fc2: linear(start, "fc2", device),
        }
    }
}

impl Net for LeNet {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let pool = MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init();
        let x = pool.forward(relu(self.conv1.forward(images)));
        let x = pool.forward(relu(self.conv2.forward(x)));
        let x = relu(self.fc1.forward(x.flatten(1, 3)));
        self.fc2.forward(x)
    }
}

/// A convolution and its batch norm.
#[derive(Module, Debug)]
struct Normed {
    convolution: Conv2d,
    norm: BatchNorm,
}

impl Normed {
    fn new(start: &Start, convolution_name: &str, stride: usize, device: &Device) -> Self {
        let convolution = convolution(start, convolution_name, stride, false, device);
        // Its scale and shift start as 1 and 0, here as everywhere.
        let norm = BatchNormConfig::new(convolution.weight.dims()[0]).init(device);
        Self { convolution, norm }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.convolution.forward(x))
    }
}

/// The branch of a block, with a rectifier after each of its convolutions but the last, and its shortcut.
#[derive(Module, Debug)]
struct Block {
    branch: Vec<Normed>,
    shortcut: Option<Normed>,
}

impl Block {
    /// The 3×3 convolution that comes first has the stride.
    fn new(start: &Start, name: &str, bottleneck: bool, stride: usize, device: &Device) -> Self {
        let strides: &[usize] = if bottleneck { &[1, stride, 1] } else { &[stride, 1] };
        let convolution = |(index, &stride)| Normed::new(start, &format!("{name}.conv{}", index + 1), stride, device);
        let shortcut = format!("{name}.downsample.0");
        Self {
            branch: strides.iter().enumerate().map(convolution).collect(),
            shortcut: start.has(&format!("{shortcut}.weight")).then(|| Normed::new(start, &shortcut, stride, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (last, others) = self.branch.split_last().expect("a branch has convolutions");
        let y = last.forward(others.iter().fold(x.clone(), |y, layer| relu(layer.forward(y))));
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => x,
        };
        relu(y + shortcut)
    }
}

/// The residual nets of arXiv 1512.03385: for small images as in its section 4.2, for large ones as torchvision builds them.
#[derive(Module, Debug)]
struct ResNet {
    stem: Normed,
    pool: Option<MaxPool2d>,
    blocks: Vec<Block>,
    fc: Linear,
}

impl ResNet {
    fn new(start: &Start, stages: &[usize], large: bool, bottleneck: bool, device: &Device) -> Self {
        let places = stages.iter().enumerate().flat_map(|(stage, &blocks)| (0..blocks).map(move |index| (stage, index)));
        let block = |(stage, index)| {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            Block::new(start, &format!("layer{}.{index}", stage + 1), bottleneck, stride, device)
        };
        let pool = MaxPool2dConfig::new([3, 3]).with_strides([2, 2]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
        Self {
            stem: Normed::new(start, "conv1", if large { 2 } else { 1 }, device),
            pool: large.then(|| pool.init()),
            blocks: places.map(block).collect(),
            fc: linear(start, "fc", device),
        }
    }
}

impl Net for ResNet {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = relu(self.stem.forward(images));
        let x = match &self.pool {
            Some(pool) => pool.forward(x),
            None => x,
        };
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let x = AdaptiveAvgPool2dConfig::new([1, 1]).init().forward(x);
        self.fc.forward(x.flatten(1, 3))
    }
}

fn train<N: Net>(start: Start, device: Device, net: N) {
    let images = tensor::<4>(&start, "images", &device);
    let labels: Vec<i32> = start.labels().into_iter().map(|label| label as i32).collect();
    let labels = Tensor::<1, Int>::from_ints(labels.as_slice(), &device);
    let loss = CrossEntropyLossConfig::new().init(&device);
    let momentum = MomentumConfig { momentum: MOMENTUM, dampening: 0.0, nesterov: false };
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let mut net = Some(net);
    start.measure("Burn 0.23.0-pre.1, wgpu", "fusion, autotuning at its least level", || {
        let now = net.take().expect("it is put back after each step");
        let loss = loss.forward(now.forward(images.clone()), labels.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &now);
        net = Some(optimizer.step(LEARNING_RATE, now, gradients));
        let loss = loss.into_scalar::<f32>();
        device.sync().expect("the device answers");
        loss
    });
}

fn main() {
    let start = Start::from_arguments();
    let device = Device::wgpu(DeviceKind::default()).autodiff();
    let residual = |stages: &[usize], large, bottleneck| ResNet::new(&start, stages, large, bottleneck, &device);
    match start.net.as_str() {
        "lenet" => {
            let net = LeNet::new(&start, &device);
            train(start, device, net);
        }
        "resnet20" => {
            let net = residual(&[3, 3, 3], false, false);
            train(start, device, net);
        }
        "resnet18" => {
            let net = residual(&[2, 2, 2, 2], true, false);
            train(start, device, net);
        }
        "resnet50" => {
            let net = residual(&[3, 4, 6, 3], true, true);
            train(start, device, net);
        }
        other => panic!("no net `{other}` here"),
    }
}
