//! ResNet-20 on CIFAR-10 for 100 steps beside PyTorch's losses, from the same weights and batches.
//!
//! ```text
//! frugal data get cifar10
//! cargo run --release -p frugal-model --example follow_pytorch -- ~/.cache/frugal/data/cifar10/data_batch_1.bin
//! ```
//!
//! The losses to follow are in `crates/model/tests/fixtures/resnet20_cifar10_100.json`, made by
//! `tools/pytorch/follow_resnet20.py`.

#[allow(dead_code)]
#[path = "../tests/recipe/mod.rs"]
mod recipe;

use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use recipe::{Batch, start};

const IMAGE: [usize; 3] = [3, 32, 32];
/// One label and 3·32·32 bytes.
const RECORD: usize = 3073;
const MEAN: [f32; 3] = [0.49140, 0.48216, 0.44653];
const STD: [f32; 3] = [0.24703, 0.24349, 0.26159];

fn batch(records: &[u8]) -> Batch {
    let pixel = |i: usize, byte: u8| (f32::from(byte) / 255.0 - MEAN[i / 1024]) / STD[i / 1024];
    Batch {
        images: records
            .chunks(RECORD)
            .flat_map(|record| record[1..].iter().enumerate().map(|(i, byte)| pixel(i, *byte)))
            .collect(),
        labels: records.chunks(RECORD).map(|record| u32::from(record[0])).collect(),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("give the path of data_batch_1.bin")?;
    let data = std::fs::read(path)?;
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/resnet20_cifar10_100.json");
    let fixture: serde_json::Value = serde_json::from_slice(&std::fs::read(fixture)?)?;
    let number = |key: &str| fixture[key].as_f64().ok_or(format!("no {key} in the fixture"));
    let samples = number("batch")? as usize;
    let sgd =
        Sgd { momentum: number("momentum")? as f32, nesterov: false, weight_decay: number("weight_decay")? as f32 };
    let mut run = start("resnet20", IMAGE, samples, Optimizer::Sgd(sgd), None);
    // A calmer start: the last norm of each block times `bn2_gain`. Without it, 100 steps turn a disturbance of the last bit
    // into a fifth of the loss, in PyTorch as well as here, and there is nothing to follow.
    for name in run.parameters.iter().filter(|name| name.ends_with(".bn2.weight")) {
        let gain = number("bn2_gain")? as f32;
        let scaled: Vec<f32> = run.session.read(name)?.into_iter().map(|weight| weight * gain).collect();
        run.session.write(name, &scaled)?;
    }
    let losses = fixture["losses"].as_array().ok_or("no losses in the fixture")?;
    let mut worst: f64 = 0.0;
    for (step, (wanted, records)) in losses.iter().zip(data.chunks_exact(samples * RECORD)).enumerate() {
        let wanted = wanted.as_f64().ok_or("losses must be numbers")?;
        let loss = run.step(step as u32, number("lr")? as f32, &batch(records));
        let off = (loss - wanted).abs() / wanted;
        worst = worst.max(off);
        let gap = fixture["losses_gap"][step].as_f64().unwrap_or(f64::NAN);
        println!(
            "step {step:3}: loss {loss:.6}, PyTorch {wanted:.6}, off by {:.4} % (PyTorch from itself: {:.4} %)",
            100.0 * off,
            100.0 * gap
        );
    }
    println!("largest distance: {:.4} %", 100.0 * worst);
    Ok(())
}
