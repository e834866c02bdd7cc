//! Pictures that are uploaded as bytes: read to the bit as the host reads them, and kept in 8 bits for each value in every form.

use frugal_tensor::codec::{ErrorBounded, FrequencySplit, Recompute, Uniform};
use frugal_tensor::ir::{Element, Graph, Init, Role, ValueId};
use frugal_tensor::runtime::Data;
use frugal_tensor::{GpuError, Plan, PlanOptions, PlannedSession, Policy};
use frugal_testkit::{SETS, gpu, options};

const MEAN: [f32; 5] = [0.4914, 0.13, 0.0, 0.5, 0.25];
const STD: [f32; 5] = [0.247, 0.3081, 1.0, 0.125, 0.3];

fn pictures(elements: usize) -> Vec<u8> {
    (0..elements).map(|i| (i * 167 + i / 256) as u8).collect()
}

/// What the host makes of them.
fn normalised(bytes: &[u8], [channels, plane]: [usize; 2]) -> Vec<f32> {
    let value = |(i, &byte): (usize, &u8)| {
        let channel = i / plane % channels;
        (f32::from(byte) / 255.0 - MEAN[channel]) / STD[channel]
    };
    bytes.iter().enumerate().map(value).collect()
}

#[test]
fn bytes_are_read_to_the_bit_as_the_host_reads_them() {
    let gpu = gpu();
    for shape in
        [vec![2, 3, 4, 4], vec![3, 5, 3, 7], vec![1, 1, 1, 257], vec![3, 2], vec![2, 5, 16], vec![5, 1, 28, 28]]
    {
        let (channels, plane) = (shape[1], shape[2..].iter().product());
        let bytes = pictures(shape.iter().product());
        let wanted = normalised(&bytes, [channels, plane]);
        for set in SETS {
            let mut graph = Graph::new();
            let x = graph.input("images", shape.as_slice(), Element::U8);
            let y = graph.normalize_bytes(x, &MEAN[..channels], &STD[..channels]).unwrap();
            graph.mark_metric(y);
            let plan = Plan::new(graph, &Policy::raw(), options(&gpu, set)).unwrap();
            let planned = Plan::allocated(&[&plan]);
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
            assert_eq!(session.bytes(), planned);
            session.step_with(0, &[("images", (&bytes).into())]).unwrap();
            let made = session.finished().unwrap().pop().unwrap();
            let wanted: Vec<u32> = wanted.iter().map(|value| value.to_bits()).collect();
            assert!(made.words == wanted, "{shape:?} on {set:?}");
        }
    }
}

/// A convolution of pictures, its gradient arriving from the host: the graph, and the gradient of the weights.
fn convolution(bytes: bool) -> (Graph, ValueId) {
    let mut graph = Graph::new();
    let shape = [4, 3, 9, 9];
    let x = match bytes {
        true => {
            let x = graph.input("images", shape, Element::U8);
            graph.within("images", |graph| graph.normalize_bytes(x, &MEAN[..3], &STD[..3])).unwrap()
        }
        false => graph.input("images", shape, Element::F32),
    };
    let w = graph.parameter("w", [8, 3, 3, 3], Init::Uniform { bound: 0.2 }).unwrap();
    let y = graph.conv2d(x, w, [1, 1], [1, 1]).unwrap();
    let y = graph.relu(y).unwrap();
    let arriving = graph.input("arriving", [4, 8, 9, 9], Element::F32);
    let gradient = graph.differentiate(&[(y, Some(arriving))]).unwrap()[&w];
    graph.mark_metric(y);
    graph.mark_metric(gradient);
    (graph, gradient)
}

fn step(bytes: bool, policy: &Policy, options: PlanOptions) -> (Vec<u32>, Plan) {
    let (graph, _) = convolution(bytes);
    let plan = Plan::new(graph, policy, options).unwrap();
    let mut session = PlannedSession::new(gpu(), vec![plan], 0).unwrap();
    let pictures = pictures(4 * 3 * 81);
    let floats = normalised(&pictures, [3, 81]);
    let arriving: Vec<f32> = (0..4 * 8 * 81).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect();
    let images: Data = if bytes { (&pictures).into() } else { (&floats).into() };
    session.step_with(0, &[("images", images), ("arriving", (&arriving).into())]).unwrap();
    let words = session.finished().unwrap().pop().unwrap().words;
    (words, session.plans()[0].clone())
}

#[test]
fn a_convolution_keeps_its_pictures_as_bytes_in_every_form_and_its_gradient_is_exact() {
    let gpu = gpu();
    for set in SETS {
        let (wanted, floats) = step(false, &Policy::raw(), options(&gpu, set));
        let policies = [
            Policy::raw(),
            Policy::with(Uniform::default()),
            Policy::with(FrequencySplit::default()),
            Policy::with(ErrorBounded::default()),
            Policy::raw().recompute(Recompute::Cheap),
            Policy::with(Uniform::default()).recompute(Recompute::Cheap),
            Policy::raw().recompute(Recompute::Segments),
        ];
        for policy in policies {
            let (words, plan) = step(true, &policy, options(&gpu, set));
            assert!(words == wanted, "{policy:?} on {set:?}");
            let value = |name: &str| plan.graph.ids().find(|(_, value)| value.name == name).unwrap();
            let (images, value) = value("images");
            assert_eq!((value.role, value.bytes()), (Role::Input, 4 * 3 * 81));
            assert!(plan.kept_values().contains(&images));
            let form = plan.stored.iter().find(|stored| stored.source == images).unwrap();
            assert_eq!((form.form, form.kept), ("raw", images), "{policy:?}");
            // The bytes stand for what papers on compression count.
            let kept =
                plan.layers().into_iter().flat_map(|layer| layer.kept).find(|kept| kept.name == "images").unwrap();
            assert!(kept.is_input && kept.convolution_input && kept.stored_bytes == 4 * 3 * 81);
            let arriving = 4 * 4 * 8 * 81;
            assert_eq!(plan.executable.upload_bytes(), arriving + 4 * 3 * 81);
            assert_eq!(floats.executable.upload_bytes(), arriving + 4 * 4 * 3 * 81);
        }
    }
}

#[test]
fn what_is_not_bytes_is_refused_by_name() {
    let gpu = gpu();
    let mut graph = Graph::new();
    let x = graph.input("images", [1, 2, 3], Element::U8);
    let floats = graph.input("floats", [1, 2, 3], Element::F32);
    let refused = |graph: &mut Graph, x, channels: usize, scope: &str| {
        let made = graph.within(scope, |graph| graph.normalize_bytes(x, &MEAN[..channels], &STD[..channels]));
        made.unwrap_err().to_string()
    };
    assert!(refused(&mut graph, floats, 2, "a").contains("the values must be bytes"));
    assert!(refused(&mut graph, x, 3, "b").contains("256 numbers for each of 2 channels"));
    let y = graph.normalize_bytes(x, &MEAN[..2], &STD[..2]).unwrap();
    graph.mark_metric(y);
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
    let mut session = PlannedSession::new(gpu, vec![plan], 0).unwrap();
    // Six bytes lie in two words; what fills the second is not the host's to give.
    let sized = session.step_with(0, &[("images", (&vec![0u8; 8]).into())]).unwrap_err();
    assert!(matches!(sized, GpuError::WrongSize { expected: 6, given: 8, .. }), "{sized}");
    let typed = session.step_with(0, &[("images", (&vec![0f32; 6]).into())]).unwrap_err();
    assert_eq!(typed.to_string(), "the input `images` takes bytes, and elements of another type were given");
}
