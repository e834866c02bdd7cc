//! The recipe that `tools/pytorch/nets.py` shares with us: weights and batches from counters, so that both sides start from
//! the same numbers.

use frugal_model::layers::Mode;
use frugal_model::{IMAGES, LABELS, MASK, Net};
use frugal_tensor::ir::{Element, Graph, KernelSet, ValueId};
use frugal_tensor::ops::optimizer::Optimizer;
use frugal_tensor::random::{hash, unit};
use frugal_tensor::{Gpu, Plan, PlanOptions, PlannedSession, Policy};
use std::collections::HashMap;

const CLASSES: usize = 10;

/// The recipe of `tools/pytorch/nets.py`: uniform number i of a stream.
fn uniform(stream: u32, i: usize) -> f32 {
    unit(hash(hash(stream).wrapping_add(i as u32)))
}

/// Number i of a stream between −1 and 1.
pub fn signed(stream: u32, i: usize) -> f32 {
    uniform(stream, i) * 2.0 - 1.0
}

fn label(step: u32, n: usize) -> u32 {
    hash(hash(100_000 + step).wrapping_add(n as u32)) % CLASSES as u32
}

/// A batch of training.
pub struct Batch {
    pub images: Vec<f32>,
    pub labels: Vec<u32>,
}

/// The made-up batch of a step.
pub fn batch(step: u32, samples: usize, image: [usize; 3]) -> Batch {
    let size: usize = image.iter().product();
    let labels: Vec<u32> = (0..samples).map(|n| label(step, n)).collect();
    let pixel = |n: usize, j: usize| signed(200_000 + step, n * size + j) + signed(300_000 + labels[n], j);
    let images = (0..samples * size).map(|i| pixel(i / size, i % size)).collect();
    Batch { images, labels }
}

/// Parameter number `t`, as the recipe fills it.
fn weights(t: u32, name: &str, shape: &[usize]) -> Vec<f32> {
    let elements: usize = shape.iter().product();
    let spread = |i: usize| signed(t, i);
    let fan_in: usize = shape[1..].iter().product();
    let bound = (6.0 / fan_in as f64).sqrt() as f32;
    let is_norm_scale = shape.len() == 1 && name.ends_with("weight");
    (0..elements)
        .map(|i| match shape.len() {
            1 if is_norm_scale => 1.0 + spread(i) * 0.1,
            1 => spread(i) * 0.1,
            _ => spread(i) * bound,
        })
        .collect()
}

/// A net in training, filled by the recipe.
pub struct Run {
    pub session: PlannedSession,
    pub parameters: Vec<String>,
    pub gradients: HashMap<String, ValueId>,
}

/// Gradients of larger parameters are not read back.
const LARGEST: usize = 131_072;

/// A net in training with the recipe's weights, its gradients kept readable.
pub fn start(net: &str, image: [usize; 3], samples: usize, optimizer: Optimizer, set: Option<KernelSet>) -> Run {
    start_with(Net::find(net).unwrap(), image, samples, optimizer, set)
}

/// [`start`] with a net that is not as its name says.
pub fn start_with(net: Net, image: [usize; 3], samples: usize, optimizer: Optimizer, set: Option<KernelSet>) -> Run {
    let gpu = Gpu::open(None).expect("the tests need an adapter");
    let mut graph = Graph::new();
    let images = graph.input(IMAGES, [samples, image[0], image[1], image[2]], Element::F32);
    let labels = graph.input(LABELS, [samples], Element::U32);
    let mask = graph.input(MASK, [samples], Element::F32);
    let logits = net.forward(&mut graph, images, CLASSES, Mode::Training).unwrap();
    let loss = graph.cross_entropy(logits, labels, mask).unwrap();
    let gradients = graph.differentiate(&[(loss, None)]).unwrap();
    graph.update(optimizer, &gradients).unwrap();
    let parameters: Vec<(ValueId, String, Vec<usize>)> =
        graph.parameters().map(|(id, value)| (id, value.name.clone(), value.shape.extents().to_vec())).collect();
    for (id, ..) in parameters.iter().filter(|(.., shape)| shape.iter().product::<usize>() <= LARGEST) {
        graph.mark_metric(gradients[id]);
    }
    let options = gpu.plan_options();
    // What every adapter binds: large parameters are cut by rows everywhere.
    let max_binding = options.max_binding.min(128 << 20);
    let options = PlanOptions { set: set.unwrap_or(gpu.adapter().kernel_set()), max_binding, ..options };
    let plan = Plan::new(graph, &Policy::raw(), options).unwrap();
    let session = PlannedSession::new(gpu, vec![plan], 0).unwrap();
    for (t, (_, name, shape)) in parameters.iter().enumerate() {
        session.write(name, &weights(t as u32, name, shape)).unwrap();
    }
    Run {
        session,
        gradients: parameters.iter().map(|(id, name, _)| (name.clone(), gradients[id])).collect(),
        parameters: parameters.into_iter().map(|(_, name, _)| name).collect(),
    }
}

impl Run {
    /// Adds to what all norms shift by.
    pub fn shift_norms(&mut self, by: f32) {
        let shapes: Vec<Vec<usize>> =
            self.session.plans()[0].graph.parameters().map(|(_, value)| value.shape.extents().to_vec()).collect();
        for (t, name) in self.parameters.iter().enumerate() {
            // The parameter before is the scale.
            let of_norm = name.ends_with("bias") && shapes[t - 1].len() == 1;
            if of_norm {
                let shifts: Vec<f32> = weights(t as u32, name, &shapes[t]).iter().map(|x| x + by).collect();
                self.session.write(name, &shifts).unwrap();
            }
        }
    }

    /// One step; its loss.
    pub fn step(&mut self, count: u32, rate: f32, batch: &Batch) -> f64 {
        let mask = vec![1.0f32; batch.labels.len()];
        let control = [count, 0, rate.to_bits(), 0];
        let plan = &self.session.plans()[0];
        let uploads: Vec<&[u8]> = plan
            .uploads()
            .iter()
            .map(|&id| match plan.graph.value(id).name.as_str() {
                IMAGES => bytemuck::cast_slice(&batch.images),
                LABELS => bytemuck::cast_slice(&batch.labels),
                MASK => bytemuck::cast_slice(&mask),
                _ => bytemuck::cast_slice(&control),
            })
            .collect();
        self.session.step(0, &uploads).unwrap();
        let done = self.session.finished().unwrap().pop().unwrap();
        // The metrics come in the order of the values: the loss was made before the gradients.
        f64::from(done.f32(0))
    }
}
