//! The two nets of this comparison in Burn, on its wgpu backend with fusion and autotuning.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{AdaptiveAvgPool2dConfig, MaxPool2dConfig};
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

#[derive(Module, Debug)]
struct Block {
    first: Normed,
    second: Normed,
    shortcut: Option<Normed>,
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.second.forward(relu(self.first.forward(x.clone())));
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => x,
        };
        relu(y + shortcut)
    }
}

#[derive(Module, Debug)]
struct ResNet20 {
    stem: Normed,
    blocks: Vec<Block>,
    fc: Linear,
}

impl ResNet20 {
    fn new(start: &Start, device: &Device) -> Self {
        let places = (1..=3).flat_map(|stage| (0..3).map(move |index| (stage, index)));
        let block = |(stage, index)| {
            let name = format!("layer{stage}.{index}");
            let strides = stage > 1 && index == 0;
            let stride = if strides { 2 } else { 1 };
            Block {
                first: Normed::new(start, &format!("{name}.conv1"), stride, device),
                second: Normed::new(start, &format!("{name}.conv2"), 1, device),
                shortcut: strides.then(|| Normed::new(start, &format!("{name}.downsample.0"), stride, device)),
            }
        };
        Self {
            stem: Normed::new(start, "conv1", 1, device),
            blocks: places.map(block).collect(),
            fc: linear(start, "fc", device),
        }
    }
}

impl Net for ResNet20 {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = relu(self.stem.forward(images));
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
    match start.net.as_str() {
        "lenet" => {
            let net = LeNet::new(&start, &device);
            train(start, device, net);
        }
        "resnet20" => {
            let net = ResNet20::new(&start, &device);
            train(start, device, net);
        }
        other => panic!("no net `{other}` here"),
    }
}
