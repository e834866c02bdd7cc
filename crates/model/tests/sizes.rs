//! Sizes that a user may say, however absurd: an error that names the layer, or a plan.

use frugal_model::layers::{Conv, NORM, Padding};
use frugal_model::{Layer, Net, StepShape, Training, evaluation_step, training_step};
use frugal_tensor::codec::{ErrorBounded, F16, Float8, FrequencySplit, Recompute, Uniform};
use frugal_tensor::ops::activation::Activation;
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::ops::upsample::Upsampling;
use frugal_tensor::{Plan, Policy};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::Cell;
use std::time::{Duration, Instant};

const SGD: Optimizer = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 });

/// Any number up to 2^20, small ones as often as large ones.
fn extent() -> impl Strategy<Value = usize> {
    (0u32..=20, any::<u32>()).prop_map(|(bits, draw)| {
        let highest = 1usize << bits;
        (highest + draw as usize % highest).min(1 << 20)
    })
}

/// The same, or, much more often, what nets have.
fn usual(most: usize) -> impl Strategy<Value = usize> {
    prop_oneof![3 => 1..=most, 1 => extent()]
}

fn convolution() -> impl Strategy<Value = Conv> {
    let padding = prop_oneof![
        2 => usual(4).prop_map(|padding| Padding::Even(padding - 1)),
        1 => Just(Padding::Same),
    ];
    let groups = prop_oneof![8 => Just(1), 1 => usual(4)];
    let steps = (usual(3), usual(2), groups);
    (usual(64), usual(5), padding, steps, any::<bool>()).prop_map(|(filters, kernel, padding, steps, bias)| {
        let (stride, dilation, groups) = steps;
        Conv { filters, kernel, stride, padding, dilation, groups, bias }
    })
}

/// A layer that takes planes and makes planes.
fn of_planes() -> impl Strategy<Value = Layer> {
    let how = prop_oneof![Just(Upsampling::Nearest), Just(Upsampling::Bilinear)];
    prop_oneof![
        6 => convolution().prop_map(Layer::Conv),
        3 => (convolution(), usual(2)).prop_map(|(convolution, more)| Layer::ConvTranspose {
            convolution,
            output_padding: more - 1
        }),
        2 => of_anything(),
        1 => usual(4).prop_map(|groups| Layer::GroupNorm { groups }),
        2 => (usual(3), usual(3), usual(2)).prop_map(|(kernel, stride, padding)| Layer::MaxPool {
            kernel,
            stride,
            padding: padding - 1
        }),
        1 => usual(3).prop_map(|kernel| Layer::AveragePool { kernel }),
        1 => [usual(4), usual(4)].prop_map(|extents| Layer::AdaptiveAveragePool { extents }),
        1 => (usual(3), how).prop_map(|(factor, how)| Layer::Upsample { factor, how }),
    ]
}

fn of_anything() -> impl Strategy<Value = Layer> {
    prop_oneof![
        Just(Layer::Activation(Activation::Relu)),
        Just(Layer::Activation(Activation::Gelu)),
        Just(Layer::BatchNorm(NORM)),
        Just(Layer::LayerNorm),
        Just(Layer::Dropout { rate: 0.5 }),
    ]
}

/// Lists that end as a classifier does, residual blocks among them.
fn layers() -> impl Strategy<Value = Vec<Layer>> {
    let block = (prop::collection::vec(of_planes(), 0..3), prop::collection::vec(of_planes(), 0..2))
        .prop_map(|(body, shortcut)| Layer::Residual { body, shortcut });
    let planes = prop::collection::vec(prop_oneof![8 => of_planes(), 1 => block], 0..5);
    let flat = prop_oneof![3 => Just(Layer::Flatten), 1 => Just(Layer::GlobalAveragePool)];
    let linear = usual(64).prop_map(|outputs| Layer::Linear { outputs: Some(outputs) });
    let rows = prop::collection::vec(prop_oneof![1 => linear, 2 => of_anything()], 0..3);
    (planes, flat, rows).prop_map(|(mut list, flat, rows)| {
        list.push(flat);
        list.extend(rows);
        list.push(Layer::Linear { outputs: None });
        list
    })
}

fn policies() -> [Policy; 7] {
    [
        Policy::raw(),
        Policy::raw().recompute(Recompute::Segments),
        Policy::with(F16).recompute(Recompute::Cheap),
        Policy::with(Float8::default()),
        Policy::with(Uniform::default()),
        Policy::with(FrequencySplit::default()).recompute(Recompute::Cheap),
        Policy::with(ErrorBounded::default()),
    ]
}

/// All that `frugal plan` does; the number of plans that came out.
fn plan(net: &Net, shape: StepShape) -> usize {
    let training = Training::from(SGD);
    let (Ok(step), Ok(evaluation)) = (training_step(net, shape, training), evaluation_step(net, shape, training))
    else {
        return 0;
    };
    step.multiply_adds();
    let mut planned = 0;
    for (options, policy) in
        frugal_testkit::all_kernels().into_iter().chain(frugal_testkit::all_f16()).zip(policies().iter().cycle())
    {
        let Ok(train) = Plan::new(step.clone(), policy, options) else { continue };
        let Ok(beside) = train.evaluation(evaluation.clone()) else { continue };
        Plan::allocated(&[&train, &beside]);
        train.bytes(&[&beside], &[&train, &beside]);
        train.layers();
        train.peak_snapshots(3);
        train.memory_over_step(&[&beside]);
        train.tunables().count();
        planned += 1;
    }
    planned
}

/// As [`plan`], which must not take long.
fn plan_soon(net: &Net, shape: StepShape) -> usize {
    let start = Instant::now();
    let planned = plan(net, shape);
    assert!(start.elapsed() < Duration::from_secs(30), "{net:?} {shape:?} took {:?}", start.elapsed());
    planned
}

#[test]
fn any_sizes_give_a_plan_or_an_error() {
    let cases = 10 * ProptestConfig::default().cases;
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let planned = Cell::new(0);
    let sizes = (layers(), usual(64), [usual(4), usual(64), usual(64)], usual(20));
    let tried = runner.run(&sizes, |(list, batch, image, classes)| {
        let plans = plan_soon(&Net::sequential(list), StepShape { batch, sample: image.into(), classes });
        planned.set(planned.get() + u32::from(plans > 0));
        Ok(())
    });
    tried.unwrap();
    // Otherwise this tries errors alone.
    assert!(planned.get() > cases / 20, "{} of {cases} could be planned", planned.get());
    println!("{} of {cases} could be planned", planned.get());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_images_give_a_plan_or_an_error(
        net in 0..Net::all().len(),
        batch in extent(),
        image in [extent(), extent(), extent()],
        classes in extent(),
    ) {
        plan_soon(&Net::all()[net], StepShape { batch, sample: image.into(), classes });
    }
}
