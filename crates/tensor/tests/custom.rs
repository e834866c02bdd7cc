//! Operators and inputs from outside the crate: what goes wrong is an error, not a crash.

use frugal_tensor::ir::{Element, Graph, Kernel, KernelContext, Operator, Output, Value, ValueId};
use frugal_tensor::runtime::Data;
use frugal_tensor::step::{CONTROL, Control, Scalar};
use frugal_tensor::{GpuError, Plan, PlannedSession, Policy};
use frugal_testkit::{f16_gpu, gpu};

/// One invocation that writes one element.
#[derive(Debug)]
struct Write(&'static str);

impl Operator for Write {
    fn name(&self) -> &'static str {
        "write"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("written", inputs[0].shape.clone())])
    }

    fn kernels(&self, _: &KernelContext) -> Vec<Kernel> {
        vec![Kernel::wgsl("write", self.0).parameter(1u32 << 28).inputs([0]).outputs([0]).workgroups(1)]
    }
}

macro_rules! shader {
    ($body:literal) => {
        concat!(
            "@group(0) @binding(0) var<uniform> far: u32;
             @group(0) @binding(1) var<storage, read_write> x: array<f32>;
             @group(0) @binding(2) var<storage, read_write> y: array<f32>;
             @compute @workgroup_size(1) fn main() { ",
            $body,
            " }"
        )
    };
}

fn session(sources: &[&'static str]) -> (Result<PlannedSession, GpuError>, Vec<ValueId>) {
    let gpu = gpu();
    let mut graph = Graph::new();
    let x = graph.input("x", [4], Element::F32);
    let written: Vec<ValueId> = sources.iter().map(|source| graph.apply_one(Write(source), &[x]).unwrap()).collect();
    written.iter().for_each(|&y| graph.mark_metric(y));
    graph.control();
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
    (PlannedSession::new(gpu, vec![plan], 0), written)
}

/// Their names are for messages alone.
#[test]
fn shaders_of_one_name_are_not_mixed_up() {
    let sources = [shader!("y[0] = x[0] + f32(far);"), shader!("y[0] = x[1] - f32(far);")];
    let (session, written) = session(&sources);
    let mut session = session.unwrap();
    session.step_with(0, &[("x", (&vec![1.0, 2.0, 3.0, 4.0]).into())]).unwrap();
    session.finished().unwrap();
    let read = |y: ValueId| f32::from_bits(session.read_value(0, y).unwrap()[0]);
    let far = (1u32 << 28) as f32;
    assert_eq!([read(written[0]), read(written[1])], [1.0 + far, 2.0 - far]);
}

/// Far beyond the buffers, where an unchecked shader takes the process down, and back.
#[test]
fn shaders_from_outside_stay_within_their_values() {
    let (session, written) = session(&[shader!("y[far] = 7.0; y[0] = x[0] + 0.0 * x[far];")]);
    let mut session = session.unwrap();
    session.step_with(0, &[("x", (&vec![5.0; 4]).into())]).unwrap();
    session.finished().unwrap();
    assert_eq!(f32::from_bits(session.read_value(0, written[0]).unwrap()[0]), 5.0);
}

#[test]
fn a_wrong_shader_is_named() {
    for source in [shader!("y[0] = nothing;"), shader!("y[0] = {{ nothing }};"), shader!("{% include 'nothing' %}")] {
        let (session, _) = session(&[source]);
        let Err(error) = session else { panic!("it compiled") };
        assert!(matches!(&error, GpuError::Shader { shader, .. } if shader == "write"), "{error}");
    }
}

/// y = scalar · x, with a number that a schedule drives.
#[derive(Debug)]
struct Scale(Scalar);

impl Operator for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("scaled", inputs[0].shape.clone())])
    }

    fn kernels(&self, _: &KernelContext) -> Vec<Kernel> {
        let source = "
            @group(0) @binding(0) var<uniform> unused: u32;
            @group(0) @binding(1) var<storage, read_write> x: array<f32>;
            @group(0) @binding(2) var<storage, read_write> control: array<u32>;
            @group(0) @binding(3) var<storage, read_write> y: array<f32>;
            @compute @workgroup_size(1) fn main() { y[0] = bitcast<f32>(control[{{ factor }}]) * x[0]; }";
        let kernel = Kernel::wgsl("scale", source).scalar("factor", self.0).parameter(0u32);
        vec![kernel.inputs([0, 1]).outputs([0]).workgroups(1)]
    }
}

#[test]
fn operators_read_scalars_that_the_host_gives_by_name() {
    let gpu = gpu();
    let mut graph = Graph::new();
    let x = graph.input("x", [4], Element::F32);
    let names = ["learning_rate", "temperature", "weight"];
    let scaled = names.map(|name| {
        let scalar = graph.scalar(name);
        let y = graph.apply_one(Scale(scalar), &[x, scalar.control]).unwrap();
        graph.mark_metric(y);
        y
    });
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
    let before = gpu.buffer_bytes();
    let planned = Plan::allocated(&[&plan]);
    let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
    assert_eq!(gpu.buffer_bytes() - before, planned);
    for step in 0..3u32 {
        let given = [0.5, 2.0, 10.0].map(|value| value + step as f32);
        let control =
            names.iter().zip(given).fold(Control::new(step, 0), |control, (&name, value)| control.scalar(name, value));
        session.step_with(0, &[("x", (&vec![3.0; 4]).into()), (CONTROL, (&control).into())]).unwrap();
        session.finished().unwrap();
        let read = scaled.map(|y| f32::from_bits(session.read_value(0, y).unwrap()[0]));
        assert_eq!(read, given.map(|value| 3.0 * value), "step {step}");
    }
    let one = Control::new(0, 0).learning_rate(0.1);
    let missing = session.step_with(0, &[("x", (&vec![3.0; 4]).into()), (CONTROL, (&one).into())]).unwrap_err();
    assert_eq!(missing.to_string(), "the step uses the scalar `temperature`, which was not given");
}

#[test]
fn inputs_are_known_by_name() {
    let (session, written) = session(&[shader!("y[0] = x[0] + 0.0 * f32(far);")]);
    let mut session = session.unwrap();
    let (four, three, words) = (vec![6.0; 4], vec![6.0; 3], vec![6u32; 4]);
    let x = |data| [("x", data)];
    let refused = |session: &mut PlannedSession, inputs: &[(&str, Data)]| session.step_with(0, inputs).unwrap_err();
    assert!(matches!(refused(&mut session, &[]), GpuError::NotGiven(name) if name == "x"));
    assert!(matches!(refused(&mut session, &x((&words).into())), GpuError::WrongElement { .. }));
    assert!(matches!(refused(&mut session, &x((&three).into())), GpuError::WrongSize { expected: 16, given: 12, .. }));
    let other = [("x", (&four).into()), ("z", (&four).into())];
    assert!(
        matches!(refused(&mut session, &other), GpuError::NoSuchInput { name, known } if name == "z" && known == "x, control")
    );
    // What nobody reads may be given.
    let control = Control::new(1, 0);
    session.step_with(0, &[(CONTROL, (&control).into()), ("x", (&four).into())]).unwrap();
    session.finished().unwrap();
    assert_eq!(f32::from_bits(session.read_value(0, written[0]).unwrap()[0]), 6.0);
}

/// Words take no f16: a shader that looks at the bits of an activation is for f32.
#[test]
fn bits_of_what_is_held_in_f16_are_refused() {
    let Some(gpu) = f16_gpu() else { return };
    let source = "
        @group(0) @binding(0) var<uniform> far: u32;
        @group(0) @binding(1) var<storage, read_write> x: array<u32>;
        @group(0) @binding(2) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(1) fn main() { y[0] = bitcast<f32>(x[0]); }";
    let mut graph = Graph::new();
    let x = graph.input("x", [4], Element::F32);
    let x = graph.relu(x).unwrap();
    let y = graph.apply_one(Write(source), &[x]).unwrap();
    graph.mark_metric(y);
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
    match PlannedSession::new(gpu, vec![plan], 0) {
        Err(GpuError::Shader { shader, reason }) => {
            assert!(shader == "write" && reason.contains("holds its value in f16"), "{shader}: {reason}");
        }
        other => panic!("{:?}", other.err()),
    }
}
