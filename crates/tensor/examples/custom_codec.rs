//! A custom codec: bfloat16, the upper half of a single, two in a word. Its promise is checked on every magnitude, and
//! then a graph keeps a value with it.
//!
//! ```text
//! cargo run --release -p frugal-tensor --example custom_codec
//! ```

use frugal_tensor::codec::{Attached, Codec, Site};
use frugal_tensor::ir::{Element, Graph, GraphError, Init, Kernel, KernelContext, Operator, Output, Shape, Value};
use frugal_tensor::ops::activation::Activation;
use frugal_tensor::{Gpu, Plan, PlannedSession, Policy};

/// **Promise:** |x̂ − x| ≤ 2^-8·|x| from 2^-126 on, in half the bytes. Rounds to the nearest; NaNs are left out here.
#[derive(Debug)]
struct Bf16;

/// One invocation for each word. Buffers hold whole vectors of four, so an odd count may read one element beyond its last.
const SHADER: &str = "
struct Params {
    words: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> {{ 'words' if decode else 'x' }}: array<u32>;
@group(0) @binding(2) var<storage, read_write> {{ 'x' if decode else 'words' }}: array<u32>;

{% include 'parts/grid.wgsl' %}

fn upper_half(single: u32) -> u32 {
    return (single + 0x8000u) >> 16u;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * 64u + lane;
    if i < p.words {
        {% if decode %}
        x[2u * i] = words[i] << 16u;
        x[2u * i + 1u] = words[i] & 0xffff0000u;
        {% else %}
        words[i] = upper_half(x[2u * i]) | (upper_half(x[2u * i + 1u]) << 16u);
        {% endif %}
    }
}
";

fn kernel(shape: &Shape, decode: bool) -> Kernel {
    let words = shape.elements().div_ceil(2);
    let kernel = Kernel::wgsl("bf16", SHADER).variable("decode", decode).parameter(words);
    kernel.inputs([0]).outputs([0]).invocations(words, 64)
}

impl Codec for Bf16 {
    fn name(&self) -> &'static str {
        "bf16"
    }

    /// What gains nothing stays raw.
    fn takes(&self, value: &Value) -> bool {
        value.shape.elements() > 1
    }

    fn attach(&self, graph: &mut Graph, site: &Site) -> Result<Attached, GraphError> {
        let shape = graph.shape(site.source).clone();
        Ok(Attached::new(Encode, Decode(shape)))
    }
}

#[derive(Debug)]
struct Encode;

impl Operator for Encode {
    fn name(&self) -> &'static str {
        "bf16 encode"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::words("bf16", inputs[0].shape.elements().div_ceil(2))])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        vec![kernel(&context.inputs[0].shape, false)]
    }
}

/// The shape is that of the value, which words do not tell.
#[derive(Debug)]
struct Decode(Shape);

impl Operator for Decode {
    fn name(&self) -> &'static str {
        "bf16 decode"
    }

    fn outputs(&self, _: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("decoded", self.0.clone())])
    }

    fn kernels(&self, _: &KernelContext) -> Vec<Kernel> {
        vec![kernel(&self.0, true)]
    }
}

/// Panics if something is not as it should be; public, because a test runs it.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let gpu = Gpu::open(None)?;

    // There and back: 252 powers of two, 33 values and both signs each.
    let values: Vec<f32> = (-126..126)
        .flat_map(|power| (0..33).map(move |part| (1.0 + part as f32 / 33.0) * 2f32.powi(power)))
        .flat_map(|x| [x, -x])
        .collect();
    let mut graph = Graph::new();
    let x = graph.input("x", [values.len()], Element::F32);
    let [words, decoded] = Bf16.attach(&mut graph, &Site { source: x, mask: None })?.round_trip(&mut graph, x)?;
    graph.mark_metric(decoded);
    println!("custom codec: {} bytes become {}", graph.value(x).bytes(), graph.value(words).bytes());
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options())?;
    let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0)?;
    session.step_with(0, &[("x", (&values).into())])?;
    let done = &session.finished()?[0];
    for (i, &x) in values.iter().enumerate() {
        let decoded = done.f32(i);
        assert!((decoded - x).abs() <= x.abs() / 256.0, "{x} comes back as {decoded}");
    }
    println!("custom codec: the promise holds for {} values", values.len());

    // What a gradient needs waits in that form, and nobody but the policy knows.
    let plan = |policy: &Policy| -> Result<Plan, Box<dyn std::error::Error>> {
        let mut graph = Graph::new();
        let x = graph.parameter("x", [64, 64], Init::Constant(0.5))?;
        let y = graph.within("tanh", |graph| graph.activate(x, Activation::Tanh))?;
        let dy = graph.input("dy", [64, 64], Element::F32);
        let dx = graph.differentiate(&[(y, Some(dy))])?[&x];
        graph.mark_metric(dx);
        Ok(Plan::new(graph, policy, gpu.plan_options())?)
    };
    let (raw, coded) = (plan(&Policy::raw())?, plan(&Policy::with(Bf16))?);
    let kept =
        |plan: &Plan| -> u64 { plan.layers().iter().flat_map(|layer| &layer.kept).map(|k| k.stored_bytes).sum() };
    let (raw, kept) = (kept(&raw), kept(&coded));
    assert_eq!((raw, kept), (16_384, 8_192));
    let mut session = PlannedSession::new(gpu.clone(), vec![coded], 0)?;
    session.step_with(0, &[("dy", (&vec![1.0; 64 * 64]).into())])?;
    let slope = f64::from(session.finished()?[0].f32(0));
    let exact = 1.0 - 0.5f64.tanh().powi(2);
    assert!((slope - exact).abs() < 0.005, "the slope is {slope}, not {exact}");
    println!("custom codec: tanh keeps {kept} bytes instead of {raw}, its slope is {slope:.4} and not {exact:.4}");
    Ok(())
}
