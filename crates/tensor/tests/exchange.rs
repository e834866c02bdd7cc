//! Steps in the middle of which the host reads gradients and writes them back.

use frugal_tensor::codec::{ErrorBounded, FrequencySplit};
use frugal_tensor::ir::{Element, Init, KernelSet};
use frugal_tensor::ops::optimizer::{Adam, Optimizer, Sgd, UpdateConfig};
use frugal_tensor::random::Stream;
use frugal_tensor::runtime::{Exchange, Loopback, TraceEvent};
use frugal_tensor::step::Control;
use frugal_tensor::{Gpu, Graph, Plan, PlanOptions, PlannedSession, Policy};
use frugal_testkit::gpu;
use std::rc::Rc;

const BATCH: usize = 8;
const LAYERS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn training(update: UpdateConfig) -> Graph {
    let mut g = Graph::new();
    let images = g.input("images", [BATCH, 2, 12, 12], Element::F32);
    let labels = g.input("labels", [BATCH], Element::U32);
    let mask = g.input("mask", [BATCH], Element::F32);
    let mut x = images;
    for name in LAYERS {
        let channels = g.shape(x)[1];
        let w = g.parameter(&format!("{name}.weight"), [8, channels, 3, 3], Init::kaiming_uniform(9 * channels));
        let y = g.within(name, |g| g.conv2d(x, w.unwrap(), [1, 1], [1, 1])).unwrap();
        let b = g.parameter(&format!("{name}.bias"), [8], Init::Constant(0.1)).unwrap();
        let y = g.bias(y, b).unwrap();
        x = g.relu(y).unwrap();
    }
    let pooled = g.global_average_pool(x).unwrap();
    let w = g.parameter("head", [4, 8], Init::kaiming_uniform(8)).unwrap();
    let logits = g.linear(pooled, w).unwrap();
    let loss = g.cross_entropy(logits, labels, mask).unwrap();
    let gradients = g.differentiate(&[(loss, None)]).unwrap();
    g.train(update, loss, &gradients).unwrap();
    g
}

const SGD: Optimizer = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 });
const ADAM: Optimizer =
    Optimizer::Adam(Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, decoupled: true });

/// What a step uploads, in the order of the graph's inputs.
fn uploads(session: &PlannedSession, number: u32) -> Vec<Vec<u8>> {
    let images: Vec<f32> = Stream::new(3, number.into()).uniform().take(BATCH * 288).collect();
    let labels: Vec<u32> = (0..BATCH as u32).map(|n| (n + number) % 4).collect();
    let control = Control::new(number, 1).learning_rate(0.05);
    let control = session.executables()[0].control.encode(&control).unwrap();
    let mask = [1.0f32; BATCH];
    [
        bytemuck::cast_slice(&images),
        bytemuck::cast_slice(&labels),
        bytemuck::cast_slice(&mask),
        bytemuck::cast_slice(&control),
    ]
    .map(<[u8]>::to_vec)
    .into()
}

fn slices(uploads: &[Vec<u8>]) -> Vec<&[u8]> {
    uploads.iter().map(Vec::as_slice).collect()
}

/// The bits of everything that lives across steps after some steps, and their losses.
fn trained(session: &mut PlannedSession, exchange: Option<&mut dyn Exchange>) -> (Vec<Vec<u32>>, Vec<u32>) {
    let mut metrics = Vec::new();
    let mut exchange = exchange;
    for number in 0..5 {
        let uploads = uploads(session, number);
        metrics.extend(match &mut exchange {
            Some(exchange) => session.step_exchanging(0, &slices(&uploads), *exchange).unwrap(),
            None => session.step(0, &slices(&uploads)).unwrap(),
        });
    }
    metrics.extend(session.finished().unwrap());
    let names: Vec<String> = session.store().values.iter().map(|value| value.name.clone()).collect();
    let state = names.iter().map(|name| session.read_words(name).unwrap()).collect();
    (state, metrics.iter().map(|metrics| metrics.words[0]).collect())
}

fn session(gpu: &Rc<Gpu>, update: UpdateConfig, policy: &Policy, buckets: usize) -> PlannedSession {
    let options = PlanOptions { buckets, ..gpu.plan_options() };
    PlannedSession::new(gpu.clone(), vec![Plan::new(training(update), policy, options).unwrap()], 3).unwrap()
}

fn updates() -> [UpdateConfig; 3] {
    [SGD.into(), ADAM.into(), UpdateConfig { clip_norm: Some(0.5), average: Some(0.9), ..SGD.into() }]
}

#[test]
fn gradients_that_go_through_the_host_unchanged_give_the_same_bits() {
    let gpu = gpu();
    for policy in [Policy::raw(), Policy::with(FrequencySplit::default()), Policy::with(ErrorBounded::default())] {
        for update in updates() {
            let undivided = trained(&mut session(&gpu, update, &policy, 0), None);
            assert_eq!(undivided.1.len(), 5);
            for buckets in [1, 3, 20] {
                let what = format!("{update:?}, {policy:?}, {buckets} buckets");
                let exchanged = trained(&mut session(&gpu, update, &policy, buckets), Some(&mut Loopback));
                assert!(exchanged == undivided, "{what}");
                // Without an exchange a divided step is a step like any other.
                assert!(trained(&mut session(&gpu, update, &policy, buckets), None) == undivided, "{what}");
            }
        }
    }
}

/// What the host writes is what updates read.
#[test]
fn gradients_that_the_host_changes_change_the_updates() {
    struct Zero(usize);
    impl Exchange for Zero {
        fn exchange(&mut self, _bucket: usize, words: &mut [u32]) {
            self.0 += words.len();
            words.fill(0);
        }
    }
    let gpu = gpu();
    let plain = Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 });
    let mut session = session(&gpu, plain.into(), &Policy::raw(), 3);
    let parameters: usize = session.plans()[0].graph.parameters().map(|(_, value)| value.shape.elements()).sum();
    let before = session.read_words("c.weight").unwrap();
    let mut zero = Zero(0);
    trained(&mut session, Some(&mut zero));
    assert_eq!(zero.0, 5 * parameters, "every gradient of every step");
    assert_eq!(session.read_words("c.weight").unwrap(), before);
    trained(&mut session, Some(&mut Loopback));
    assert!(session.read_words("c.weight").unwrap() != before);
}

/// While the host waits for a bucket, the device has a segment behind it to work on.
#[test]
fn the_device_has_work_while_the_host_exchanges() {
    let gpu = gpu();
    for update in [SGD, ADAM] {
        let mut session = session(&gpu, update.into(), &Policy::raw(), 4);
        let executable = session.executables()[0].clone();
        assert_eq!((executable.buckets.len(), executable.segments.len()), (4, 6), "{executable}");
        assert!(executable.exchanges_overlap(), "{executable}");
        let uploads = uploads(&session, 0);
        let trace = session.trace_exchange(0, &slices(&uploads), &mut Loopback).unwrap();
        let events: Vec<TraceEvent> = trace.host.iter().map(|(_, event)| *event).collect();
        let at = |wanted: TraceEvent| events.iter().position(|event| *event == wanted).unwrap();
        for bucket in 0..4 {
            let read_in = executable.segments.iter().position(|segment| segment.reads.contains(&bucket)).unwrap();
            assert!(at(TraceEvent::Submitted(read_in + 1)) < at(TraceEvent::Awaited(bucket)), "{events:?}");
            assert!(at(TraceEvent::Awaited(bucket)) < at(TraceEvent::Arrived(bucket)), "{events:?}");
        }
        assert!(trace.host.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{trace:?}");
        if !trace.device.is_empty() {
            assert_eq!(trace.device.len(), executable.segments.len());
            assert!(trace.idle() <= trace.device_seconds(), "{trace:?}");
        }
    }
}

#[test]
fn the_bytes_of_an_exchange_are_planned_and_counted() {
    let gpu = gpu();
    let before = gpu.buffer_bytes();
    let mut session = session(&gpu, SGD.into(), &Policy::raw(), 3);
    let plan = &session.plans()[0];
    let gradients: u64 = plan.graph.parameters().map(|(_, value)| value.bytes()).sum();
    assert_eq!(plan.executable.exchange_bytes(), 2 * gradients);
    let planned = Plan::allocated(&[plan]);
    assert_eq!((session.bytes(), gpu.buffer_bytes() - before), (planned, planned));
    trained(&mut session, Some(&mut Loopback));
    assert_eq!(gpu.buffer_bytes() - before, planned);
}

#[test]
fn buckets_hold_every_gradient_once_in_the_order_in_which_they_are_made() {
    let mut graph = training(SGD.into());
    for (count, expected) in [(0, 0), (1, 1), (4, 4), (1000, 6)] {
        let buckets = graph.gradient_buckets(count);
        assert!(buckets.len() <= count && buckets.len() >= expected, "{count}: {buckets:?}");
        let all: Vec<_> = buckets.iter().flatten().copied().collect();
        let mut gradients: Vec<_> = graph.parameter_updates().iter().map(|update| update.gradient).collect();
        gradients.sort_unstable();
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, if count == 0 { vec![] } else { gradients });
    }
    let buckets = graph.gradient_buckets(3);
    graph.schedule_updates(&buckets);
    let options = PlanOptions { buckets: 3, ..PlanOptions::unlimited(KernelSet::Tiles) };
    let plan = Plan::new(graph, &Policy::raw(), options).unwrap();
    assert_eq!(
        plan.executable.segments.iter().map(|segment| segment.dispatches.len()).sum::<usize>(),
        plan.executable.dispatches.len()
    );
}
