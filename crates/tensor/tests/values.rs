//! What a value may be besides f32 of one step: a constant, packed bits with a gradient, a frozen parameter.

use frugal_tensor::ir::{
    Backward, Element, Graph, GraphError, Init, Kernel, KernelContext, Lifetime, Operator, Output, Role, Shape, Value,
    ValueId,
};
use frugal_tensor::random::Stream;
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::gpu;

/// The bit of each element that is not below zero. Its gradient passes straight through (arXiv 1308.3432).
#[derive(Debug)]
struct Sign;

/// 1 where a bit is set, −1 elsewhere.
#[derive(Debug)]
struct Unpack;

const SIGN: &str = "
    struct Params { elements: u32 }
    @group(0) @binding(0) var<uniform> p: Params;
    @group(0) @binding(1) var<storage, read_write> x: array<f32>;
    @group(0) @binding(2) var<storage, read_write> signs: array<u32>;

    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        let word = id.x;
        if 32u * word < p.elements {
            var bits = 0u;
            for (var i = 0u; i < min(32u, p.elements - 32u * word); i += 1u) {
                bits |= select(0u, 1u, x[32u * word + i] >= 0.0) << i;
            }
            signs[word] = bits;
        }
    }";

const UNPACK: &str = "
    struct Params { elements: u32 }
    @group(0) @binding(0) var<uniform> p: Params;
    @group(0) @binding(1) var<storage, read_write> signs: array<u32>;
    @group(0) @binding(2) var<storage, read_write> y: array<f32>;

    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < p.elements {
            y[id.x] = select(-1.0, 1.0, ((signs[id.x / 32u] >> (id.x % 32u)) & 1u) != 0u);
        }
    }";

impl Operator for Sign {
    fn name(&self) -> &'static str {
        "sign"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::bits("signs", inputs[0].shape.clone()).differentiable()])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let elements = context.inputs[0].shape.elements();
        let kernel = Kernel::wgsl("sign", SIGN).parameter(elements).inputs([0]).outputs([0]);
        vec![kernel.invocations(elements.div_ceil(32), 64)]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let straight_through = backward.grad_output()?;
        backward.set_grad_input(0, straight_through);
        Ok(())
    }
}

impl Operator for Unpack {
    fn name(&self) -> &'static str {
        "unpack"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        match inputs[0].element {
            Element::Bit => Ok(vec![Output::new("unpacked", inputs[0].shape.clone())]),
            _ => Err("it takes bits".into()),
        }
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let elements = context.outputs[0].shape.elements();
        let kernel = Kernel::wgsl("unpack", UNPACK).parameter(elements).inputs([0]).outputs([0]);
        vec![kernel.invocations(elements, 64)]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        backward.set_grad_input(0, grad_output);
        Ok(())
    }
}

fn random(elements: usize, stream: u64) -> Vec<f32> {
    Stream::new(3, stream).uniform().map(|u| 2.0 * u - 1.0).take(elements).collect()
}

fn read(session: &PlannedSession, id: ValueId) -> Vec<f32> {
    session.read_value(0, id).unwrap().into_iter().map(f32::from_bits).collect()
}

/// y = sign(x) · w, of 70 elements, the last word not full: dw = dy · sign(x) and, straight through, dx = dy · w.
#[test]
fn a_gradient_passes_through_packed_bits_where_a_rule_says_how() {
    let gpu = gpu();
    let mut graph = Graph::new();
    let x = graph.parameter("x", [7, 10], Init::Constant(0.0)).unwrap();
    let w = graph.parameter("w", [7, 10], Init::Constant(0.0)).unwrap();
    let signs = graph.apply_one(Sign, &[x]).unwrap();
    let unpacked = graph.apply_one(Unpack, &[signs]).unwrap();
    let y = graph.multiply(unpacked, w).unwrap();
    graph.mark_metric(y);
    let dy = graph.input("dy", [7, 10], Element::F32);
    let gradients = graph.differentiate(&[(y, Some(dy))]).unwrap();
    [x, w].iter().for_each(|parameter| graph.mark_metric(gradients[parameter]));
    // Seventy bits are three words, and nothing else of the signs is kept.
    assert_eq!((graph.value(signs).bytes(), graph.shape(signs)), (12, &Shape::from([7, 10])));
    let [dx, dw] = [x, w].map(|parameter| gradients[&parameter]);
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
    let mut session = PlannedSession::new(gpu, vec![plan], 0).unwrap();
    let [xs, ws, dys] = [1, 2, 3].map(|stream| random(70, stream));
    session.write("x", &xs).unwrap();
    session.write("w", &ws).unwrap();
    session.step_with(0, &[("dy", (&dys).into())]).unwrap();
    session.finished().unwrap();
    let sign = |x: f32| if x >= 0.0 { 1.0 } else { -1.0 };
    for i in 0..70 {
        let wanted = [ws[i] * sign(xs[i]), dys[i] * ws[i], dys[i] * sign(xs[i])];
        assert_eq!([y, dx, dw].map(|id| read(&session, id)[i]), wanted, "element {i}");
    }
}

/// It is there in every step, and the host never uploads it.
#[test]
fn a_constant_is_the_same_in_all_steps() {
    let gpu = gpu();
    let mut graph = Graph::new();
    let x = graph.input("x", [4], Element::F32);
    let words = [1.0f32, 2.0, 3.0, 4.0].map(f32::to_bits).to_vec();
    let c = graph.constant("c", [4], Element::F32, words.clone()).unwrap();
    let wrong = graph.constant("d", [40], Element::Bit, words).unwrap_err();
    assert_eq!(wrong, GraphError::ConstantSize { name: "d".into(), expected: 2, given: 4 });
    let y = graph.add(x, c).unwrap();
    graph.mark_metric(y);
    assert_eq!((graph.value(c).role, graph.value(c).lifetime()), (Role::Constant, Lifetime::AcrossSteps));
    assert!(!graph.value(y).needs_gradient);
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
    let mut session = PlannedSession::new(gpu, vec![plan], 0).unwrap();
    for step in 0..3 {
        session.step_with(0, &[("x", (&vec![step as f32; 4]).into())]).unwrap();
        session.finished().unwrap();
        assert_eq!(read(&session, y), [1.0, 2.0, 3.0, 4.0].map(|c| c + step as f32));
    }
}
