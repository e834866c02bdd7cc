//! Properties of plans, on random graphs and without a device.

use frugal_tensor::codec::{Codec, ErrorBounded, F16, FrequencySplit, Recompute, Rule, Slices, Slicing, Uniform};
use frugal_tensor::ir::{
    Element, Graph, GraphError, Init, KernelSet, MOST_ELEMENTS, OperatorKind, Phase, Precision, ValueId,
};
use frugal_tensor::ops::batch_norm::{BatchNorm, BatchNormState};
use frugal_tensor::ops::conv2d::Conv2d;
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::ops::upsample::Upsampling;
use frugal_tensor::passes::{PASSES, Pass};
use frugal_tensor::plan::{ALIGNMENT, Location, MemoryKind};
use frugal_tensor::{Plan, PlanError, PlanOptions, Policy};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A random net: each pair of numbers picks an operator and what it works on.
fn random_graph(batch: usize, choices: &[(u8, u8)]) -> Graph {
    let mut g = Graph::new();
    let images = g.input("images", [batch, 3, 8, 8], Element::F32);
    let labels = g.input("labels", [batch], Element::U32);
    let mask = g.input("mask", [batch], Element::F32);
    let mut values = vec![images];
    for (index, &(kind, pick)) in choices.iter().enumerate() {
        let x = values[pick as usize % values.len()];
        let name = format!("layer{index}");
        let y = g.within(name, |g| {
            let [_, c, h, _] = g.shape(x).nchw().unwrap();
            match kind % 9 {
                0 => g.relu(x).unwrap(),
                1 => {
                    let other = values.iter().rev().find(|&&v| g.shape(v) == g.shape(x)).copied().unwrap_or(x);
                    g.add(x, other).unwrap()
                }
                2 => {
                    let b = g.parameter("bias", [c], Init::Constant(0.0)).unwrap();
                    g.bias(x, b).unwrap()
                }
                3 if h >= 4 => g.max_pool(x, 2).unwrap(),
                4 => {
                    let state = BatchNormState::new(g, c).unwrap();
                    g.apply_one(BatchNorm { epsilon: 1e-5, momentum: 0.1 }, &state.inputs(x)).unwrap()
                }
                5 => g.dropout(x, 0.5).unwrap(),
                6 if h >= 4 => g.average_pool(x, 2).unwrap(),
                7 => {
                    let alike = |v: &ValueId| g.shape(*v).nchw().is_some_and(|[_, _, other, _]| other == h);
                    let parts: Vec<ValueId> = values.iter().rev().copied().filter(alike).take(3).collect();
                    g.concat(&parts).unwrap()
                }
                _ => {
                    let w = g.parameter("weight", [2 + pick as usize % 5, c, 3, 3], Init::Constant(0.0)).unwrap();
                    g.conv2d(x, w, [1, 1], [1, 1]).unwrap()
                }
            }
        });
        values.push(y);
    }
    let x = *values.last().unwrap();
    let pooled = g.global_average_pool(x).unwrap();
    let w = g.parameter("head", [5, g.shape(x)[1]], Init::Constant(0.0)).unwrap();
    let logits = g.linear(pooled, w).unwrap();
    let loss = g.cross_entropy(logits, labels, mask).unwrap();
    let gradients = g.differentiate(&[(loss, None)]).unwrap();
    g.update(Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 }), &gradients).unwrap();
    g
}

/// Plays the plan on a map of memory in which each stretch says which value was written there last, and checks that
/// every value is still there whenever it is read. Knows nothing of lifetimes.
fn every_read_finds_what_was_written(plan: &Plan) {
    // Whether it lies in the store, the page (in the store the value), and where.
    type Cell = (bool, usize, u64);
    let mut memory: BTreeMap<Cell, ValueId> = BTreeMap::new();
    let cells_of = |location: Location, size: u64| -> Vec<Cell> {
        let (stored, page, offset) = match location {
            Location::Stored(id) => (true, id.index(), 0),
            Location::Transient(place) => (false, place.page, place.offset),
        };
        (0..size.max(4).div_ceil(ALIGNMENT)).map(|i| (stored, page, offset + i * ALIGNMENT)).collect()
    };
    let cells = |plan: &Plan, v: ValueId| -> Vec<Cell> {
        cells_of(plan.location(v).expect("used values have places"), plan.graph.value(v).bytes())
    };
    let mut names: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    // A window lies in the memory of its whole; that each window was written is for the verifier to see.
    let owner = |mut v: ValueId| {
        while let Some((whole, _)) = plan.graph.value(v).window() {
            v = whole;
        }
        v
    };
    let write = |memory: &mut BTreeMap<_, _>, v: ValueId, tag: ValueId| {
        for cell in cells(plan, v) {
            memory.insert(cell, owner(tag));
        }
    };
    for (id, value) in plan.graph.ids() {
        if plan.location(id).is_some() && (value.is_persistent() || plan.uploads().contains(&id)) {
            write(&mut memory, id, id);
        }
    }
    let read = |memory: &BTreeMap<_, ValueId>, names: &BTreeMap<ValueId, ValueId>, v: ValueId, by: &str| {
        let wanted = names.get(&owner(v)).copied().unwrap_or(owner(v));
        for cell in cells(plan, v) {
            assert_eq!(
                memory.get(&cell),
                Some(&wanted),
                "{by} reads `{}`, which was written over",
                plan.graph.value(v).name
            );
        }
    };
    for (index, node) in plan.graph.nodes().iter().enumerate() {
        let by = format!("{} of {}", node.operator.name(), node.layer);
        for &input in &node.inputs {
            read(&memory, &names, input, &by);
        }
        for dispatch in plan.executable.dispatches.iter().filter(|d| d.node == index) {
            for (binding, bytes) in &dispatch.bindings {
                if matches!(binding, frugal_tensor::ir::Binding::Scratch(_)) {
                    for cell in cells_of(bytes.location, bytes.size) {
                        memory.remove(&cell);
                    }
                }
            }
        }
        // Scratch must not have destroyed what the same node still reads.
        for &input in &node.inputs {
            read(&memory, &names, input, &format!("{by}, after its scratch,"));
        }
        for &output in &node.outputs {
            if node.operator.kind() == OperatorKind::View {
                let source = owner(node.inputs[0]);
                let source = names.get(&source).copied().unwrap_or(source);
                names.insert(output, source);
            } else {
                write(&mut memory, output, output);
            }
        }
    }
    for &metric in plan.metrics() {
        read(&memory, &names, metric, "the read-back");
    }
}

/// The kinds add up to what lifetimes say at every node, the constant bytes and the places to what is allocated, and a picture with few
/// columns loses no peak.
fn memory_over_the_step_adds_up(plan: &Plan) {
    let alive = plan.lifetimes.alive();
    let memory = plan.memory_over_step(&[]);
    let totals: Vec<u64> = (0..memory.at.len()).map(|place| memory.total(place)).collect();
    assert_eq!(totals, alive[1..=plan.graph.nodes().len()]);
    assert_eq!(memory.allocated(), Plan::allocated(&[plan]));
    let most = totals.iter().max().copied();
    assert!(most.unwrap() <= memory.placed);
    let phase = |node: usize| plan.graph.nodes()[node].phase;
    let mut others = (0..memory.backward).chain(memory.update..memory.nodes);
    assert!(others.all(|node| phase(node) != Phase::Backward));
    let first = &plan.peak_snapshots(1)[0];
    assert_eq!((Some(first.bytes), totals[first.node]), (most, first.bytes));
    assert_eq!(first.alive.iter().map(|alive| alive.bytes).sum::<u64>(), first.bytes);
    let kept: u64 = first.alive.iter().filter(|alive| alive.kept).map(|alive| alive.bytes).sum();
    let of_kind = |kind| memory.alive.iter().find(|of| of.kind == kind).unwrap().bytes[first.node];
    assert_eq!(of_kind(MemoryKind::Kept), kept);
    for columns in [1, 7, memory.nodes, 2 * memory.nodes] {
        let thin = memory.thinned(columns);
        assert_eq!(thin.at.len(), columns.min(memory.nodes));
        for place in 0..thin.at.len() {
            assert!(thin.span(place).contains(&thin.at[place]));
            assert_eq!(Some(thin.total(place)), totals[thin.span(place)].iter().max().copied());
        }
    }
}

fn policies() -> Vec<Policy> {
    let convolved = Rule {
        read_by: Some("convolution".into()),
        codec: Some(Rc::new(FrequencySplit::default())),
        ..Rule::default()
    };
    let large = Rule { min_elements: 1000, codec: Some(Rc::new(Uniform::default())), ..Rule::default() };
    vec![
        Policy::raw(),
        Policy::with(F16),
        Policy::with(Uniform::default()),
        Policy::with(FrequencySplit::default()),
        Policy::with(F16).rule(convolved).rule(large),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_live_value_is_written_over(
        batch in 1usize..7,
        choices in prop::collection::vec((any::<u8>(), any::<u8>()), 1..24),
        policy in 0usize..5,
        recompute in prop::sample::select(Recompute::ALL.to_vec()),
        page in prop::sample::select(vec![u64::MAX, 4096, 16_384]),
        kernels in 0usize..6,
        slices in 0usize..3,
        twice in prop::sample::select(vec![0, 20, u64::MAX]),
    ) {
        let exactly = |samples: usize| Slices::Exactly(Slicing { samples, wide: 0, least_bytes: 1024 * (twice % 7), twice });
        let slices = [Slices::Off, exactly(1), exactly(2)][slices];
        let policy = policies().swap_remove(policy).recompute(recompute).slices(slices);
        let options = PlanOptions { max_buffer: page, ..frugal_testkit::all_kernels().swap_remove(kernels) };
        let plan = Plan::new(random_graph(batch, &choices), &policy, options).unwrap();
        every_read_finds_what_was_written(&plan);
        memory_over_the_step_adds_up(&plan);
        let nodes = plan.graph.nodes();
        for (index, update) in nodes.iter().enumerate().filter(|(_, node)| node.phase == Phase::Update) {
            let parameter = update.inputs[0];
            let read_later = nodes[index + 1..].iter().any(|node| node.inputs.contains(&parameter));
            prop_assert!(!read_later, "`{}` is read after its update", plan.graph.value(parameter).name);
        }
    }
}

#[test]
fn encoding_frees_the_raw_value() {
    let choices: Vec<(u8, u8)> = (0..12).map(|i| (if i % 2 == 0 { 8 } else { 0 }, i)).collect();
    let plan = |policy: Policy| {
        let options = frugal_testkit::all_kernels().swap_remove(0);
        Plan::new(random_graph(64, &choices), &policy, options).unwrap()
    };
    let (raw, split) = (plan(Policy::raw()), plan(Policy::with(FrequencySplit::default())));
    assert!(split.kept_bytes() * 4 < raw.kept_bytes(), "{} of {}", split.kept_bytes(), raw.kept_bytes());
    let peak = |plan: &Plan| plan.executable.transient_pages.iter().sum::<u64>();
    assert!(peak(&split) * 2 < peak(&raw), "peak {} of {}", peak(&split), peak(&raw));
}

#[test]
fn values_too_large_to_bind_are_refused_with_the_batch_that_fits() {
    let options = PlanOptions { max_binding: 10_000, ..frugal_testkit::all_kernels().swap_remove(2) };
    // conv to 2 + 4 channels: 6·8·8·4 = 1,536 bytes a sample.
    let error = Plan::new(random_graph(64, &[(8, 4)]), &Policy::raw(), options.clone()).unwrap_err();
    let PlanError::TooLarge { layer, bytes, limit, largest_batch, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((layer.as_str(), *bytes, *limit, *largest_batch), ("layer0", 98_304, 10_000, Some(6)));
    assert!(Plan::new(random_graph(6, &[(8, 4)]), &Policy::raw(), options).is_ok());
}

/// A product of rows, of which a sample has several, or which is no larger than its parameter: what is said of one sample and of
/// the largest batch goes by the batch and not by the first extent of what a node reads.
#[test]
fn samples_are_counted_by_the_batch_of_the_step() {
    let plan = |samples: usize, inner: usize, outer: usize, max_binding: u64| {
        let mut graph = Graph::new();
        graph.set_batch(samples);
        let rows = graph.input("rows", [samples, 16, inner], Element::F32);
        let rows = graph.reshape(rows, [16 * samples, inner]).unwrap();
        graph.within("product", |graph| {
            let weight = graph.parameter("weight", [inner, outer], Init::Constant(0.0)).unwrap();
            let product = graph.matmul(rows, weight).unwrap();
            graph.mark_metric(product);
        });
        Plan::new(graph, &Policy::raw(), PlanOptions { max_binding, ..frugal_testkit::all_kernels().swap_remove(2) })
    };
    let layers = plan(8, 4, 32, 1 << 20).unwrap().layers();
    let product = layers.iter().find(|layer| layer.name == "product").unwrap();
    assert_eq!(product.macs_per_sample, 16 * 4 * 32);
    // 2,048 bytes a sample; a parameter of 16,384 bytes, which is cut by rows, beside 4,096 of a sample.
    let largest_batch = |refused: Result<Plan, PlanError>| match refused.unwrap_err() {
        PlanError::TooLarge { largest_batch, .. } => largest_batch,
        other => panic!("{other}"),
    };
    assert_eq!(largest_batch(plan(8, 4, 32, 10_000)), Some(4));
    assert!(plan(1, 64, 64, 10_000).is_ok());
}

/// What the rules make of a net with two convolutions: the form and the rule of each value that waits, by the layer and
/// the operator that made it.
#[test]
fn rules_are_tried_in_order_and_the_default_comes_last() {
    let graph = || {
        let mut g = Graph::new();
        let images = g.input("images", [4, 3, 8, 8], Element::F32);
        let x = ["stage1.0", "stage1.1"].into_iter().fold(images, |x, name| {
            g.within(name, |g| {
                let channels = g.shape(x)[1];
                let w = g.parameter("kernel", [16, channels, 3, 3], Init::Constant(0.0)).unwrap();
                let y = g.conv2d(x, w, [1, 1], [1, 1]).unwrap();
                let state = BatchNormState::new(g, 16).unwrap();
                let y = g.apply_one(BatchNorm { epsilon: 1e-5, momentum: 0.1 }, &state.inputs(y)).unwrap();
                g.relu(y).unwrap()
            })
        });
        let pooled = g.global_average_pool(x).unwrap();
        let logits = g.within("head", |g| {
            let w = g.parameter("weight", [5, 16], Init::Constant(0.0)).unwrap();
            g.linear(pooled, w).unwrap()
        });
        let labels = g.input("labels", [4], Element::U32);
        let mask = g.input("mask", [4], Element::F32);
        let loss = g.cross_entropy(logits, labels, mask).unwrap();
        g.differentiate(&[(loss, None)]).unwrap();
        g
    };
    let forms = |policy: &Policy| -> BTreeMap<String, (&'static str, Option<usize>)> {
        let plan = Plan::new(graph(), policy, frugal_testkit::all_kernels().swap_remove(2)).unwrap();
        let named = plan.stored.iter().filter(|s| ["f16", "uniform", "frequency-split", "raw"].contains(&s.form));
        named.map(|s| (plan.graph.value(s.source).name.clone(), (s.form, s.rule))).collect()
    };
    let rule = |codec: Option<Rc<dyn Codec>>| Rule { codec, ..Rule::default() };
    let uniform = || Some(Rc::new(Uniform::default()) as Rc<dyn Codec>);

    // The pooled values are a matrix, which the split does not take: on to the default.
    let all_it_takes = forms(&Policy::with(F16).rule(rule(Some(Rc::new(FrequencySplit::default())))));
    assert_eq!(all_it_takes["images"], ("frequency-split", Some(0)));
    assert_eq!(all_it_takes[".average"], ("f16", None));

    let policy = Policy::with(F16)
        .rule(Rule { layer: Some("images".into()), ..rule(None) })
        .rule(Rule { layer: Some("*.1".into()), made_by: Some("conv*".into()), ..rule(uniform()) })
        .rule(Rule { made_by: Some("relu".into()), read_by: Some("convolution".into()), ..rule(uniform()) })
        .rule(Rule { layer: Some("stage1".into()), ..rule(None) })
        .rule(Rule { min_elements: 1_000_000, ..rule(None) });
    let forms = forms(&policy);
    assert_eq!(forms["images"], ("raw", Some(0)));
    assert_eq!(forms["stage1.0.convolved"], ("f16", None));
    assert_eq!(forms["stage1.1.convolved"], ("uniform", Some(1)));
    assert_eq!(forms["stage1.0.relu"], ("uniform", Some(2)));
    assert!(forms.values().all(|(_, rule)| !matches!(rule, Some(3 | 4))), "{forms:?}");
}

/// Two convolutions and two rectifiers in one layer: a rule, a record and a line of a report mean one of them each.
#[test]
fn values_of_one_layer_have_names_of_their_own() {
    let mut g = Graph::new();
    let images = g.input("images", [4, 3, 16, 16], Element::F32);
    let labels = g.input("labels", [4], Element::U32);
    let mask = g.input("mask", [4], Element::F32);
    let logits = g.within("block", |g| {
        let x = ["first", "second"].into_iter().fold(images, |x, name| {
            let w = g.parameter(name, [8, g.shape(x)[1], 3, 3], Init::Constant(0.0)).unwrap();
            let x = g.conv2d(x, w, [1, 1], [1, 1]).unwrap();
            g.relu(x).unwrap()
        });
        let w = g.parameter("third", [5, 8, 16, 16], Init::Constant(0.0)).unwrap();
        let x = g.conv2d(x, w, [1, 1], [0, 0]).unwrap();
        let pooled = g.global_average_pool(x).unwrap();
        let w = g.parameter("head", [5, 5], Init::Constant(0.0)).unwrap();
        g.linear(pooled, w).unwrap()
    });
    let loss = g.cross_entropy(logits, labels, mask).unwrap();
    let gradients = g.differentiate(&[(loss, None)]).unwrap();
    g.update(Optimizer::Sgd(Sgd { momentum: 0.9, weight_decay: 0.0, nesterov: false }), &gradients).unwrap();
    let made = g.nodes().iter().filter(|node| node.phase == Phase::Forward).flat_map(|node| &node.outputs);
    let made: Vec<&str> = made.map(|&id| g.value(id).name.as_str()).collect();
    assert!(made.contains(&"block.convolved3") && made.contains(&"block.relu"), "{made:?}");
    assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), made.len(), "{made:?}");

    let second =
        Rule { value: Some("block.relu2".into()), codec: Some(Rc::new(Uniform::default())), ..Rule::default() };
    let plan = |policy: Policy| Plan::new(g.clone(), &policy, frugal_testkit::all_kernels().swap_remove(2)).unwrap();
    let forms = |plan: &Plan| -> Vec<(String, &'static str)> {
        let kept = plan.layers().into_iter().flat_map(|layer| layer.kept);
        kept.filter(|kept| kept.name.contains("relu") && kept.form != "mask")
            .map(|kept| (kept.name, kept.form))
            .collect()
    };
    let expected = |forms: [&'static str; 2]| ["block.relu", "block.relu2"].map(str::to_owned).into_iter().zip(forms);
    let ruled = forms(&plan(Policy::with(F16).rule(second)));
    assert!(ruled.iter().cloned().eq(expected(["f16", "uniform"])), "{ruled:?}");
    let bounded = plan(Policy::with(ErrorBounded::default()));
    assert!(forms(&bounded).into_iter().eq(expected(["error-bounded"; 2])), "{:?}", forms(&bounded));
    assert!(bounded.graph.find("block.relu.record").is_some() && bounded.graph.find("block.relu2.record").is_some());
}

/// Kernels count in words of 32 bits.
/// Whoever calls this crate may say any number.
#[test]
fn no_number_is_too_large_to_be_refused() {
    const MAX: usize = usize::MAX;
    let planes = |graph: &mut Graph| graph.input("x", [2, 4, 8, 8], Element::F32);
    let numbers = [1 << 20, 1 << 31, u32::MAX as usize, 1 << 40, 1 << 63, MAX];
    for n in numbers {
        let mut graph = Graph::new();
        let (x, w) = (planes(&mut graph), graph.parameter("w", [4, 4, 3, 3], Init::Constant(0.0)).unwrap());
        let one = Conv2d::default();
        let convolutions = [
            Conv2d { padding: [n, n], ..one },
            Conv2d { more_padding: [n, n], ..one },
            Conv2d { dilation: [n, n], ..one },
            Conv2d { groups: n, ..one },
        ];
        for convolution in convolutions {
            assert!(graph.apply_one(convolution, &[x, w]).is_err(), "{convolution:?}");
            let _ = graph.conv_transpose2d(x, w, convolution, [0; 2]);
        }
        let _ = graph.apply_one(Conv2d { stride: [n, n], ..one }, &[x, w]);
        assert!(graph.conv_transpose2d(x, w, Conv2d { stride: [n, n], ..one }, [0; 2]).is_err());
        assert!(graph.conv_transpose2d(x, w, one, [n, n]).is_err());
        assert!(graph.max_pool(x, n).is_err());
        assert!(graph.max_pool_padded(x, 2, 2, n).is_err());
        let _ = graph.max_pool_padded(x, 2, n, 0);
        assert!(graph.average_pool(x, n).is_err());
        assert!(graph.adaptive_average_pool(x, [n, n]).is_err());
        assert!(graph.upsample(x, Upsampling::Nearest, [n, n]).is_err());
        assert!(graph.pad(x, &[[n, n], [n, n]]).is_err());
        assert!(graph.reshape(x, [n, n]).is_err());
        assert!(graph.group_norm(x, n, w, w, 1e-5).is_err());
        let wide = graph.parameter("wide", [n, n], Init::Constant(0.0));
        assert_eq!(wide, Err(GraphError::TooLarge { layer: "wide".into(), shape: [n, n].into(), largest_batch: None }));
        let images = graph.input("images", [n, 1 << 13, n], Element::F32);
        let refused = graph.within("layer0", |graph| graph.relu(images)).unwrap_err();
        assert!(refused.to_string().starts_with("layer `images`: a value of "), "{refused}");
    }
}

#[test]
fn a_value_beyond_what_kernels_count_names_the_largest_batch() {
    let mut graph = Graph::new();
    let x = graph.input("x", [1 << 12, 1, 1 << 10, 1 << 10], Element::F32);
    let refused = graph.within("layer0", |graph| graph.relu(x)).unwrap_err().to_string();
    let samples = MOST_ELEMENTS >> 20;
    assert!(refused.ends_with(&format!("the largest batch that fits is {samples}")), "{refused}");
    let x = graph.input("y", [samples, 1, 1 << 10, 1 << 10], Element::F32);
    assert!(graph.within("layer0", |graph| graph.relu(x)).is_ok());
}

/// Max pooling behind a rectifier is swapped with it; a step in f16 with error bounds has every pass.
#[test]
fn passes_run_in_the_order_of_their_list_and_say_what_they_did() {
    let mut graph = Graph::new();
    let x = graph.input("x", [4, 3, 8, 8], Element::F32);
    let w = graph.parameter("w", [8, 3, 3, 3], Init::Constant(0.1)).unwrap();
    let y = graph.conv2d(x, w, [1, 1], [1, 1]).unwrap();
    let y = graph.relu(y).unwrap();
    let y = graph.max_pool(y, 2).unwrap();
    let dy = graph.input("dy", graph.shape(y).clone(), Element::F32);
    let gradients = graph.differentiate(&[(y, Some(dy))]).unwrap();
    let sgd = Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 };
    graph.update(Optimizer::Sgd(sgd), &gradients).unwrap();
    let options = PlanOptions::unlimited(KernelSet::Tiles).in_precision(Precision::F16);
    let slices = Slices::Exactly(Slicing { samples: 2, wide: 0, least_bytes: 0, twice: 0 });
    let plan = Plan::new(graph, &Policy::with(ErrorBounded::default()).slices(slices), options).unwrap();
    let ran: Vec<&str> = plan.graph.passes().iter().map(|record| record.pass).collect();
    assert_eq!(ran, PASSES.map(Pass::name));
    let did = |pass: Pass| plan.graph.passes().iter().find(|record| record.pass == pass.name()).unwrap().did.clone();
    assert_eq!(did(Pass::SwapReluMaxpool), "moved 1 max pooling before their activations");
    assert_eq!(did(Pass::ScheduleUpdates), "moved 0 of 3 updates before the end of the step");
}

/// Drivers that run on CPU cores leave loops after 65,535 rounds without a word: what would take more is refused there, and only
/// there.
#[test]
fn loops_longer_than_some_drivers_run_are_refused_for_them() {
    type Build = fn(&mut Graph, usize);
    let loss: Build = |g, samples| {
        let logits = g.input("logits", [samples, 2], Element::F32);
        let labels = g.input("labels", [samples], Element::U32);
        let mask = g.input("mask", [samples], Element::F32);
        g.cross_entropy(logits, labels, mask).unwrap();
    };
    let product: Build = |g, depth| {
        let a = g.input("a", [2, depth], Element::F32);
        let b = g.input("b", [depth, 2], Element::F32);
        g.matmul(a, b).unwrap();
    };
    let mean_of_window: Build = |g, extent| {
        let x = g.input("x", [1, 1, extent, extent], Element::F32);
        g.adaptive_average_pool(x, [1, 1]).unwrap();
    };
    let channels: Build = |g, channels| {
        let x = g.input("x", [1, channels, 1, 1], Element::F32);
        let w = g.input("w", [1, channels, 1, 1], Element::F32);
        g.conv2d(x, w, [1, 1], [0, 0]).unwrap();
    };
    let plane: Build = |g, size| {
        let x = g.input("x", [1, 1, 1, size], Element::F32);
        g.global_average_pool(x).unwrap();
    };
    for (build, fits, too_long) in [
        (loss, 65_000, 66_000),
        (product, 1 << 19, 1 << 21),
        (mean_of_window, 250, 300),
        (channels, 1 << 17, 1 << 19),
        (plane, 1 << 23, 1 << 25),
    ] {
        let plan = |set: KernelSet, size: usize| {
            let mut graph = Graph::new();
            build(&mut graph, size);
            Plan::new(graph, &Policy::raw(), PlanOptions::unlimited(set))
        };
        assert!(plan(KernelSet::Registers, fits).is_ok(), "{fits}");
        let refused = plan(KernelSet::Registers, too_long).map(|_| ()).unwrap_err();
        assert!(matches!(refused, PlanError::TooManyRounds { rounds, .. } if rounds > 65_535), "{too_long}: {refused}");
        assert!(plan(KernelSet::Tiles, too_long).is_ok(), "{too_long}");
    }
}
