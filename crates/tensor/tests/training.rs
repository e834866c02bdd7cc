//! What a training step may consist of: several outputs with gradients, several losses with weights, a teacher beside a student,
//! parameters that are made of others.

use frugal_tensor::ir::{
    Backward, Element, Frozen, Graph, GraphError, Init, Kernel, KernelContext, Operator, Output, ParameterRequest,
    Parametrisation, Role, Value, ValueId,
};
use frugal_tensor::ops::loss::{ElementLoss, Loss};
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::ops::weighted_losses::LossWeight;
use frugal_tensor::step::{CONTROL, Control};
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{Tensor, compare, gpu};

fn read(session: &PlannedSession, id: ValueId) -> Vec<f64> {
    session.read_value(0, id).unwrap().into_iter().map(|word| f64::from(f32::from_bits(word))).collect()
}

/// y = 2·x and z = 3·x.
#[derive(Debug)]
struct Double;

/// dx = 2·dy + 3·dz, of those that arrive. Inputs: these.
#[derive(Debug)]
struct DoubleGradient([bool; 2]);

const DOUBLE: &str = "
    struct Params { elements: u32 }
    @group(0) @binding(0) var<uniform> p: Params;
    @group(0) @binding(1) var<storage, read_write> x: array<f32>;
    @group(0) @binding(2) var<storage, read_write> y: array<f32>;
    @group(0) @binding(3) var<storage, read_write> z: array<f32>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < p.elements {
            y[id.x] = 2.0 * x[id.x];
            z[id.x] = 3.0 * x[id.x];
        }
    }";

const DOUBLE_GRADIENT: &str = "
    struct Params { elements: u32 }
    @group(0) @binding(0) var<uniform> p: Params;
    {% if first %}
    @group(0) @binding(1) var<storage, read_write> dy: array<f32>;
    {% endif %}
    {% if second %}
    @group(0) @binding({{ 2 if first else 1 }}) var<storage, read_write> dz: array<f32>;
    {% endif %}
    @group(0) @binding({{ 3 if first and second else 2 }}) var<storage, read_write> dx: array<f32>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < p.elements {
            dx[id.x] = {{ '2.0 * dy[id.x]' if first else '0.0' }} + {{ '3.0 * dz[id.x]' if second else '0.0' }};
        }
    }";

impl Operator for Double {
    fn name(&self) -> &'static str {
        "double"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(["doubled", "tripled"].map(|name| Output::new(name, inputs[0].shape.clone())).into())
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let elements = context.inputs[0].shape.elements();
        vec![Kernel::wgsl("double", DOUBLE).parameter(elements).inputs([0]).outputs([0, 1]).invocations(elements, 64)]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let arrive = [0, 1].map(|output| backward.grad_output_of(output));
        let inputs: Vec<ValueId> = arrive.into_iter().flatten().collect();
        let gradient = backward.apply(DoubleGradient(arrive.map(|gradient| gradient.is_some())), &inputs)?[0];
        backward.set_grad_input(0, gradient);
        Ok(())
    }
}

impl Operator for DoubleGradient {
    fn name(&self) -> &'static str {
        "double gradient"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("double_gradient", inputs[0].shape.clone())])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let elements = context.outputs[0].shape.elements();
        let kernel = Kernel::wgsl("double gradient", DOUBLE_GRADIENT)
            .variable("first", self.0[0])
            .variable("second", self.0[1])
            .parameter(elements);
        vec![kernel.inputs(0..context.inputs.len()).outputs([0]).invocations(elements, 64)]
    }
}

/// L = Σ u·y + Σ v·z, or one of the two alone: dx = 2·u + 3·v, of those that there are.
#[test]
fn every_output_of_an_operator_can_have_a_gradient() {
    let [xs, us, vs] = [1, 2, 3].map(|stream| Tensor::random(&[5, 3], stream).f32());
    for used in [[true, true], [true, false], [false, true]] {
        let gpu = gpu();
        let mut graph = Graph::new();
        let x = graph.parameter("x", [5, 3], Init::Constant(0.0)).unwrap();
        let outputs = graph.apply(Double, &[x]).unwrap();
        let upstream = ["u", "v"].map(|name| graph.input(name, [5, 3], Element::F32));
        let roots: Vec<_> = (0..2).filter(|&i| used[i]).map(|i| (outputs[i], Some(upstream[i]))).collect();
        let gradients = graph.differentiate(&roots).unwrap();
        graph.mark_metric(gradients[&x]);
        let dx = gradients[&x];
        let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
        let mut session = PlannedSession::new(gpu, vec![plan], 0).unwrap();
        session.write("x", &xs).unwrap();
        let given = [("u", (&us).into()), ("v", (&vs).into())];
        session.step_with(0, &given).unwrap();
        session.finished().unwrap();
        let [u, v] = [0, 1].map(|i| if used[i] { 1.0 } else { 0.0 });
        let wanted: Vec<f64> = (0..15).map(|i| 2.0 * u * f64::from(us[i]) + 3.0 * v * f64::from(vs[i])).collect();
        compare(&format!("dx of {used:?}"), &read(&session, dx), &wanted, 1e-6);
    }
}

const SAMPLES: usize = 6;

/// 0.5 · mean (x·wᵀ − a)² + β · mean |x·wᵀ − b|, in f64; w has shape 3×4.
fn weighted(x: &[f32], w: &[f64], targets: [&[f32]; 2], beta: f64) -> f64 {
    let mut sum = 0.0;
    for n in 0..SAMPLES {
        for k in 0..3 {
            let y: f64 = (0..4).map(|i| f64::from(x[4 * n + i]) * w[4 * k + i]).sum();
            let [a, b] = targets.map(|target| y - f64::from(target[3 * n + k]));
            sum += 0.5 * a * a + beta * b.abs();
        }
    }
    sum / (3 * SAMPLES) as f64
}

/// The second weight is a scalar that a schedule drives: another in each step, without planning anew.
#[test]
fn losses_add_up_with_weights_in_one_backward_pass() {
    let gpu = gpu();
    let mut graph = Graph::new();
    let x = graph.input("x", [SAMPLES, 4], Element::F32);
    let mask = graph.input("mask", [SAMPLES], Element::F32);
    let w = graph.parameter("w", [3, 4], Init::Constant(0.0)).unwrap();
    let y = graph.linear(x, w).unwrap();
    let losses = [("a", ElementLoss::MeanSquared), ("b", ElementLoss::MeanAbsolute)].map(|(name, loss)| {
        let target = graph.input(name, [SAMPLES, 3], Element::F32);
        graph.loss(Loss::Elements(loss), y, target, mask).unwrap()
    });
    let weights = [LossWeight::Fixed(0.5), LossWeight::Scheduled("beta".into())];
    let sum = graph.add_losses(&[(losses[0], weights[0].clone()), (losses[1], weights[1].clone())]).unwrap();
    let gradients = graph.differentiate(&[(sum, None)]).unwrap();
    let dw = gradients[&w];
    graph.mark_metric(dw);
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
    let mut session = PlannedSession::new(gpu, vec![plan], 0).unwrap();
    let [xs, a, b] = [(4, 1), (3, 2), (3, 3)].map(|(extent, stream)| Tensor::random(&[SAMPLES, extent], stream).f32());
    let ws = Tensor::random(&[3, 4], 4);
    session.write("w", &ws.f32()).unwrap();
    for (step, beta) in [0.25f32, 2.0].into_iter().enumerate() {
        let control = Control::new(step as u32, 0).scalar("beta", beta);
        let ones = vec![1.0; SAMPLES];
        let given = [
            ("x", (&xs).into()),
            ("mask", (&ones).into()),
            ("a", (&a).into()),
            ("b", (&b).into()),
            (CONTROL, (&control).into()),
        ];
        session.step_with(0, &given).unwrap();
        session.finished().unwrap();
        let loss = |w: &[f64]| weighted(&xs, w, [&a, &b], f64::from(beta));
        let total = read(&session, sum);
        compare("loss", &total[..1], &[loss(&ws.data)], 1e-6);
        assert_eq!(total[2], SAMPLES as f64);
        let slope = |i: usize| {
            let moved = |by: f64| loss(&ws.map(|j, w| if i == j { w + by } else { w }).data);
            (moved(1e-5) - moved(-1e-5)) / 2e-5
        };
        let wanted: Vec<f64> = (0..12).map(slope).collect();
        compare(&format!("gradient with β = {beta}"), &read(&session, dw), &wanted, 1e-4);
    }
}

/// Two layers: 8 → 16 → 3.
fn net(graph: &mut Graph, x: ValueId) -> ValueId {
    let layer = |graph: &mut Graph, name: &str, x: ValueId, extents: [usize; 2]| {
        graph.within(name, |graph| {
            let w = graph.parameter("weight", extents, Init::kaiming_uniform(extents[1])).unwrap();
            graph.linear(x, w).unwrap()
        })
    };
    let hidden = layer(graph, "hidden", x, [16, 8]);
    let hidden = graph.relu(hidden).unwrap();
    layer(graph, "out", hidden, [3, 16])
}

/// Steps of SGD on the loss of a graph, of which x and the mask are the inputs; returns the losses.
fn train(session: &mut PlannedSession, loss: ValueId, steps: u32, given: &[(&str, Vec<f32>)]) -> Vec<f64> {
    let step = |step| {
        let control = Control::new(step, 0).learning_rate(0.2);
        let mut inputs: Vec<_> = given.iter().map(|(name, data)| (*name, data.into())).collect();
        inputs.push((CONTROL, (&control).into()));
        session.step_with(0, &inputs).unwrap();
        session.finished().unwrap();
        read(session, loss)[0]
    };
    (0..steps).map(step).collect()
}

const SGD: Optimizer = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 });

/// Distillation: the student's logits follow those of a frozen teacher, which has no gradient and no state of the optimiser.
#[test]
fn a_frozen_teacher_trains_a_student_beside_it() {
    let gpu = gpu();
    let mut graph = Graph::new();
    let x = graph.input("x", [32, 8], Element::F32);
    let mask = graph.input("mask", [32], Element::F32);
    let teacher = graph.frozen(|graph| graph.within("teacher", |graph| net(graph, x)));
    let student = graph.within("student", |graph| net(graph, x));
    let loss = graph.loss(Loss::Elements(ElementLoss::MeanSquared), student, teacher, mask).unwrap();
    let gradients = graph.differentiate(&[(loss, None)]).unwrap();
    graph.train(SGD, loss, &gradients).unwrap();
    let of_teacher = |value: &&Value| value.name.starts_with("teacher");
    assert!(graph.parameters().all(|(_, value)| value.name.starts_with("student")));
    let frozen: Vec<&Value> = graph.values().iter().filter(|value| value.frozen).collect();
    assert!(frozen.len() == 2 && frozen.iter().all(|value| of_teacher(value) && !value.needs_gradient));
    let lasting = graph.values().iter().filter(|value| value.is_persistent()).filter(of_teacher);
    assert!(lasting.clone().count() == 2 && lasting.into_iter().all(|value| value.role == Role::Parameter));
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
    let mut session = PlannedSession::new(gpu, vec![plan], 7).unwrap();
    let teacher = |session: &PlannedSession| {
        ["teacher.hidden.weight", "teacher.out.weight"].map(|name| session.read(name).unwrap())
    };
    let before = teacher(&session);
    let given = [("x", Tensor::random(&[32, 8], 1).f32()), ("mask", vec![1.0; 32])];
    let losses = train(&mut session, loss, 150, &given);
    assert!(losses[149] < 0.05 * losses[0], "from {} to {}", losses[0], losses[149]);
    assert_eq!(teacher(&session), before);
}

/// W = U·V.
#[derive(Debug)]
struct LowRank(usize);

impl Parametrisation for LowRank {
    fn parameter(&self, graph: &mut Graph, request: ParameterRequest) -> Result<ValueId, GraphError> {
        let [rows, columns] = request.shape.matrix().expect("the pattern is for matrices");
        let u = graph.parameter(&format!("{}.u", request.name), [rows, self.0], Init::kaiming_uniform(self.0))?;
        let v = graph.parameter(&format!("{}.v", request.name), [self.0, columns], request.init)?;
        graph.matmul(u, v)
    }
}

#[test]
fn a_layer_reads_a_product_of_two_factors_where_its_parametrisation_says_so() {
    let gpu = gpu();
    let mut graph = Graph::new();
    let x = graph.input("x", [32, 8], Element::F32);
    let target = graph.input("target", [32, 3], Element::F32);
    let mask = graph.input("mask", [32], Element::F32);
    let y = graph.parametrised("hidden.*", LowRank(2), |graph| net(graph, x));
    let loss = graph.loss(Loss::Elements(ElementLoss::MeanSquared), y, target, mask).unwrap();
    let gradients = graph.differentiate(&[(loss, None)]).unwrap();
    graph.train(SGD, loss, &gradients).unwrap();
    let shapes: Vec<(String, Vec<usize>)> =
        graph.parameters().map(|(_, value)| (value.name.clone(), value.shape.extents().to_vec())).collect();
    let wanted = [("hidden.weight.u", vec![16, 2]), ("hidden.weight.v", vec![2, 8]), ("out.weight", vec![3, 16])];
    assert_eq!(shapes, wanted.map(|(name, shape)| (name.to_owned(), shape)));
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
    let mut session = PlannedSession::new(gpu, vec![plan], 7).unwrap();
    let before = session.read("hidden.weight.u").unwrap();
    let given = [
        ("x", Tensor::random(&[32, 8], 1).f32()),
        ("target", Tensor::random(&[32, 3], 2).f32()),
        ("mask", vec![1.0; 32]),
    ];
    let losses = train(&mut session, loss, 150, &given);
    assert!(losses[149] < 0.8 * losses[0], "from {} to {}", losses[0], losses[149]);
    assert_ne!(session.read("hidden.weight.u").unwrap(), before);
}

/// What a parametrisation asks for comes of the one around it, whichever of the two is outside.
#[test]
fn parametrisations_nest() {
    let factors = |graph: &Graph| {
        let factors = graph.values().iter().filter(|value| value.role == Role::Parameter);
        factors.map(|value| (value.name.clone(), value.frozen)).collect::<Vec<_>>()
    };
    let ask = |graph: &mut Graph| graph.parameter("w", [4, 5], Init::Constant(1.0)).unwrap();
    let mut frozen_outside = Graph::new();
    let w = frozen_outside.frozen(|graph| graph.parametrised("w", LowRank(1), ask));
    assert!(!frozen_outside.value(w).needs_gradient);
    let mut frozen_inside = Graph::new();
    let w = frozen_inside.parametrised("w", LowRank(1), |graph| graph.parametrised("w", Frozen, ask));
    assert!(!frozen_inside.value(w).needs_gradient);
    let both = [("w.u".to_owned(), true), ("w.v".to_owned(), true)];
    assert_eq!([factors(&frozen_outside), factors(&frozen_inside)], [both.clone(), both]);
}

/// It makes a value of another shape than requested.
#[derive(Debug)]
struct Wrong;

impl Parametrisation for Wrong {
    fn parameter(&self, graph: &mut Graph, request: ParameterRequest) -> Result<ValueId, GraphError> {
        graph.parameter(&request.name, [1], request.init)
    }
}

#[test]
fn a_parametrisation_of_another_shape_is_refused() {
    let mut graph = Graph::new();
    let ask = |graph: &mut Graph| graph.within("layer", |graph| graph.parameter("w", [4, 5], Init::Constant(1.0)));
    let error = graph.parametrised("layer.*", Wrong, ask).unwrap_err().to_string();
    assert_eq!(error, "the parametrisation of `layer.w` made a value of 1, but the layer asks for 4×5");
}

/// The same numbers whatever else a net has, and in whatever order its layers are added.
#[test]
fn starting_values_go_by_name_and_not_by_order() {
    let gpu = gpu();
    let start = |names: &[&str]| {
        let mut graph = Graph::new();
        let x = graph.input("x", [2, 5], Element::F32);
        for name in names {
            let w = graph.parameter(name, [4, 5], Init::kaiming_uniform(5)).unwrap();
            let y = graph.linear(x, w).unwrap();
            graph.mark_metric(y);
        }
        let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
        let session = PlannedSession::new(gpu.clone(), vec![plan], 7).unwrap();
        session.read("b").unwrap()
    };
    let alone = start(&["b"]);
    assert_eq!([start(&["a", "b"]), start(&["b", "a"])], [alone.clone(), alone.clone()]);
    let bound = (6.0f32 / 5.0).sqrt();
    assert!(alone.iter().all(|w| w.abs() < bound) && alone.iter().any(|w| w.abs() > 0.5 * bound));
}
