//! Times of nodes, the kernels that nothing is faster than, and what each node of a step is there for.

use frugal_tensor::codec::{FrequencySplit, Recompute};
use frugal_tensor::ir::{Element, Graph, Init, ValueId};
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::ops::roofline::{Copy, MultiplyAdds};
use frugal_tensor::plan::StepRole;
use frugal_tensor::runtime::Clock;
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{SETS, gpu, options};
use std::time::Instant;

fn step() -> Graph {
    let mut g = Graph::new();
    let x = g.input("images", [4, 3, 64, 64], Element::F32);
    let labels = g.input("labels", [4], Element::U32);
    let mask = g.input("mask", [4], Element::F32);
    let add = |g: &mut Graph, x: ValueId, name: &str| {
        g.within(name, |g| {
            let channels = g.shape(x)[1];
            let w = g.parameter("weight", [16, channels, 3, 3], Init::kaiming_uniform(9 * channels)).unwrap();
            let y = g.conv2d(x, w, [1, 1], [1, 1]).unwrap();
            g.relu(y).unwrap()
        })
    };
    let x = add(&mut g, x, "a");
    let x = add(&mut g, x, "b");
    let x = g.global_average_pool(x).unwrap();
    let loss = g.cross_entropy(x, labels, mask).unwrap();
    let gradients = g.differentiate(&[(loss, None)]).unwrap();
    g.update(Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 }), &gradients).unwrap();
    g
}

#[test]
fn node_times_add_up_to_no_more_than_the_step_took() {
    let gpu = gpu();
    let plan = Plan::new(step(), &Policy::raw(), gpu.plan_options()).unwrap();
    let mut session = PlannedSession::new(gpu, vec![plan], 0).unwrap();
    let words: Vec<Vec<u8>> = session.plans()[0]
        .uploads()
        .iter()
        .map(|&id| vec![0u8; session.plans()[0].graph.value(id).bytes() as usize])
        .collect();
    let uploads: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    session.time_nodes(0, &uploads).unwrap();
    let start = Instant::now();
    let times = session.time_nodes(0, &uploads).unwrap();
    let took = start.elapsed().as_secs_f64();
    let sum: f64 = times.seconds.iter().sum();
    assert_eq!(times.seconds.len(), session.plans()[0].graph.nodes().len());
    assert!(times.seconds.iter().all(|seconds| (0.0..took).contains(seconds)));
    assert!(sum > 0.0 && sum <= took, "{sum} of {took} s by {:?}", times.clock);
    let inside =
        session.gpu().adapter().features().iter_names().any(|(name, _)| name == "TIMESTAMP_QUERY_INSIDE_PASSES");
    assert_eq!(times.clock, if inside { Clock::Device } else { Clock::Host });

    // The device's clock and the host's agree on what one convolution takes; other work on the machine may disturb one of them.
    let slowest = (0..times.seconds.len()).max_by(|&a, &b| times.seconds[a].total_cmp(&times.seconds[b])).unwrap();
    let best =
        |rounds: usize, seconds: &mut dyn FnMut() -> f64| (0..rounds).map(|_| seconds()).fold(f64::MAX, f64::min);
    let by_host = best(20, &mut || session.time_node(0, slowest, 20).unwrap());
    let by_device = best(20, &mut || session.time_nodes(0, &uploads).unwrap().seconds[slowest]);
    assert!((0.25..4.0).contains(&(by_device / by_host)), "{by_device} s by the device, {by_host} s by the host");
}

#[test]
fn copies_and_multiply_adds_compute_what_they_say() {
    let gpu = gpu();
    for set in SETS {
        // Whole vectors, and two rests.
        for elements in [8, 1024, 1028, 1032] {
            let mut g = Graph::new();
            let x = g.parameter("x", [elements], Init::Uniform { bound: 1.0 }).unwrap();
            let y = g.apply_one(Copy, &[x]).unwrap();
            let sums = g.apply_one(MultiplyAdds([elements].into()), &[]).unwrap();
            g.mark_metric(y);
            g.mark_metric(sums);
            let plan = Plan::new(g, &Policy::raw(), options(&gpu, set)).unwrap();
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 3).unwrap();
            session.step(0, &[]).unwrap();
            session.finished().unwrap();
            let read =
                |id| -> Vec<f32> { session.read_value(0, id).unwrap().into_iter().map(f32::from_bits).collect() };
            assert!(read(y) == session.read("x").unwrap(), "{set:?}, {elements}");

            let (factor, term) = (f64::from(0.999f32), f64::from(0.001f32));
            let turns = MultiplyAdds::EACH / 12;
            let wanted = |i: usize| {
                let chain = |chain: usize| (0..turns).fold((i % 256 + chain) as f64, |a, _| a * factor + term);
                (0..12).map(chain).sum::<f64>()
            };
            for (i, got) in read(sums).into_iter().enumerate().step_by(97) {
                let wanted = wanted(i);
                assert!((f64::from(got) - wanted).abs() < 2e-4 * wanted, "{set:?}, {i}: {got}, wanted {wanted}");
            }
        }
    }
}

#[test]
fn each_node_is_there_for_something() {
    let count = |policy: &Policy| {
        let plan = Plan::new(step(), policy, frugal_testkit::all_kernels().swap_remove(2)).unwrap();
        let parts = plan.step_roles();
        assert_eq!(parts.len(), plan.graph.nodes().len());
        StepRole::ALL.map(|part| parts.iter().filter(|&&p| p == part).count())
    };
    let [forward, backward, update, encode, decode, rule] = count(&Policy::raw());
    // Two convolutions and pooling, two of the three with a rectifier, and the loss.
    assert_eq!(forward, 4);
    // Loss, pooling, two rectifiers, three gradients of convolutions: the images want none.
    assert_eq!(backward, 7);
    assert_eq!(update, 2);
    // The second rectifier waits for no convolution, so that its mask does.
    assert_eq!([encode, decode, rule], [1, 0, 0]);

    let split = count(&Policy::with(FrequencySplit::default()));
    assert_eq!(split[..3], [forward, backward, update]);
    // The images, and the first rectifier's values and mask; the two values come back.
    assert_eq!(split[3..], [4, 2, 0]);
    let again = count(&Policy::raw().recompute(Recompute::Segments));
    assert_eq!(again[..3], [forward, backward, update]);
}
