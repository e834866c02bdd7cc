//! A custom operator: softsign, y = x / (1 + |x|), with shape rule, shader and gradient rule, checked against doubles.
//!
//! ```text
//! cargo run --release -p frugal-tensor --example custom_operator
//! ```

use frugal_tensor::ir::{Backward, Element, Init, Kernel, KernelContext, Need, Operator, Output, Value};
use frugal_tensor::{Gpu, Graph, GraphError, Plan, PlannedSession, Policy};

/// y = x / (1 + |x|), or with the variable `gradient` dx = dy · (1 − |y|)², which needs y alone. WGSL, but for what stands in
/// braces: one template serves both. Values may share a buffer, so all are bound as `read_write`.
const SHADER: &str = "
struct Params {
    elements: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
{% if gradient %}
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
{% endif %}

{% include 'parts/grid.wgsl' %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * 64u + lane;
    if i < p.elements {
        {% if gradient %}
        let slope = 1.0 - abs(y[i]);
        dx[i] = x[i] * slope * slope;
        {% else %}
        y[i] = x[i] / (1.0 + abs(x[i]));
        {% endif %}
    }
}
";

/// One invocation for each element; what is bound follows.
fn kernel(context: &KernelContext, gradient: bool) -> Kernel {
    let elements = context.inputs[0].shape.elements();
    Kernel::wgsl("softsign", SHADER).variable("gradient", gradient).parameter(elements).invocations(elements, 64)
}

#[derive(Debug)]
struct Softsign;

impl Operator for Softsign {
    fn name(&self) -> &'static str {
        "softsign"
    }

    /// Takes any shape, makes the same.
    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        match inputs {
            [x] if x.element == Element::F32 => Ok(vec![Output::new("softsign", x.shape.clone())]),
            _ => Err("one value of f32 elements is wanted".into()),
        }
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        vec![kernel(context, false).inputs([0]).outputs([0])]
    }

    /// Keeps y, in whatever form the policy of the plan says, and gives x its gradient.
    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let arriving = backward.grad_output()?;
        let kept = backward.save(backward.output(0), Need::Values);
        let gradient = backward.apply(SoftsignGradient, &[arriving, kept])?[0];
        backward.set_grad_input(0, gradient);
        Ok(())
    }
}

/// Inputs: dy, y.
#[derive(Debug)]
struct SoftsignGradient;

impl Operator for SoftsignGradient {
    fn name(&self) -> &'static str {
        "softsign gradient"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("softsign_gradient", inputs[0].shape.clone())])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        vec![kernel(context, true).inputs([0, 1]).outputs([0])]
    }
}

/// Panics if something is not as it should be; public, because a test runs it.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A graph that makes y, and the gradient of Σ dy·y with respect to x.
    let count = 1000;
    let mut graph = Graph::new();
    let x = graph.parameter("x", [count], Init::Constant(0.0))?;
    let y = graph.apply_one(Softsign, &[x])?;
    let dy = graph.input("dy", [count], Element::F32);
    let dx = graph.differentiate(&[(y, Some(dy))])?[&x];
    graph.mark_metric(dx);

    let gpu = Gpu::open(None)?;
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options())?;
    let mut session = PlannedSession::new(gpu, vec![plan], 0)?;
    let points: Vec<f32> = (0..count).map(|i| (i as f32 - 500.0) / 77.0).collect();
    let arriving: Vec<f32> = (0..count).map(|i| (i as f32).cos()).collect();
    session.write("x", &points)?;
    session.step_with(0, &[("dy", (&arriving).into())])?;
    let done = session.finished()?;

    // The oracle: central differences in double precision.
    let softsign = |x: f64| x / (1.0 + x.abs());
    let h = 1e-5;
    let mut worst: f64 = 0.0;
    for (i, (&x, &dy)) in points.iter().zip(&arriving).enumerate() {
        let slope = (softsign(f64::from(x) + h) - softsign(f64::from(x) - h)) / (2.0 * h);
        let off = (f64::from(done[0].f32(i)) - f64::from(dy) * slope).abs();
        worst = if off.is_nan() { off } else { worst.max(off) };
    }
    assert!(worst < 2e-5, "the gradient is off by {worst}");
    println!("custom operator: {count} gradients within {worst:.1e} of finite differences");
    Ok(())
}
