//! Every shader in every variant that the nets and the operators' odd cases use, without a device: expanded, parsed and
//! validated by naga under WebGPU's default limits, and written as SPIR-V, MSL and HLSL.

use frugal_model::{Net, StepShape, Task, Training, evaluation_step, training_step};
use frugal_tensor::codec::{ErrorBounded, F16, Float8, FrequencySplit, Policy, Recompute, Uniform};
use frugal_tensor::ir::{Element, Graph, Init, Precision, TileTable, ValueId, tiles::Tunable};
use frugal_tensor::ops::activation::{Activation, RELU6};
use frugal_tensor::ops::batch_norm::{BatchNorm, BatchNormInference, BatchNormState};
use frugal_tensor::ops::conv2d::Conv2d;
use frugal_tensor::ops::loss::{ElementLoss, Loss};
use frugal_tensor::ops::matmul::MatMul;
use frugal_tensor::ops::optimizer::{Adam, LossScale, Optimizer, RmsProp, Sgd, StateForm, UpdateConfig};
use frugal_tensor::ops::pool::{AveragePool, MaxPool, Windows};
use frugal_tensor::ops::roofline::{Copy, MultiplyAdds};
use frugal_tensor::ops::upsample::Upsampling;
use frugal_tensor::ops::weighted_losses::LossWeight;
use frugal_tensor::runtime::shader::{Variant, files};
use frugal_tensor::{Plan, PlanOptions};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use std::collections::BTreeSet;
use std::rc::Rc;

/// WebGPU's default limits, as far as a shader can break them.
const STORAGE_BUFFERS: usize = 8;
const INVOCATIONS: u32 = 256;
const WORKGROUP_BYTES: u32 = 16_384;

fn optimizers() -> Vec<Optimizer> {
    let sgd = |momentum, nesterov| Optimizer::Sgd(Sgd { momentum, nesterov, weight_decay: 1e-4 });
    let adam = Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, decoupled: false };
    let rms = |momentum| Optimizer::RmsProp(RmsProp { alpha: 0.99, epsilon: 1e-8, momentum, weight_decay: 0.0 });
    let adam = [false, true].map(|decoupled| Optimizer::Adam(Adam { decoupled, ..adam }));
    let sgd = [sgd(0.0, false), sgd(0.9, false), sgd(0.9, true)];
    sgd.into_iter().chain(adam).chain([rms(0.0), rms(0.9)]).collect()
}

/// Small steps with every loss, and with all that can happen to gradients and parameters besides.
fn trainings() -> Vec<Graph> {
    let net = Net::find("lenet").unwrap();
    let step = |classes: usize, training: Training| {
        let shape = StepShape { batch: 4, sample: [1, 28, 28].into(), classes };
        [training_step(&net, shape, training).unwrap(), evaluation_step(&net, shape, training).unwrap()]
    };
    let elements = [ElementLoss::MeanSquared, ElementLoss::MeanAbsolute, ElementLoss::BinaryCrossEntropy];
    let smoothed = Loss::CrossEntropy { smoothing: 0.1 };
    let mut graphs = Vec::new();
    let plain = elements.map(Loss::Elements).into_iter().chain([smoothed]).map(|loss| (loss, false));
    for (loss, mixed) in plain.chain([Loss::default(), smoothed].map(|loss| (loss, true))) {
        let update = UpdateConfig::from(optimizers()[0]);
        graphs.extend([8, 9].into_iter().flat_map(|classes| step(classes, Training { loss, update, mixed })));
    }
    for optimizer in optimizers() {
        for (clip_norm, accumulate) in [(None, true), (Some(1.0), false), (Some(1.0), true)] {
            for loss_scale in [None, Some(LossScale::default())] {
                for state in [StateForm::F32, StateForm::EightBit] {
                    let update = UpdateConfig {
                        clip_norm,
                        accumulate,
                        average: Some(0.9),
                        loss_scale,
                        state,
                        ..optimizer.into()
                    };
                    graphs.extend(step(10, update.into()));
                }
            }
        }
    }
    for loss in elements.map(Loss::Elements).into_iter().chain([smoothed]) {
        let update = UpdateConfig { loss_scale: Some(LossScale::default()), ..optimizers()[0].into() };
        graphs.extend([8, 9].into_iter().flat_map(|classes| step(classes, Training { loss, update, mixed: false })));
    }
    graphs
}

fn nets() -> Vec<Graph> {
    let mut graphs = Vec::new();
    // Bounds follow averages that are coded.
    for optimizer in &optimizers()[1..4] {
        let shape = StepShape { batch: 4, sample: [3, 32, 32].into(), classes: 10 };
        for loss_scale in [None, Some(LossScale::default())] {
            let update = UpdateConfig { state: StateForm::EightBit, loss_scale, ..(*optimizer).into() };
            graphs.push(training_step(&Net::find("resnet8").unwrap(), shape, update).unwrap());
        }
    }
    let mut add = |net: &Net, image: [usize; 3], optimizers: &[Optimizer]| {
        let shape = StepShape { batch: 4, sample: image.into(), classes: 10 };
        graphs.extend(optimizers.iter().map(|&o| training_step(net, shape, o).unwrap()));
        graphs.push(evaluation_step(net, shape, optimizers[0]).unwrap());
    };
    // Depth alone brings no other kernels.
    let deep = ["resnet32", "resnet44", "resnet56", "resnet110"];
    for net in Net::all().iter().filter(|net| net.task == Task::Classes && !deep.contains(&net.name)) {
        if ["lenet", "resnet8", "resnet20"].contains(&net.name) {
            add(net, [3, 32, 32], &optimizers()[..4]);
            add(net, [1, 28, 28], &optimizers()[..4]);
            add(&net.clone().on_bytes(&[0.5], &[0.25]), [1, 28, 28], &optimizers()[..1]);
            add(&net.clone().on_bytes(&[0.5; 3], &[0.25; 3]), [3, 29, 29], &optimizers()[..1]);
        } else {
            add(net, [3, 224, 224], &optimizers()[1..2]);
            add(&net.clone().narrowed(8), [3, 64, 64], &optimizers()[1..2]);
        }
    }
    graphs
}

/// Odd extents, strides and windows, which other variants serve.
fn odd_cases() -> Vec<Graph> {
    let (mut graphs, mut losses) = (Vec::new(), Vec::new());
    let mut add = |build: &dyn Fn(&mut Graph)| {
        let mut graph = Graph::new();
        build(&mut graph);
        let last = *graph.nodes().last().unwrap().outputs.first().unwrap();
        let shape = graph.shape(last).clone();
        let arriving = graph.input("arriving", shape, Element::F32);
        graph.differentiate(&[(last, Some(arriving))]).unwrap();
        graphs.push(graph);
    };
    let parameter = |g: &mut Graph, name: &str, shape: &[usize]| g.parameter(name, shape, Init::Constant(0.0)).unwrap();
    // What memory may hold in f16.
    let sample = |g: &mut Graph, name: &str, shape: &[usize]| {
        let (p, x) = (parameter(g, name, shape), g.input(name, shape, Element::F32));
        g.add(p, x).unwrap()
    };
    for kernel in 1..=7 {
        for stride in 1..=3 {
            for width in [7, 8, 16] {
                for channels in [3, 20, 70] {
                    add(&|g| {
                        let x = sample(g, "x", &[2, channels, 9, width]);
                        let w = parameter(g, "w", &[channels, channels, kernel, kernel]);
                        let operator = Conv2d { stride: [stride; 2], padding: [kernel / 2; 2], ..Conv2d::default() };
                        g.apply(operator, &[x, w]).unwrap();
                    });
                }
            }
        }
    }
    for stride in 1..=4 {
        for width in [7, 16] {
            for (kernel, padding, dilation, groups) in
                [(3, 1, 1, 2), (3, 2, 2, 1), (3, 4, 3, 2), (2, 0, 1, 1), (3, 1, 1, 6), (5, 2, 1, 6), (3, 2, 2, 6)]
            {
                let (stride, padding, dilation) = ([stride; 2], [padding; 2], [dilation; 2]);
                let operator = Conv2d { stride, padding, dilation, groups, ..Conv2d::default() };
                add(&|g| {
                    let x = sample(g, "x", &[2, 6, 16, width]);
                    let w = parameter(g, "w", &[6, 6 / groups, kernel, kernel]);
                    g.apply(operator, &[x, w]).unwrap();
                });
                add(&|g| {
                    let x = sample(g, "x", &[2, 6, 16, width]);
                    let w = parameter(g, "w", &[6, 6 / groups, kernel, kernel]);
                    g.conv_transpose2d(x, w, operator, [0, 0]).unwrap();
                });
            }
        }
    }
    // What follows a product: a bias, an activation or both.
    for (biased, activation) in [(true, None), (true, Some(Activation::Relu)), (false, Some(Activation::Gelu))] {
        let behind = |g: &mut Graph, mut y: ValueId| {
            if biased {
                let channels = g.shape(y).extents()[1];
                let b = parameter(g, "b", &[channels]);
                y = g.bias(y, b).unwrap();
            }
            if let Some(activation) = activation {
                g.activate(y, activation).unwrap();
            }
        };
        for (kernel, groups) in [(3, 1), (1, 1), (3, 2), (3, 6), (11, 1)] {
            for width in [7, 16] {
                let operator = Conv2d { padding: [kernel / 2; 2], groups, ..Conv2d::default() };
                add(&|g| {
                    let x = parameter(g, "x", &[2, 6, 16, width]);
                    let w = parameter(g, "w", &[6, 6 / groups, kernel, kernel]);
                    let y = g.apply_one(operator, &[x, w]).unwrap();
                    behind(g, y);
                });
            }
        }
        for (kernel, groups) in [(3, 1), (3, 6), (11, 2)] {
            let operator = Conv2d { stride: [2; 2], padding: [kernel / 2; 2], groups, ..Conv2d::default() };
            add(&|g| {
                let x = parameter(g, "x", &[2, 6, 8, 8]);
                let w = parameter(g, "w", &[6, 6 / groups, kernel, kernel]);
                let y = g.conv_transpose2d(x, w, operator, [0, 0]).unwrap();
                behind(g, y);
            });
        }
        for (transpose_b, extent) in [(false, 20), (false, 41), (true, 20), (true, 41)] {
            add(&|g| {
                let (a, b) = (parameter(g, "a", &[extent, extent]), parameter(g, "w", &[extent, extent]));
                let y = g.apply_one(MatMul { transpose_a: false, transpose_b }, &[a, b]).unwrap();
                behind(g, y);
            });
        }
    }
    for transpose_a in [false, true] {
        for transpose_b in [false, true] {
            for extent in [8, 20, 41, 64] {
                add(&|g| {
                    let a = sample(g, "a", &[extent, extent]);
                    let b = parameter(g, "b", &[extent, extent]);
                    g.apply(MatMul { transpose_a, transpose_b }, &[a, b]).unwrap();
                });
            }
        }
    }
    for window in 1..=5 {
        add(&|g| {
            let x = sample(g, "x", &[2, 3, 9, 9]);
            let pool = MaxPool { kernel: [window; 2], stride: [2; 2], padding: [window / 2; 2] };
            g.apply(pool, &[x]).unwrap();
        });
        add(&|g| {
            let x = sample(g, "x", &[2, 3, 9, 9]);
            let w = parameter(g, "w", &[3, 3, 1, 1]);
            let x = g.conv2d(x, w, [1, 1], [0, 0]).unwrap();
            let state = BatchNormState::new(g, 3).unwrap();
            let y = g.apply(BatchNorm { epsilon: 1e-5, momentum: 0.1 }, &state.inputs(x)).unwrap()[0];
            let y = g.max_pool_padded(y, window, 2, window / 2).unwrap();
            let y = g.relu(y).unwrap();
            g.conv2d(y, w, [1, 1], [0, 0]).unwrap();
        });
    }
    for kernel in 1..=4 {
        add(&|g| {
            let x = sample(g, "x", &[2, 3, 9, 9]);
            let windows = Windows { kernel: [kernel; 2], stride: [2, 1], padding: [kernel / 2; 2] };
            g.apply(AveragePool::Sliding(windows), &[x]).unwrap();
        });
    }
    for width in [8, 9] {
        add(&|g| {
            let x = sample(g, "x", &[2, 3, 3, width]);
            let y = g.relu(x).unwrap();
            let y = g.dropout(y, 0.5).unwrap();
            let z = g.dropout(x, 0.5).unwrap();
            let w = parameter(g, "w", &[2, 6, 1, 1]);
            let y = g.concat(&[y, z]).unwrap();
            let y = g.conv2d(y, w, [1, 1], [0, 0]).unwrap();
            g.adaptive_average_pool(y, [2, 2]).unwrap();
        });
    }
    for width in [8, 9] {
        add(&|g| {
            let x = sample(g, "x", &[2, 3, 5, width]);
            let z = parameter(g, "z", &[2, 3, 5, width]);
            let b = parameter(g, "b", &[3]);
            let y = g.add(x, z).unwrap();
            let state = BatchNormState::new(g, 3).unwrap();
            let y = g.apply_one(BatchNorm { epsilon: 1e-5, momentum: 0.1 }, &state.inputs(y)).unwrap();
            let y = g.bias(y, b).unwrap();
            let y = g.relu(y).unwrap();
            g.global_average_pool(y).unwrap();
        });
    }
    let smooth = [Activation::Sigmoid, Activation::Tanh, Activation::Gelu, Activation::Silu];
    let cut = [Activation::LeakyRelu { slope: 0.1 }, RELU6];
    for activation in cut.into_iter().chain(smooth) {
        // Read by itself alone, and kept beside it for another reader.
        add(&|g| {
            let x = sample(g, "x", &[2, 8]);
            g.activate(x, activation).unwrap();
        });
        add(&|g| {
            let (x, w) = (sample(g, "x", &[8, 8]), parameter(g, "w", &[8, 8]));
            let x = g.linear(x, w).unwrap();
            let y = g.activate(x, activation).unwrap();
            let (y, z) = (g.linear(y, w).unwrap(), g.linear(x, w).unwrap());
            g.add(y, z).unwrap();
        });
    }
    for width in [8, 9] {
        for few in [&[1][..], &[3], &[2, 3]] {
            add(&|g| {
                let (x, b) = (sample(g, "x", &[2, 3, width]), parameter(g, "b", few));
                let y = g.scale(x, b).unwrap();
                let y = g.bias(y, b).unwrap();
                let y = g.multiply(y, x).unwrap();
                let y = g.slice(y, 2, 1..width).unwrap();
                let y = g.pad(y, &[[1, 1], [0, 1]]).unwrap();
                g.transpose(y, &[2, 0, 1]).unwrap();
            });
        }
    }
    add(&|g| {
        let (x, b) = (sample(g, "x", &[2, 3]), parameter(g, "b", &[3]));
        g.scale(x, b).unwrap();
    });
    for (width, size) in [(8, 8), (9, 9), (1, 4), (1, 3)] {
        add(&|g| {
            let x = sample(g, "x", &[2, 6, width]);
            let (gamma, beta) = (parameter(g, "gamma", &[6]), parameter(g, "beta", &[6]));
            g.group_norm(x, 2, gamma, beta, 1e-5).unwrap();
        });
        add(&|g| {
            let w = parameter(g, "w", &[size, size]);
            let x = sample(g, "x", &[2, size]);
            let x = g.linear(x, w).unwrap();
            let (gamma, beta) = (parameter(g, "gamma", &[size]), parameter(g, "beta", &[size]));
            let y = g.layer_norm(x, gamma, beta, 1e-5).unwrap();
            g.linear(y, w).unwrap();
        });
    }
    for loss in [ElementLoss::MeanSquared, ElementLoss::MeanAbsolute, ElementLoss::BinaryCrossEntropy] {
        for width in [8, 9] {
            let mut graph = Graph::new();
            let x = parameter(&mut graph, "x", &[2, width]);
            let target = graph.input("target", [2, width], Element::F32);
            let mask = graph.input("mask", [2], Element::F32);
            let loss = graph.loss(Loss::Elements(loss), x, target, mask).unwrap();
            graph.differentiate(&[(loss, None)]).unwrap();
            losses.push(graph);
        }
    }
    for how in [Upsampling::Nearest, Upsampling::Bilinear] {
        add(&|g| {
            let x = sample(g, "x", &[2, 3, 4, 4]);
            g.upsample(x, how, [8, 8]).unwrap();
        });
    }
    add(&|g| {
        let table = parameter(g, "table", &[5, 3]);
        let indices = g.input("indices", [70_000], Element::U32);
        g.embedding(indices, table).unwrap();
    });
    for width in [8, 9] {
        let mut graph = Graph::new();
        let x = graph.input("x", [2, 3, 5, width], Element::F32);
        let state = BatchNormState::new(&mut graph, 3).unwrap();
        graph.apply_one(BatchNormInference { epsilon: 1e-5 }, &state.inputs(x)).unwrap();
        graphs.push(graph);
    }
    graphs.append(&mut losses);
    graphs
}

/// Products and convolutions whose tiles a table may choose.
fn tunable_cases() -> Vec<Graph> {
    let mut graphs = Vec::new();
    let mut add = |a: &[usize], b: &[usize], operator: &dyn Fn(&mut Graph, [ValueId; 2]) -> ValueId| {
        let mut graph = Graph::new();
        let ids = [("a", a), ("b", b)].map(|(name, shape)| graph.parameter(name, shape, Init::Constant(0.0)).unwrap());
        let y = operator(&mut graph, ids);
        let arriving = graph.input("arriving", graph.shape(y).clone(), Element::F32);
        graph.differentiate(&[(y, Some(arriving))]).unwrap();
        graphs.push(graph);
    };
    for operator in [MatMul::default(), MatMul { transpose_a: true, transpose_b: true }] {
        for extent in [20, 41] {
            add(&[extent; 2], &[extent; 2], &|g, ids| g.apply_one(operator, &ids).unwrap());
        }
    }
    for (kernel, stride, groups, dilation) in
        [(1, 1, 1, 1), (1, 2, 1, 1), (3, 1, 1, 1), (3, 2, 1, 1), (5, 1, 1, 1), (3, 1, 2, 1), (3, 2, 2, 2)]
    {
        let padding = [(kernel - 1) * dilation / 2; 2];
        let operator = Conv2d { stride: [stride; 2], padding, dilation: [dilation; 2], groups, ..Conv2d::default() };
        for width in [7, 16] {
            add(&[2, 20, 16, width], &[20, 20 / groups, kernel, kernel], &|g, ids| {
                g.apply_one(operator, &ids).unwrap()
            });
        }
    }
    graphs
}

/// Every choice that a table may make for a graph.
fn tuned(graph: &Graph) -> BTreeSet<Variant> {
    let mut variants = BTreeSet::new();
    for options in frugal_testkit::all_kernels() {
        let usual = Plan::new(graph.clone(), &Policy::raw(), options.clone()).unwrap();
        let tunables: Vec<_> = usual.tunables().map(|(_, tunable)| tunable).collect();
        for round in 0..tunables.iter().map(|tunable| tunable.candidates.len()).max().unwrap_or(0) {
            let choice = |tunable: &Tunable| tunable.candidates[round % tunable.candidates.len()];
            let choices = tunables.iter().map(|tunable| (tunable.work.clone(), choice(tunable)));
            let table = TileTable::new(options.set, choices).unwrap();
            let options = PlanOptions { tiles: Some(Rc::new(table)), ..options.clone() };
            let plan = Plan::new(graph.clone(), &Policy::raw(), options).unwrap();
            variants.extend(plan.executable.shaders.iter().cloned());
        }
    }
    variants
}

fn variants() -> BTreeSet<Variant> {
    let mut variants: BTreeSet<Variant> = tunable_cases().iter().flat_map(tuned).collect();
    let mut plan = |graph: &Graph, policy: &Policy, options: PlanOptions| {
        let plan = Plan::new(graph.clone(), policy, options).unwrap();
        variants.extend(plan.executable.shaders.iter().cloned());
    };
    // Stores change nothing about products.
    let (nets, odd_cases) = (nets(), odd_cases());
    for graph in nets.iter().chain(&odd_cases) {
        frugal_testkit::all_f16().into_iter().for_each(|options| plan(graph, &Policy::raw(), options));
    }
    // What codecs read and write may be in f16, too.
    let in_f16 = |options: PlanOptions| options.in_precision(Precision::F16);
    let cheap = Policy::with(FrequencySplit::default()).recompute(Recompute::Cheap);
    for policy in [cheap, Policy::with(Uniform::default()), Policy::with(ErrorBounded::default())] {
        for graph in nets.iter().filter(|graph| graph.nodes().len() < 400).chain(&odd_cases) {
            // Without subgroups: only products in f32 use them.
            frugal_testkit::all_kernels()
                .into_iter()
                .step_by(2)
                .for_each(|options| plan(graph, &policy, in_f16(options)));
        }
    }
    let mut add = |graph: &Graph, policy: &Policy| {
        frugal_testkit::all_kernels().into_iter().for_each(|options| plan(graph, policy, options));
    };
    let split = |parity| [1, 2, 4, 8].map(|bits| Policy::with(FrequencySplit { block: 8, bits, parity }));
    let again = [Recompute::Cheap, Recompute::Segments].map(|recompute| Policy::raw().recompute(recompute));
    let plain = [Policy::raw(), Policy::with(ErrorBounded::default())].into_iter().chain(again);
    let policies: Vec<Policy> = plain.chain(split(false)).chain(split(true)).collect();
    for graph in &odd_cases {
        policies.iter().for_each(|policy| add(graph, policy));
    }
    // The bits of a code are the same kernels in nets as above, and deep nets bring nothing new to be coded.
    for graph in &nets {
        let policies = if graph.nodes().len() < 400 { &policies[..4] } else { &policies[..1] };
        policies.iter().for_each(|policy| add(graph, policy));
    }
    let bounded = Policy::with(ErrorBounded::default());
    trainings().iter().for_each(|graph| [&Policy::raw(), &bounded].into_iter().for_each(|policy| add(graph, policy)));
    // Shapes change nothing about these.
    add(&nets[0], &Policy::with(F16));
    for group in [16, 32, 64, 128, 256, 512, 1024] {
        add(&nets[0], &Policy::with(Float8 { group }));
    }
    for bits in [1, 2, 4, 8] {
        for group in [32, 64, 128, 256, 512, 1024] {
            add(&nets[0], &Policy::with(Uniform { bits, group }));
        }
    }
    weighted_losses().iter().for_each(|graph| add(graph, &Policy::raw()));
    // What `frugal bench` holds operators against.
    let mut roofline = Graph::new();
    let x = roofline.parameter("x", [8], Init::Constant(0.0)).unwrap();
    roofline.apply(Copy, &[x]).unwrap();
    roofline.apply(MultiplyAdds([8].into()), &[]).unwrap();
    add(&roofline, &Policy::raw());
    variants
}

/// Two losses as one, with fixed and scheduled weights, from a seed and without.
fn weighted_losses() -> Vec<Graph> {
    let scheduled = || LossWeight::Scheduled("weight".into());
    let weights = [[LossWeight::Fixed(0.5), LossWeight::Fixed(2.0)], [scheduled(), LossWeight::Fixed(1.0)]];
    let graph = |weights: &[LossWeight; 2], seeded: bool| {
        let mut graph = Graph::new();
        let [x, target] = ["x", "target"].map(|name| graph.input(name, [2, 3], Element::F32));
        let mask = graph.input("mask", [2], Element::F32);
        let w = graph.parameter("w", [3, 3], Init::Constant(0.0)).unwrap();
        let y = graph.linear(x, w).unwrap();
        let losses = [ElementLoss::MeanSquared, ElementLoss::MeanAbsolute]
            .map(|loss| graph.loss(Loss::Elements(loss), y, target, mask).unwrap());
        let [first, second] = weights.clone();
        let sum = graph.add_losses(&[(losses[0], first), (losses[1], second)]).unwrap();
        let seed = seeded.then(|| graph.input("seed", [1], Element::F32));
        graph.differentiate(&[(sum, seed)]).unwrap();
        graph
    };
    weights.iter().flat_map(|weights| [false, true].map(|seeded| graph(weights, seeded))).collect()
}

#[test]
fn every_variant_is_valid_everywhere() {
    let variants = variants();
    for variant in &variants {
        let source = variant.expand().unwrap_or_else(|e| panic!("{variant}: {e}"));
        let complain = |what: &str, error: &dyn std::fmt::Display| -> ! {
            panic!("{variant}: {what}: {error}\n{source}");
        };
        let module =
            naga::front::wgsl::parse_str(&source).unwrap_or_else(|e| complain("WGSL", &e.emit_to_string(&source)));
        let info = Validator::new(ValidationFlags::all(), capabilities(variant))
            .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
            .subgroup_operations(naga::valid::SubgroupOperationSet::all())
            .validate(&module)
            .unwrap_or_else(|e| complain("validation", &e.emit_to_string(&source)));
        within_default_limits(variant, &module);
        write_everywhere(variant, &module, &info).unwrap_or_else(|(backend, error)| complain(backend, &error));
    }
    println!("{} variants", variants.len());

    let used: BTreeSet<String> = variants.iter().map(|v| format!("{}.wgsl", v.shader)).collect();
    let kernels = files().filter(|f| !f.starts_with("parts/") && !f.ends_with("params.wgsl"));
    let unused: Vec<String> = kernels.filter(|file| !used.contains(file)).collect();
    assert!(unused.is_empty(), "no plan uses {unused:?}");
}

fn capabilities(variant: &Variant) -> Capabilities {
    let of = |extension: &&str| match *extension {
        "f16" => Capabilities::SHADER_FLOAT16,
        "wgpu_cooperative_matrix" => Capabilities::COOPERATIVE_MATRIX | Capabilities::SUBGROUP,
        other => panic!("{variant} needs {other}"),
    };
    let subgroups = if variant.uses_subgroups() { Capabilities::SUBGROUP } else { Capabilities::empty() };
    variant.extensions().iter().map(of).fold(subgroups, Capabilities::union)
}

fn within_default_limits(variant: &Variant, module: &naga::Module) {
    let of_space = |wanted: fn(&naga::AddressSpace) -> bool| {
        module.global_variables.iter().filter(move |(_, variable)| wanted(&variable.space))
    };
    let storage = of_space(|space| matches!(space, naga::AddressSpace::Storage { .. })).count();
    assert!(storage <= STORAGE_BUFFERS, "{variant}: {storage} storage buffers");
    let context = module.to_ctx();
    let bytes: u32 = of_space(|space| matches!(space, naga::AddressSpace::WorkGroup))
        .map(|(_, variable)| module.types[variable.ty].inner.size(context))
        .sum();
    assert!(bytes <= WORKGROUP_BYTES, "{variant}: {bytes} bytes of workgroup memory");
    let invocations: u32 = module.entry_points[0].workgroup_size.iter().product();
    assert!(invocations <= INVOCATIONS, "{variant}: {invocations} invocations in a workgroup");
}

fn write_everywhere(
    variant: &Variant,
    module: &naga::Module,
    info: &naga::valid::ModuleInfo,
) -> Result<(), (&'static str, String)> {
    use naga::back::{hlsl, msl, spv};
    let options = spv::Options { lang_version: (1, 3), ..Default::default() };
    spv::write_vec(module, info, &options, None).map_err(|e| ("SPIR-V", e.to_string()))?;
    let options = msl::Options { fake_missing_bindings: true, lang_version: (2, 4), ..Default::default() };
    msl::write_string(module, info, &options, &Default::default()).map_err(|e| ("MSL", e.to_string()))?;
    // HLSL has no cooperative matrices, so DX12 offers none; f16 it has from 6.2 on.
    let shader_model = match variant.extensions() {
        [] => hlsl::ShaderModel::V6_0,
        ["f16"] => hlsl::ShaderModel::V6_2,
        _ => return Ok(()),
    };
    let options = hlsl::Options { fake_missing_bindings: true, shader_model, ..Default::default() };
    let mut text = String::new();
    hlsl::Writer::new(&mut text, &options, &Default::default())
        .write(module, info, None)
        .map_err(|e| ("HLSL", e.to_string()))?;
    Ok(())
}
