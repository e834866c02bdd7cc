//! A custom training loop: a net of layers, a schedule, evaluation on samples that it never saw, reading parameters, and
//! weights as safetensors. The library without the program, on one page.
//!
//! ```text
//! cargo run --release -p frugal-model --example training_loop
//! ```

use frugal_model::layers::{Conv, Mode, batch_norm, linear};
use frugal_model::{IMAGES, LABELS, MASK};
use frugal_tensor::codec::FrequencySplit;
use frugal_tensor::ir::{Element, Role};
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::random::Stream;
use frugal_tensor::step::{CONTROL, Control};
use frugal_tensor::{Gpu, Graph, GraphError, Plan, PlannedSession, Policy, ValueId};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

const BATCH: usize = 32;
const CLASSES: usize = 4;
const SIDE: usize = 16;
const STEPS: u32 = 80;

/// Forward to the loss: N×1×16×16 images, N labels, and N ones for the samples that count. Shapes are checked here.
fn forward(mode: Mode) -> Result<(Graph, ValueId), GraphError> {
    let mut graph = Graph::new();
    let mut x = graph.input(IMAGES, [BATCH, 1, SIDE, SIDE], Element::F32);
    let labels = graph.input(LABELS, [BATCH], Element::U32);
    let mask = graph.input(MASK, [BATCH], Element::F32);
    for (name, filters) in [("conv1", 8), ("conv2", 16)] {
        x = Conv::new(filters, 3).apply(&mut graph, name, x)?;
        x = batch_norm(&mut graph, &format!("{name}.norm"), x, mode)?;
        x = graph.relu(x)?;
    }
    let x = graph.global_average_pool(x)?;
    let logits = linear(&mut graph, "classify", x, CLASSES)?;
    let loss = graph.cross_entropy(logits, labels, mask)?;
    Ok((graph, loss))
}

/// Stripes of width k + 1 for class k, shifted, in noise; another batch for each number.
fn batch(number: u64) -> (Vec<f32>, Vec<u32>) {
    let labels: Vec<u32> = (0..BATCH as u32).map(|n| n % CLASSES as u32).collect();
    let mut chance = Stream::new(7, number).uniform();
    let shifts: Vec<usize> = chance.by_ref().take(BATCH).map(|u| (8.0 * u) as usize).collect();
    let pixel = |(i, noise): (usize, f32)| {
        let (sample, column) = (i / (SIDE * SIDE), i % SIDE);
        let stripe = (column + shifts[sample]) / (labels[sample] as usize + 1) % 2;
        stripe as f32 + noise - 1.0
    };
    (chance.take(BATCH * SIDE * SIDE).enumerate().map(pixel).collect(), labels)
}

/// A warm-up of five steps, then half a cosine.
fn learning_rate(step: u32) -> f32 {
    let course = 0.5 * (1.0 + (std::f32::consts::PI * step as f32 / STEPS as f32).cos());
    0.1 * course * ((step + 1) as f32 / 5.0).min(1.0)
}

/// Panics if something is not as it should be; public, because a test runs it.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Two steps over the same parameters: one that trains, with saved tensors kept in the form that the policy names, and one that
    // evaluates.
    let gpu = Gpu::open(None)?;
    let (mut graph, loss) = forward(Mode::Training)?;
    let gradients = graph.differentiate(&[(loss, None)])?;
    let sgd = Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 };
    graph.train(Optimizer::Sgd(sgd), loss, &gradients)?;
    let train = Plan::new(graph, &Policy::with(FrequencySplit::default()), gpu.plan_options())?;
    let evaluate = train.evaluation(forward(Mode::Evaluation)?.0)?;
    println!("training loop: {} bytes kept, {} allocated", train.kept_bytes(), Plan::allocated(&[&train, &evaluate]));
    let mut session = PlannedSession::new(gpu, vec![train, evaluate], 0)?;
    let (train, evaluate) = (0, 1);

    // Steps are on their way while the host makes the next batch; metrics come back some steps late.
    let mask = vec![1.0; BATCH];
    for step in 0..STEPS {
        let (images, labels) = batch(step.into());
        let control = Control::new(step, 0).learning_rate(learning_rate(step));
        let inputs = [
            (IMAGES, (&images).into()),
            (LABELS, (&labels).into()),
            (MASK, (&mask).into()),
            (CONTROL, (&control).into()),
        ];
        for done in session.step_with(train, &inputs)?.iter().filter(|done| done.step % 10 == 0) {
            println!("training loop: step {:2}, loss {:.4}", done.step, done.f32(0));
        }
    }
    session.finished()?;

    // Mean loss, correct predictions and samples counted are what a loss reports.
    let (mut correct, mut counted) = (0.0, 0.0);
    for number in 1000..1008 {
        let (images, labels) = batch(number);
        session
            .step_with(evaluate, &[(IMAGES, (&images).into()), (LABELS, (&labels).into()), (MASK, (&mask).into())])?;
        for done in session.finished()? {
            correct += done.f32(1);
            counted += done.f32(2);
        }
    }
    println!("training loop: {correct} of {counted} unseen images are right");
    assert!(correct > 0.9 * counted, "a chance guess has a quarter right");

    // Parameters and running statistics by their names, to a file and back.
    let kinds = [Role::Parameter, Role::Statistic];
    let trained = session.plans()[train].graph.ids().map(|(_, value)| value);
    let trained = trained.filter(|value| kinds.contains(&value.role) && value.element == Element::F32);
    let mut tensors = Vec::new();
    for value in trained {
        let bytes: Vec<u8> = session.read(&value.name)?.into_iter().flat_map(f32::to_le_bytes).collect();
        tensors.push((value.name.clone(), value.shape.extents().to_vec(), bytes));
    }
    let views =
        tensors.iter().map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    let path = std::env::temp_dir().join(format!("frugal-{}.safetensors", std::process::id()));
    safetensors::serialize_to_file(views, None, &path)?;
    let file = std::fs::read(&path)?;
    std::fs::remove_file(&path)?;
    let written = SafeTensors::deserialize(&file)?;
    let weight = written.tensor("conv1.weight")?;
    assert_eq!(weight.shape(), [8, 1, 3, 3]);
    assert_eq!(
        weight.data(),
        session.read("conv1.weight")?.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>()
    );
    println!("training loop: {} tensors in {} bytes of safetensors", written.len(), file.len());
    Ok(())
}
