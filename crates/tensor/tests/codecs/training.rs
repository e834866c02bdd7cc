//! Every store trains through every operator, one seed gives one result, and a store that changes nothing changes nothing.

use super::nonzero::NonZero;
use super::slices::slices;
use frugal_tensor::codec::MARGIN;
use frugal_tensor::codec::error_bounded::Target;
use frugal_tensor::codec::{
    Codec, DataSized, ErrorBounded, F16, Float8, FrequencySplit, Slices, Slicing, Stored, Uniform,
};
use frugal_tensor::ir::{AlongBatch, Element, Graph, Init, KernelSet, Part, Shape, Value, ValueId, verify};
use frugal_tensor::ops::batch_norm::{BatchNorm, BatchNormState};
use frugal_tensor::ops::conv2d::Conv2d;
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::plan::CapacityStatus;
use frugal_tensor::random::Stream;
use frugal_tensor::step::{CONTROL, FLAG_CALIBRATES, STOP_OVERFLOW};
use frugal_tensor::{Gpu, Plan, PlanOptions, PlannedSession, Policy};
use frugal_testkit::Lossless;
use frugal_testkit::{SETS, STEP, gpu, options};
use std::rc::Rc;

const BATCH: usize = 16;
const CLASSES: usize = 4;
const STEPS: u32 = 25;

fn convolution(g: &mut Graph, name: &str, x: ValueId) -> ValueId {
    let channels = g.shape(x)[1];
    let w = g.parameter(name, [8, channels, 3, 3], Init::kaiming_uniform(9 * channels)).unwrap();
    g.conv2d(x, w, [1, 1], [1, 1]).unwrap()
}

type Middle = fn(&mut Graph, ValueId) -> ValueId;

/// Every kind of operator, with trained layers before and behind it. A new one has to be added here.
const MIDDLES: &[(&str, Middle)] = &[
    ("convolution", |g, x| convolution(g, "middle", x)),
    ("depthwise convolution", |g, x| {
        let w = g.parameter("middle", [8, 1, 3, 3], Init::kaiming_uniform(9)).unwrap();
        g.apply_one(Conv2d { groups: 8, padding: [1, 1], ..Conv2d::default() }, &[x, w]).unwrap()
    }),
    ("transposed convolution", |g, x| {
        let w = g.parameter("middle", [8, 8, 2, 2], Init::kaiming_uniform(8)).unwrap();
        g.conv_transpose2d(x, w, Conv2d { stride: [2, 2], ..Conv2d::default() }, [0, 0]).unwrap()
    }),
    ("linear", |g, x| {
        let flat = g.flatten(x).unwrap();
        let w = g.parameter("middle", [512, 512], Init::kaiming_uniform(512)).unwrap();
        let y = g.linear(flat, w).unwrap();
        g.reshape(y, [BATCH, 8, 8, 8]).unwrap()
    }),
    ("matrix product", |g, x| {
        let flat = g.flatten(x).unwrap();
        let w = g.parameter("middle", [512, 128], Init::kaiming_uniform(512)).unwrap();
        let y = g.matmul(flat, w).unwrap();
        g.reshape(y, [BATCH, 8, 4, 4]).unwrap()
    }),
    ("batch norm", |g, x| {
        let state = BatchNormState::new(g, 8).unwrap();
        g.apply(BatchNorm { epsilon: 1e-5, momentum: 0.1 }, &state.inputs(x)).unwrap()[0]
    }),
    ("batch norm and rectifier", |g, x| {
        let state = BatchNormState::new(g, 8).unwrap();
        let y = g.apply(BatchNorm { epsilon: 1e-5, momentum: 0.1 }, &state.inputs(x)).unwrap()[0];
        g.relu(y).unwrap()
    }),
    ("bias and rectifier", |g, x| {
        let b = g.parameter("middle", [8], Init::Constant(0.1)).unwrap();
        let y = g.bias(x, b).unwrap();
        g.relu(y).unwrap()
    }),
    ("max pooling", |g, x| g.max_pool_padded(x, 3, 2, 1).unwrap()),
    ("average pooling", |g, x| g.average_pool(x, 2).unwrap()),
    ("dropout", |g, x| g.dropout(x, 0.2).unwrap()),
    ("concatenation", |g, x| {
        let y = convolution(g, "middle", x);
        let y = g.relu(y).unwrap();
        g.concat(&[x, y]).unwrap()
    }),
    ("addition", |g, x| {
        let y = convolution(g, "middle", x);
        g.add(x, y).unwrap()
    }),
    ("reshape", |g, x| g.reshape(x, [BATCH, 8, 4, 16]).unwrap()),
];

fn net(middle: Middle) -> Graph {
    let mut g = Graph::new();
    let images = g.input("images", [BATCH, 2, 8, 8], Element::F32);
    let labels = g.input("labels", [BATCH], Element::U32);
    let mask = g.input("mask", [BATCH], Element::F32);
    let x = g.within("first", |g| convolution(g, "weight", images));
    let x = g.within("middle", |g| middle(g, x));
    let x = g.within("last", |g| {
        let y = convolution(g, "weight", x);
        g.relu(y).unwrap()
    });
    let pooled = g.global_average_pool(x).unwrap();
    let w = g.parameter("head", [CLASSES, 8], Init::kaiming_uniform(8)).unwrap();
    let logits = g.linear(pooled, w).unwrap();
    let loss = g.cross_entropy(logits, labels, mask).unwrap();
    let gradients = g.differentiate(&[(loss, None)]).unwrap();
    g.update(Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 }), &gradients).unwrap();
    g
}

/// What a training leaves.
#[derive(PartialEq, Debug)]
struct Trained {
    losses: Vec<u32>,
    /// Every persistent value, as bits.
    values: Vec<(String, Vec<u32>)>,
}

impl Trained {
    fn loss(&self, step: usize) -> f32 {
        f32::from_bits(self.losses[step])
    }
}

/// A few steps over one batch, in which each class has stripes of its own.
fn train(gpu: &Rc<Gpu>, middle: Middle, policy: &Policy) -> Trained {
    train_squeezed(gpu, middle, policy, None).0
}

/// The same; before step `squeezed` forms whose sizes follow the data are left next to no room. Also returns how many steps
/// were done again for want of room.
fn train_squeezed(gpu: &Rc<Gpu>, middle: Middle, policy: &Policy, squeezed: Option<u32>) -> (Trained, usize) {
    let plan = Plan::new(net(middle), policy, options(gpu, gpu.adapter().kernel_set())).unwrap();
    let mut session = PlannedSession::new(gpu.clone(), vec![plan], 4).unwrap();
    let labels: Vec<u32> = (0..BATCH).map(|n| (n % CLASSES) as u32).collect();
    let noise = Stream::new(6, 0).uniform();
    let stripe = |i: usize| (i % 8 / (1 << (labels[i / 128] / 2)) + (labels[i / 128] % 2) as usize * (i / 8 % 8)) % 2;
    let images: Vec<f32> = (0..BATCH * 128).zip(noise).map(|(i, u)| stripe(i) as f32 + 0.2 * u).collect();
    let mask = [1.0f32; BATCH];
    let mut losses = Vec::new();
    let names: Vec<String> =
        session.plans()[0].uploads().iter().map(|id| session.plans()[0].graph.value(*id).name.clone()).collect();
    let uploads = |control: &[u32; 4]| -> Vec<Vec<u8>> {
        let upload = |name: &String| match name.as_str() {
            "images" => bytemuck::cast_slice(&images).to_vec(),
            "labels" => bytemuck::cast_slice(&labels).to_vec(),
            "mask" => bytemuck::cast_slice(&mask).to_vec(),
            CONTROL => bytemuck::cast_slice(control).to_vec(),
            other => panic!("no input is called {other}"),
        };
        names.iter().map(upload).collect()
    };
    fn slices(uploads: &[Vec<u8>]) -> Vec<&[u8]> {
        uploads.iter().map(Vec::as_slice).collect()
    }
    if session.plans()[0].has_data_sized() {
        session.calibrate(0, &slices(&uploads(&[0, 11, 0, FLAG_CALIBRATES])), MARGIN).unwrap();
    }
    let mut again = 0;
    for step in 0..STEPS {
        if squeezed == Some(step) {
            let plan = &session.plans()[0];
            let least = |(stored, data_sized): (&Stored, &dyn DataSized)| (stored.kept, data_sized.fixed_words() + 9);
            let plan = plan.resized(&plan.data_sized().map(least).collect::<Vec<_>>()).unwrap();
            session.replace(0, plan).unwrap();
        }
        let uploads = uploads(&[step, 11, 0.05f32.to_bits(), 0]);
        loop {
            session.step(0, &slices(&uploads)).unwrap();
            let done = session.finished().unwrap().pop().unwrap();
            let records = session.plans()[0].size_reports(&done.words);
            if session.plans()[0].capacity_status(&records) != CapacityStatus::Exceeded {
                losses.push(done.words[0]);
                break;
            }
            assert_eq!(session.read("status").unwrap()[0].to_bits(), STOP_OVERFLOW);
            session.replan(0, &records, MARGIN).unwrap();
            session.write_words("status", &[0; 4]).unwrap();
            again += 1;
        }
    }
    let graph = &session.plans()[0].graph;
    let persistent = graph.ids().filter(|(_, value)| value.is_persistent());
    let values = persistent.map(|(id, value)| (value.name.clone(), session.read_value(0, id).unwrap())).collect();
    (Trained { losses, values }, again)
}

/// Every store that loses something. A new one has to be added here.
fn codecs() -> Vec<Rc<dyn Codec>> {
    let split = [(2, false), (4, false), (2, true)].map(|(bits, parity)| FrequencySplit { block: 4, bits, parity });
    let uniform = [1, 2, 8].map(|bits| Uniform { bits, group: 128 });
    let split = split.into_iter().map(|codec| Rc::new(codec) as Rc<dyn Codec>);
    let uniform = uniform.into_iter().map(|codec| Rc::new(codec) as Rc<dyn Codec>);
    let targets = [Target::Noise(0.1), Target::Noise(0.5), Target::Momentum(0.01)];
    let bounded = targets.map(|target| Rc::new(ErrorBounded { target, ..Default::default() }) as Rc<dyn Codec>);
    split.chain(uniform).chain(bounded).chain([Rc::new(F16) as Rc<dyn Codec>, Rc::new(Float8 { group: 64 })]).collect()
}

#[test]
fn every_store_trains_through_every_operator_and_repeats_itself() {
    let gpu = gpu();
    for (name, middle) in MIDDLES {
        let raw = train(&gpu, *middle, &Policy::raw());
        assert!(raw == train(&gpu, *middle, &Policy::raw()), "{name}, raw: one seed, two results");
        for codec in codecs() {
            let what = format!("{name}, {codec:?}");
            let policy = Policy { rules: Vec::new(), default: Some(codec.clone()), ..Policy::raw() };
            let plan = Plan::new(net(*middle), &policy, gpu.plan_options()).unwrap();
            assert!(plan.stored.iter().any(|stored| stored.form == codec.name()), "{what}: nothing is coded");
            let trained = train(&gpu, *middle, &policy);
            let [first, last] = [trained.loss(0), trained.loss(STEPS as usize - 1)];
            assert!(last < 0.8 * first, "{what}: the loss went from {first} to {last}");
            assert_eq!(trained.losses[0], raw.losses[0], "{what}: no store touches the forward pass");
            assert!(trained.values != raw.values, "{what}: the codec changes nothing");
            let again = train(&gpu, *middle, &policy);
            assert!(trained == again, "{what}: one seed, two results");
        }
    }
}

#[test]
fn a_step_that_found_no_room_is_done_again_and_leaves_no_trace() {
    let gpu = gpu();
    let policy = Policy::with(ErrorBounded::default());
    for (name, middle) in MIDDLES.iter().filter(|(name, _)| ["convolution", "batch norm"].contains(name)) {
        let (undisturbed, _) = train_squeezed(&gpu, *middle, &policy, None);
        let (squeezed, again) = train_squeezed(&gpu, *middle, &policy, Some(12));
        assert!(again > 0, "{name}: there was room");
        assert!(undisturbed == squeezed, "{name}: not the same bits");
    }
}

/// A form from outside the crate whose size follows the data: its first capacities are too small, one of them becomes so again.
#[test]
fn any_data_sized_form_is_planned_anew_when_its_capacity_is_exceeded() {
    let gpu = gpu();
    let (_, middle) = MIDDLES.iter().find(|(name, _)| *name == "bias and rectifier").unwrap();
    let policy = Policy::with(NonZero { expected: 1 });
    let plan = Plan::new(net(*middle), &policy, gpu.plan_options()).unwrap();
    assert!(plan.data_sized().count() > 1 && plan.data_sized().all(|(stored, _)| stored.form == "non-zero"));
    let raw = train(&gpu, *middle, &Policy::raw());
    let bits = |trained: &Trained, name: &str| trained.values.iter().find(|(n, _)| n == name).unwrap().1.clone();
    for squeezed in [None, Some(12)] {
        let (coded, again) = train_squeezed(&gpu, *middle, &policy, squeezed);
        assert_eq!(again > 0, squeezed.is_some(), "steps done again");
        assert_eq!(coded.losses, raw.losses);
        assert_eq!(bits(&coded, "head"), bits(&raw, "head"));
    }
}

/// Storing is a rewrite that the arithmetic does not see.
#[test]
fn a_codec_without_error_trains_as_raw_does_to_the_bit() {
    let gpu = gpu();
    for (name, middle) in MIDDLES {
        let lossless = train(&gpu, *middle, &Policy::with(Lossless));
        assert_eq!(train(&gpu, *middle, &Policy::raw()), lossless, "{name}");
    }
}

/// Bounds are steered by what arrives at a norm's gradient; that must not keep it and the rectifier's from being one pass.
#[test]
fn steering_leaves_the_gradients_of_norm_and_rectifier_in_one_pass() {
    let (_, middle) = MIDDLES.iter().find(|(name, _)| *name == "batch norm and rectifier").unwrap();
    let options = PlanOptions::unlimited(KernelSet::Tiles);
    let plan = Plan::new(net(*middle), &Policy::with(ErrorBounded::default()), options).unwrap();
    let count = |name| plan.graph.nodes().iter().filter(|node| node.operator.name() == name).count();
    assert_eq!([count("batch norm and activation gradient"), count("batch norm gradient")], [1, 0]);
    let gains = plan.graph.nodes().iter().filter(|node| node.operator.name() == "gradient gain");
    let reads_mask = |&id: &ValueId| plan.stored.iter().any(|stored| stored.form == "mask" && stored.kept == id);
    assert_eq!(gains.filter(|node| node.inputs.iter().any(reads_mask)).count(), 1);
}

/// What bounds are steered by is summed slice by slice, with the bits of the whole.
#[test]
fn steering_takes_slices_as_the_whole() {
    let gpu = gpu();
    let names = ["convolution", "batch norm", "batch norm and rectifier", "bias and rectifier"];
    for (name, middle) in MIDDLES.iter().filter(|(name, _)| names.contains(name)) {
        let options_of_plan = PlanOptions::unlimited(KernelSet::Tiles);
        let plan = Plan::new(net(*middle), &Policy::with(ErrorBounded::default()), options_of_plan).unwrap();
        let gains: Vec<_> = plan.graph.nodes().iter().filter(|node| node.operator.name() == "gradient gain").collect();
        assert!(!gains.is_empty(), "{name}");
        for (gain, set) in gains.into_iter().flat_map(|gain| SETS.map(|set| (gain, set))) {
            let mut graph = Graph::new();
            let given: Vec<Value> = gain.inputs[1..].iter().map(|&id| plan.graph.value(id).clone()).collect();
            let add = |value: &Value, graph: &mut Graph| graph.input(&value.name, value.shape.clone(), value.element);
            let others: Vec<ValueId> = given.iter().map(|value| add(value, &mut graph)).collect();
            let inputs = [vec![graph.control()], others].concat();
            let whole = graph.apply_shared(gain.operator.clone(), &inputs).unwrap()[0];
            let values: Vec<&Value> = inputs.iter().map(|&id| graph.value(id)).collect();
            let AlongBatch::Sum { whole: in_full, mapped } = gain.operator.along_batch(&values) else {
                panic!("a sum")
            };
            assert!(mapped.is_empty());
            let mut sums: Vec<ValueId> = Vec::new();
            for slice in slices(BATCH, 12) {
                let part = |(place, &id): (usize, &ValueId)| {
                    if in_full.contains(&place) {
                        return id;
                    }
                    let shape: Shape = graph.shape(id).clone();
                    let first = slice.before(shape.elements());
                    graph.add_part(Part { of: id, first, offset: Some(4 * first as u64) }, slice.shape(&shape))
                };
                let inputs: Vec<ValueId> = inputs.iter().enumerate().map(part).chain(sums.clone()).collect();
                let operator = gain.operator.for_slice(slice).unwrap();
                let operator = if sums.is_empty() { operator } else { operator.adding().unwrap() };
                sums.extend(graph.apply_shared(operator, &inputs).unwrap());
            }
            verify(&graph).unwrap();
            graph.mark_metric(whole);
            graph.mark_metric(sums[0]);
            let plan = Plan::new(graph, &Policy::raw(), options(&gpu, set)).unwrap();
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
            let data: Vec<Vec<u32>> = given
                .iter()
                .map(|value| {
                    let noise = Stream::new(5, 1).uniform().take(value.shape.elements());
                    let bits =
                        |u: f32| if value.element == Element::F32 { (u - 0.5).to_bits() } else { u.to_bits() << 9 };
                    noise.map(bits).collect()
                })
                .collect();
            let mut uploads: Vec<&[u8]> = data.iter().map(|words| bytemuck::cast_slice(words)).collect();
            uploads.push(bytemuck::cast_slice(&STEP));
            session.step(0, &uploads).unwrap();
            let words = session.finished().unwrap().pop().unwrap().words;
            let (whole, sums) = words.split_at(words.len() / 2);
            assert!(whole == sums && whole.iter().any(|&sum| sum != 0), "{name} on {set:?}");
        }
    }
}

/// What one step leaves across steps, with a bound of 0.02 and room for whatever the data are; and the plan.
fn one_step(gpu: &Rc<Gpu>, set: KernelSet, middle: Middle, policy: &Policy) -> (Vec<(String, Vec<u32>)>, Plan) {
    let plan = Plan::new(net(middle), policy, options(gpu, set)).unwrap();
    let most = |(stored, size): (&Stored, &dyn DataSized)| (stored.kept, size.fixed_words() + size.most_words());
    let plan = plan.resized(&plan.data_sized().map(most).collect::<Vec<_>>()).unwrap();
    let mut session = PlannedSession::new(gpu.clone(), vec![plan.clone()], 4).unwrap();
    for (_, size) in plan.data_sized() {
        let mut record = [0; 12];
        record[0] = 0.02f32.to_bits();
        session.write_words(&plan.graph.value(size.report()).name, &record).unwrap();
    }
    let images: Vec<f32> = Stream::new(6, 2).uniform().take(BATCH * 128).map(|u| u - 0.4).collect();
    let labels: Vec<u32> = (0..BATCH).map(|n| (n % CLASSES) as u32).collect();
    let mask = [1.0f32; BATCH];
    // Without a step along them: momentum is the gradients.
    let control = [3, 11, 0, 0];
    let inputs = [("images", (&images).into()), ("labels", (&labels).into()), ("mask", (&mask[..]).into())];
    session.step_with(0, &[&inputs[..], &[(CONTROL, (&control).into())]].concat()).unwrap();
    session.finished().unwrap();
    let persistent = plan.graph.ids().filter(|(_, value)| value.is_persistent());
    let values = persistent.map(|(id, value)| (value.name.clone(), session.read_value(0, id).unwrap())).collect();
    (values, plan)
}

/// Gradients are those of the whole but for the order of sums: what is decoded is the same to the bit, and so are the reports.
#[test]
fn every_store_in_slices_makes_the_gradients_of_the_whole() {
    let gpu = gpu();
    let stores: [(&str, Policy); 5] = [
        ("raw", Policy::raw()),
        ("f16", Policy::with(F16)),
        ("frequency split", Policy::with(FrequencySplit { block: 4, bits: 2, parity: false })),
        // Whole groups of every value in a slice.
        ("uniform", Policy::with(Uniform { bits: 2, group: 32 })),
        ("error-bounded", Policy::with(ErrorBounded::default())),
    ];
    for (name, middle) in MIDDLES {
        for ((store, policy), set) in stores.iter().flat_map(|store| SETS.map(|set| (store, set))) {
            let what = format!("{name}, {store}, {set:?}");
            let (whole, _) = one_step(&gpu, set, *middle, policy);
            let slicing = Slicing { samples: 8, wide: 0, least_bytes: 0, twice: 0 };
            let (sliced, plan) = one_step(&gpu, set, *middle, &policy.clone().slices(Slices::Exactly(slicing)));
            let count = |name| plan.graph.nodes().iter().filter(|node| node.operator.name() == name).count();
            let is_sliced = plan.graph.passes().iter().any(|record| record.pass == "slice_batch");
            assert!(is_sliced, "{what}: nothing runs in slices");
            // Samples of a tile and more are coded slice by slice.
            let samples = plan.data_sized().map(|(stored, _)| plan.graph.shape(stored.source).elements() / BATCH);
            let expected: usize = samples.map(|sample| if sample < 512 { 1 } else { 2 }).sum();
            assert_eq!(count("error-bounded encode"), expected, "{what}");
            for ((name, whole), (other, sliced)) in whole.iter().zip(&sliced) {
                assert_eq!(name, other);
                if name.ends_with(".record") {
                    // What the coding says, without what gradients say.
                    assert_eq!(whole[2..6], sliced[2..6], "{what}: {name}");
                    continue;
                }
                let square = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>();
                let pairs = || whole.iter().zip(sliced).map(|(&a, &b)| [a, b].map(|x| f64::from(f32::from_bits(x))));
                let off = square(&mut pairs().map(|[a, b]| a - b)) / square(&mut pairs().map(|[a, _]| a)).max(1e-30);
                assert!(off.sqrt() < 1e-5, "{what}: {name} is off by {:e}", off.sqrt());
            }
        }
    }
}
