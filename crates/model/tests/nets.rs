//! Every net: its exact parameters, how long its plan takes, and that it trains.

use frugal_model::layers::Mode;
use frugal_model::{
    IMAGES, LABELS, Layer, MASK, Mlp, ModelError, Net, Row, Sample, StepShape, TARGETS, Task, Training, training_step,
};
use frugal_tensor::codec::{F16, FrequencySplit, Policy, Recompute, Uniform};
use frugal_tensor::ir::{Element, KernelSet, ValueId};
use frugal_tensor::ops::loss::{ElementLoss, Loss};
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::random::Stream;
use frugal_tensor::runtime::Data;
use frugal_tensor::step::{CONTROL, Control};
use frugal_tensor::{Gpu, Graph, Plan, PlanOptions, PlannedSession};
use std::time::{Duration, Instant};

const SGD: Optimizer = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 });

/// Name, image, classes, parameters.
const PUBLISHED: &[(&str, [usize; 3], usize, usize)] = &[
    ("lenet", [1, 28, 28], 10, 105_194),
    ("resnet8", [3, 32, 32], 10, 78_042),
    ("resnet20", [3, 32, 32], 10, 272_474),
    ("resnet32", [3, 32, 32], 10, 466_906),
    ("resnet44", [3, 32, 32], 10, 661_338),
    ("resnet56", [3, 32, 32], 10, 855_770),
    ("resnet110", [3, 32, 32], 10, 1_730_714),
    ("resnet164", [3, 32, 32], 10, 1_703_258),
    ("vgg-small", [3, 32, 32], 10, 4_660_106),
    ("mlp", [3, 32, 32], 10, 402_250),
    ("alexnet", [3, 224, 224], 1000, 61_100_840),
    ("vgg11", [3, 224, 224], 1000, 132_863_336),
    ("vgg16", [3, 224, 224], 1000, 138_357_544),
    ("resnet18", [3, 224, 224], 1000, 11_689_512),
    ("resnet34", [3, 224, 224], 1000, 21_797_672),
    ("resnet50", [3, 224, 224], 1000, 25_557_032),
    ("densenet121", [3, 224, 224], 1000, 7_978_856),
    ("mobilenet-v2", [3, 224, 224], 1000, 3_504_872),
    ("efficientnet-lite0", [3, 224, 224], 1000, 4_652_008),
];

/// Nets that are no classifiers, with their parameters on 3×32×32 with 10 classes, and the channels that they make.
const MAKE_IMAGES: &[(&str, usize, usize)] = &[("unet", 482_890, 10), ("autoencoder", 47_107, 3)];

fn step(net: &Net, image: [usize; 3], classes: usize, batch: usize) -> Graph {
    training_step(net, StepShape { batch, sample: image.into(), classes }, SGD).unwrap()
}

#[test]
fn parameters_are_exact() {
    for net in Net::all().iter().filter(|net| net.task == Task::Classes) {
        let (_, image, classes, wanted) = PUBLISHED.iter().find(|row| row.0 == net.name).expect("every net has a row");
        let graph = step(net, *image, *classes, 2);
        let count: usize = graph.parameters().map(|(_, value)| value.shape.elements()).sum();
        assert_eq!(count, *wanted, "{}", net.name);
    }
}

/// Extents need not be even: what halving rounds is brought back. Steps of classifiers say that these nets are none.
#[test]
fn nets_that_make_images_keep_their_extents() {
    for net in Net::all().iter().filter(|net| net.task != Task::Classes) {
        let (_, parameters, channels) = MAKE_IMAGES.iter().find(|row| row.0 == net.name).expect("every net has a row");
        for [height, width] in [[32, 32], [21, 38], [9, 16]] {
            let mut graph = Graph::new();
            let images = graph.input(IMAGES, [2, 3, height, width], Element::F32);
            let y = net.forward(&mut graph, images, 10, Mode::Training).unwrap();
            assert_eq!(graph.shape(y).extents(), [2, *channels, height, width], "{}", net.name);
            let count: usize = graph.parameters().map(|(_, value)| value.shape.elements()).sum();
            assert_eq!(count, *parameters, "{}", net.name);
        }
        let shape = StepShape { batch: 2, sample: [3, 32, 32].into(), classes: 10 };
        let error = training_step(net, shape, SGD).unwrap_err();
        assert!(matches!(error, ModelError::NoLoss { .. }), "{error}");
        let text = error.to_string();
        for part in [net.name, "2×3×32×32", &format!("2×{channels}×32×32"), &parameters.to_string()] {
            assert!(text.contains(part), "{text}");
        }
        let loss = Loss::Elements(ElementLoss::MeanSquared);
        let graph = training_step(net, shape, Training { loss, ..SGD.into() }).unwrap();
        let targets = graph.ids().find(|(_, value)| value.name == TARGETS).unwrap().1;
        assert_eq!(targets.shape.extents(), [2, *channels, 32, 32]);
    }
}

/// A step along the gradients of Σ u·y changes it by what the gradients say, on every kernel set.
#[test]
fn nets_that_make_images_have_right_gradients() {
    let gpu = Gpu::open(None).expect("the tests need an adapter");
    for (name, _, channels) in MAKE_IMAGES {
        let net = Net::find(name).unwrap().narrowed(4);
        for set in [KernelSet::Naive, KernelSet::Tiles, KernelSet::Registers] {
            let mut graph = Graph::new();
            let images = graph.input(IMAGES, [2, 3, 13, 16], Element::F32);
            let arriving = graph.input("arriving", [2, *channels, 13, 16], Element::F32);
            let y = net.forward(&mut graph, images, 10, Mode::Training).unwrap();
            graph.mark_metric(y);
            let gradients = graph.differentiate(&[(y, Some(arriving))]).unwrap();
            let parameters: Vec<(String, ValueId)> =
                graph.parameters().map(|(id, value)| (value.name.clone(), gradients[&id])).collect();
            parameters.iter().for_each(|(_, gradient)| graph.mark_metric(*gradient));
            let plan = Plan::new(graph, &Policy::raw(), PlanOptions { set, ..gpu.plan_options() }).unwrap();
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
            let noise = |stream, count| -> Vec<f32> {
                Stream::new(7, stream).uniform().take(count).map(|u| 2.0 * u - 1.0).collect()
            };
            let (pixels, upstream) = (noise(0, 2 * 3 * 13 * 16), noise(1, 2 * channels * 13 * 16));
            let run = |session: &mut PlannedSession| {
                session.step(0, &[bytemuck::cast_slice(&pixels), bytemuck::cast_slice(&upstream)]).unwrap();
                session.finished().unwrap();
                let words = session.read_value(0, y).unwrap();
                let made = words.into_iter().map(|word| f64::from(f32::from_bits(word)));
                made.zip(&upstream).map(|(y, u)| y * f64::from(*u)).sum::<f64>()
            };
            run(&mut session);
            let gradients: Vec<Vec<f32>> = parameters
                .iter()
                .map(|(_, id)| session.read_value(0, *id).unwrap().into_iter().map(f32::from_bits).collect())
                .collect();
            let square: f64 = gradients.iter().flatten().map(|&g| f64::from(g).powi(2)).sum();
            // Small enough that few rectifiers switch, large enough for single precision.
            let step = 1e-3 / square.sqrt();
            let start: Vec<Vec<f32>> = parameters.iter().map(|(name, _)| session.read(name).unwrap()).collect();
            let [above, below] = [0.5, -0.5].map(|side| {
                for (((name, _), values), gradient) in parameters.iter().zip(&start).zip(&gradients) {
                    let moved = values.iter().zip(gradient).map(|(v, g)| v + (side * step) as f32 * g);
                    session.write(name, &moved.collect::<Vec<f32>>()).unwrap();
                }
                run(&mut session)
            });
            let (got, wanted) = (above - below, step * square);
            println!("{name} on {set:?}: {got}, {wanted} by the gradients");
            assert!((got - wanted).abs() < 0.02 * wanted, "{name} on {set:?}: {got}, not {wanted}");
        }
    }
}

/// The planner must stay far from quadratic: a plan takes milliseconds, but this machine may be busy.
#[test]
fn large_batches_are_planned_quickly() {
    for (name, image, classes, _) in PUBLISHED {
        for policy in [Policy::raw(), Policy::with(FrequencySplit::default())] {
            let start = Instant::now();
            let graph = step(&Net::find(name).unwrap(), *image, *classes, 256);
            let plan = Plan::new(graph, &policy, PlanOptions::unlimited(KernelSet::Tiles)).unwrap();
            let took = start.elapsed();
            let transient: u64 = plan.executable.transient_pages.iter().sum();
            let (nodes, kept) = (plan.graph.nodes().len(), plan.kept_bytes());
            println!("{name}: {nodes} nodes, {kept} bytes kept, {transient} transient, planned in {took:?}");
            assert!(took < Duration::from_secs(5), "{name}: {took:?}");
            let layers = plan.layers();
            let by_layer = layers.iter().flat_map(|layer| &layer.kept).map(|value| value.stored_bytes).sum::<u64>();
            assert_eq!(by_layer, kept, "{name}: what each layer keeps adds up to what the step keeps");
        }
    }
}

/// Every net under every codec: the stronger what is recomputed, the less waits, and what layers keep adds up to it.
#[test]
fn making_values_again_keeps_less_of_every_net() {
    let codecs =
        [Policy::raw(), Policy::with(F16), Policy::with(Uniform::default()), Policy::with(FrequencySplit::default())];
    for (name, image, classes, _) in PUBLISHED {
        let graph = step(&Net::find(name).unwrap(), *image, *classes, 16);
        for codec in &codecs {
            let plan = |recompute| {
                let policy = codec.clone().recompute(recompute);
                Plan::new(graph.clone(), &policy, PlanOptions::unlimited(KernelSet::Tiles)).unwrap()
            };
            let [none, cheap, segments] = Recompute::ALL.map(plan);
            let what = format!("{name}, {:?}", codec.default);
            let [before, less, least] = [&none, &cheap, &segments].map(Plan::kept_bytes);
            println!("{what}: {before} bytes kept, cheap {less}, segments {least}");
            // Those have no norms: what their rectifiers make follows from nothing that waits.
            let normed = !["lenet", "mlp", "alexnet", "vgg11", "vgg16"].contains(name);
            assert!(less < before || (!normed && less == before), "{what}: cheap {less} of {before}");
            assert!(least <= before, "{what}: segments {least} of {before}");
            let alive = |plan: &Plan| plan.lifetimes.alive().into_iter().max().unwrap();
            assert!(alive(&cheap) <= alive(&none), "{what}: cheap has the lower peak");
            for plan in [cheap, segments] {
                let recomputed = plan.stored.iter().any(|stored| stored.is_recomputed());
                // A norm that runs again makes its statistics again, too: a few bytes less without any value recomputed.
                let saves = plan.kept_bytes() < before - before / 1000;
                assert!(recomputed == saves, "{what}: recomputed {recomputed}, {} of {before} kept", plan.kept_bytes());
                let layers = plan.layers();
                let by_layer = layers.iter().flat_map(|layer| &layer.kept).map(|value| value.stored_bytes).sum::<u64>();
                assert_eq!(by_layer, plan.kept_bytes(), "{what}: what each layer keeps adds up");
            }
        }
    }
}

/// Two steps of a narrow variant, with all that its full width has but the channels.
#[test]
fn every_net_trains() {
    let gpu = Gpu::open(None).expect("the tests need an adapter");
    let small: &[(&str, [usize; 3], usize)] = &[
        ("resnet8", [3, 16, 16], 1),
        ("resnet164", [3, 16, 16], 4),
        ("alexnet", [3, 64, 64], 16),
        ("vgg-small", [3, 16, 16], 16),
        ("vgg11", [3, 32, 32], 16),
        ("vgg16", [3, 32, 32], 16),
        ("resnet18", [3, 64, 64], 8),
        ("resnet50", [3, 64, 64], 8),
        ("densenet121", [3, 64, 64], 8),
        ("mobilenet-v2", [3, 64, 64], 4),
        ("efficientnet-lite0", [3, 63, 63], 4),
    ];
    for &(name, image, narrow) in small {
        let net = Net::find(name).unwrap().narrowed(narrow);
        let mut losses = Vec::new();
        let split = || Policy::with(FrequencySplit::default());
        let again = [split().recompute(Recompute::Cheap), Policy::raw().recompute(Recompute::Segments)];
        for policy in [Policy::raw(), split()].into_iter().chain(again) {
            let start = Instant::now();
            let plan = Plan::new(step(&net, image, 10, 2), &policy, gpu.plan_options()).unwrap();
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
            let pixels: usize = image.iter().product();
            let images: Vec<f32> = (0..2 * pixels).map(|i| ((i * 37 % 101) as f32) / 50.0 - 1.0).collect();
            let words = |words: [u32; 2]| words.to_vec();
            let mut found = Vec::new();
            for count in 0..2u32 {
                let control = vec![count, 0, 0.01f32.to_bits(), 0];
                let (labels, mask) = (words([3, 7]), words([1.0f32.to_bits(); 2]));
                let plan = &session.plans()[0];
                let uploads: Vec<&[u8]> = plan
                    .uploads()
                    .iter()
                    .map(|&id| match plan.graph.value(id).name.as_str() {
                        IMAGES => bytemuck::cast_slice(&images),
                        LABELS => bytemuck::cast_slice(&labels),
                        MASK => bytemuck::cast_slice(&mask),
                        _ => bytemuck::cast_slice(&control),
                    })
                    .collect();
                found.extend(session.step(0, &uploads).unwrap());
            }
            found.extend(session.finished().unwrap());
            let of_step: Vec<f32> = found.iter().map(|metrics| metrics.f32(0)).collect();
            println!("{name}: losses {of_step:?}, {:?}", start.elapsed());
            assert!(of_step.iter().all(|loss| loss.is_finite()), "{name}: {of_step:?}");
            assert_ne!(of_step[0], of_step[1], "{name} did not move");
            losses.push(of_step[0]);
        }
        // What is saved for the backward pass does not touch the forward pass.
        assert!(losses.iter().all(|loss| *loss == losses[0]), "{name}: {losses:?}");
    }
}

/// Rows of a table: one table of embeddings for all categories, a linear layer over them and the numbers.
#[test]
fn nets_for_rows_embed_categories() {
    let row = Row { numbers: 3, categories: 2, vocabulary: 50 };
    let shape = StepShape { batch: 4, sample: Sample::Row(row), classes: 2 };
    let mlp = Net::mlp(Mlp { hidden: vec![16].into(), dropout: 0.0 }).with_embedding(5);
    let shapes = |net: &Net, shape: StepShape| -> Vec<(String, String)> {
        let graph = training_step(net, shape, SGD).unwrap();
        graph.parameters().map(|(_, value)| (value.name.clone(), value.shape.to_string())).collect()
    };
    let named = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(name, shape)| ((*name).to_owned(), (*shape).to_owned())).collect()
    };
    let wanted = [
        ("embedding.weight", "50×5"),
        ("hidden0.weight", "16×13"),
        ("hidden0.bias", "16"),
        ("output.weight", "2×16"),
        ("output.bias", "2"),
    ];
    assert_eq!(shapes(&mlp, shape), named(&wanted));
    let layers = Net::sequential(vec![Layer::Linear { outputs: None }]).with_embedding(1);
    let numbers = StepShape { sample: Sample::Row(Row { categories: 0, vocabulary: 0, ..row }), ..shape };
    assert_eq!(shapes(&layers, numbers)[0], ("0.weight".to_owned(), "2×3".to_owned()));
    let categories = StepShape { sample: Sample::Row(Row { numbers: 0, ..row }), classes: 1, ..shape };
    let mse = Training { loss: Loss::Elements(ElementLoss::MeanSquared), ..SGD.into() };
    training_step(&layers.clone().for_values(), categories, mse).unwrap();
    // Cross-entropy is for classes, and convolutions are for images.
    assert!(matches!(training_step(&layers.for_values(), categories, SGD), Err(ModelError::NoLoss { .. })));
    assert!(matches!(
        training_step(&Net::find("lenet").unwrap(), shape, SGD),
        Err(ModelError::NoRows { net: "lenet" })
    ));
}

/// What is read back of a few steps of a net whose images come as bytes, or as what the host makes of the same bytes; and the plan.
fn few_steps(gpu: &std::rc::Rc<Gpu>, net: &Net, bytes: bool, policy: &Policy) -> (Vec<Vec<u32>>, Plan) {
    let (mean, std, samples) = ([0.4f32, 0.5, 0.6], [0.2f32, 0.25, 0.3], 4usize);
    let net = if bytes { net.clone().on_bytes(&mean, &std) } else { net.clone() };
    let shape = StepShape { batch: samples, sample: [3, 16, 18].into(), classes: 3 };
    let images = net.task == Task::Images;
    let loss = if images { Loss::Elements(ElementLoss::MeanSquared) } else { Loss::default() };
    let graph = training_step(&net, shape, Training { loss, ..SGD.into() }).unwrap();
    let plan = Plan::new(graph, policy, gpu.plan_options()).unwrap();
    let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
    let pixels: Vec<u8> = (0..samples * 3 * 16 * 18).map(|i| (i * 37 % 251) as u8).collect();
    let at = |at: usize| at / (16 * 18) % 3;
    let normalised = |(i, &byte): (usize, &u8)| (f32::from(byte) / 255.0 - mean[at(i)]) / std[at(i)];
    let normalised: Vec<f32> = pixels.iter().enumerate().map(normalised).collect();
    let shares: Vec<f32> = pixels.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    for step in 0..3 {
        let control = Control::new(step, 0).learning_rate(0.05);
        let (labels, mask) = ([0u32, 1, 2, 1], vec![1f32; samples]);
        let target: (&str, Data) = match (images, bytes) {
            (false, _) => (LABELS, (&labels).into()),
            (true, false) => (TARGETS, (&shares).into()),
            (true, true) => (TARGETS, (&pixels).into()),
        };
        let image: Data = if bytes { (&pixels).into() } else { (&normalised).into() };
        session.step_with(0, &[(IMAGES, image), target, (MASK, (&mask).into()), (CONTROL, (&control).into())]).unwrap();
    }
    let words = session.finished().unwrap().into_iter().map(|metrics| metrics.words).collect();
    (words, session.plans()[0].clone())
}

#[test]
fn images_as_bytes_train_to_the_same_bits_and_are_kept_in_a_quarter() {
    let gpu = Gpu::open(None).expect("the tests need an adapter");
    for name in ["resnet8", "mlp", "autoencoder"] {
        let net = Net::find(name).unwrap().narrowed(4);
        for recompute in [Recompute::None, Recompute::Cheap, Recompute::Segments] {
            let policy = Policy::raw().recompute(recompute);
            let [(floats, wide), (bytes, narrow)] = [false, true].map(|bytes| few_steps(&gpu, &net, bytes, &policy));
            assert!(bytes == floats, "{name}: {recompute:?}");
            let elements = 4 * 3 * 16 * 18;
            let images = if net.task == Task::Images { 2 } else { 1 };
            let saved = wide.executable.upload_bytes() - narrow.executable.upload_bytes();
            assert_eq!(saved, 3 * images * elements, "{name}");
            let kept = |plan: &Plan| -> u64 {
                let inputs = plan.kept_values().into_iter().map(|id| plan.graph.value(id));
                inputs.filter(|value| [IMAGES, TARGETS].contains(&value.name.as_str())).map(|value| value.bytes()).sum()
            };
            assert_eq!((kept(&wide), kept(&narrow)), (4 * images * elements, images * elements), "{name}");
        }
        // A codec takes no bytes: what the weights' gradients read of images is exact.
        let (_, plan) = few_steps(&gpu, &net, true, &Policy::with(Uniform::default()));
        assert!(
            plan.stored.iter().filter(|stored| plan.graph.value(stored.source).name == IMAGES).all(|s| s.form == "raw")
        );
    }
}

/// Samples that are mixed in training are floats there, and bytes in evaluations.
#[test]
fn mixed_images_are_no_bytes() {
    let net = Net::find("lenet").unwrap().on_bytes(&[0.5], &[0.25]);
    let shape = StepShape { batch: 2, sample: [1, 28, 28].into(), classes: 10 };
    let training = Training { mixed: true, ..SGD.into() };
    let element = |graph: &Graph| graph.values().iter().find(|value| value.name == IMAGES).unwrap().element;
    let training_graph = training_step(&net, shape, training).unwrap();
    let evaluation = frugal_model::evaluation_step(&net, shape, training).unwrap();
    assert_eq!([element(&training_graph), element(&evaluation)], [Element::F32, Element::U8]);
    // What the evaluation normalises by joins the store.
    let plan = Plan::new(training_graph, &Policy::raw(), PlanOptions::unlimited(KernelSet::Tiles)).unwrap();
    plan.evaluation(evaluation).unwrap();
    let three = StepShape { sample: [3, 28, 28].into(), ..shape };
    let refused = training_step(&net, three, SGD).unwrap_err().to_string();
    assert!(refused.contains("256 numbers for each of 3 channels"), "{refused}");
}
