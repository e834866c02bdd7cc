//! A custom data set: discs, squares and crosses that are drawn on request. The loader shuffles and
//! batches them on worker threads, and a small residual net learns to tell them apart.
//!
//! ```text
//! cargo run --release -p frugal-data --example custom_data
//! ```

use frugal_data::{Dataset, Loader, LoaderOptions, Samples, Split};
use frugal_model::{IMAGES, LABELS, MASK, Net, StepShape, evaluation_step, training_step};
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::random::Stream;
use frugal_tensor::step::{CONTROL, Control};
use frugal_tensor::{Gpu, Plan, PlannedSession, Policy, codec::Uniform};
use std::error::Error;

const SIDE: usize = 16;
const BATCH: usize = 32;

/// One shape on each image, at a place and of a size that follow from seed and index.
#[derive(Debug)]
struct Shapes {
    seed: u64,
}

impl Samples for Shapes {
    fn read(&self, index: usize, pixels: &mut Vec<u8>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut chance = Stream::new(self.seed, index as u64).uniform();
        let mut between = |least: f32, most: f32| least + (most - least) * chance.next().unwrap_or(0.0);
        let (x, y, size) = (between(6.0, 10.0), between(6.0, 10.0), between(3.0, 5.5));
        let inside = |column: usize, row: usize| {
            let (x, y) = ((column as f32 - x).abs(), (row as f32 - y).abs());
            match label(index) {
                0 => x.hypot(y) <= size,
                1 => x.max(y) <= size,
                _ => x.max(y) <= size && x.min(y) <= 1.0,
            }
        };
        let places = (0..SIDE).flat_map(|row| (0..SIDE).map(move |column| (column, row)));
        pixels.extend(places.map(|(column, row)| if inside(column, row) { 220 } else { 30 }));
        Ok(())
    }
}

fn label(index: usize) -> u32 {
    index as u32 % 3
}

fn split(seed: u64, count: usize) -> Result<Split, Box<dyn Error>> {
    Ok(Split::of([1, SIDE, SIDE], 3, Shapes { seed }, (0..count).map(label).collect())?)
}

/// Panics if something is not as it should be; public, because a test runs it.
pub fn main() -> Result<(), Box<dyn Error>> {
    let names = ["disc", "square", "cross"].map(str::to_owned);
    let data = Dataset::new("shapes", names.into(), split(1, 600)?, split(2, 150)?)?;
    let plain = LoaderOptions::evaluate(&data, BATCH);
    let test = Loader::new(data.test.clone(), plain.clone())?;
    let train = Loader::new(data.train.clone(), plain.shuffled(0))?;
    println!("custom data: {} images, mean {:.3}, deviation {:.3}", train.samples(), data.mean[0], data.std[0]);

    // Images go to the device as bytes, which the step normalises.
    let net = Net::find("resnet8")?.narrowed(2).on_bytes(&data.mean, &data.std);
    let shape = StepShape { batch: BATCH, sample: data.shape.into(), classes: data.classes };
    let sgd = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 });
    let gpu = Gpu::open(None)?;
    let step = Plan::new(training_step(&net, shape, sgd)?, &Policy::with(Uniform::default()), gpu.plan_options())?;
    let evaluation = step.evaluation(evaluation_step(&net, shape, sgd)?)?;
    let mut session = PlannedSession::new(gpu, vec![step, evaluation], 0)?;

    let (mut done, epochs) = (0, 4);
    let steps = epochs as usize * train.batches();
    for epoch in 0..epochs {
        for batch in train.epoch(epoch) {
            let batch = batch?;
            // The rate falls to 0, so that the last steps settle.
            let learning_rate = 0.05 * (1.0 - done as f32 / steps as f32);
            let control = Control::new(done, 0).learning_rate(learning_rate);
            let inputs = [
                (IMAGES, batch.u8s(IMAGES).into()),
                (LABELS, batch.u32s(LABELS).into()),
                (MASK, batch.f32s(MASK).into()),
                (CONTROL, (&control).into()),
            ];
            session.step_with(0, &inputs)?;
            done += 1;
        }
    }
    session.finished()?;

    // The last batch is padded; its mask says where, so that each sample counts once.
    let (mut correct, mut counted) = (0.0, 0.0);
    for batch in test.epoch(0) {
        let batch = batch?;
        let inputs =
            [(IMAGES, batch.u8s(IMAGES).into()), (LABELS, batch.u32s(LABELS).into()), (MASK, batch.f32s(MASK).into())];
        session.step_with(1, &inputs)?;
        for done in session.finished()? {
            correct += done.f32(1);
            counted += done.f32(2);
        }
    }
    assert_eq!(counted, 150.0);
    println!("custom data: {correct} of {counted} unseen shapes are right after {done} steps");
    assert!(correct > 0.9 * counted, "a chance guess has a third right");
    Ok(())
}
