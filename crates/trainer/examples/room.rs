//! How often `error-bounded` values find no room, and how much room they have: short runs on four sets that have little in
//! common. Two are drawn here: small grey pictures of cells, of which some have bright defects, and textures in colour.
//!
//! ```sh
//! cargo run --release -p frugal-trainer --example room -- 5       # seeds of each
//! ```

use frugal_data::{Dataset, Split};
use frugal_tensor::Gpu;
use frugal_tensor::random::Stream;
use frugal_trainer::artifacts::folder::Folder;
use frugal_trainer::config::Config;
use frugal_trainer::planning;
use frugal_trainer::state::Lock;
use frugal_trainer::training;
use frugal_trainer::training::Job;
use frugal_trainer::training::Start;
use frugal_trainer::training::View;
use std::error::Error;
use std::path::Path;

/// Set, net, batch, epochs.
const CASES: [(&str, &str, usize, usize); 4] = [
    ("cells", "net = \"resnet8\"\nnarrow = 2", 32, 20),
    ("digits", "net = \"lenet\"", 50, 12),
    ("fashion-mnist-small", "net = \"resnet8\"\nnarrow = 4", 32, 5),
    ("textures", "net = \"resnet8\"\nnarrow = 4", 32, 6),
];

/// About normal, with a deviation of 1.
fn normal(chance: &mut impl Iterator<Item = f32>) -> f32 {
    (chance.take(12).sum::<f32>() - 6.0).clamp(-4.0, 4.0)
}

/// A smooth grey ground with three dark bars; every third has one to three bright scratches or spots.
fn cell(index: usize) -> Vec<f32> {
    const SIDE: usize = 48;
    let chance = &mut Stream::new(1, index as u64).uniform();
    let [light, down, across] = [20.0, 20.0, 20.0].map(|deviation| deviation * normal(chance));
    let mut pixels = Vec::with_capacity(SIDE * SIDE);
    let defects: Vec<[f32; 4]> = (0..if index.is_multiple_of(3) { 1 + index / 3 % 3 } else { 0 })
        .map(|_| std::array::from_fn(|_| chance.next().unwrap_or(0.0)))
        .collect();
    for at in 0..SIDE * SIDE {
        let (x, y) = ((at % SIDE) as f32 / SIDE as f32, (at / SIDE) as f32 / SIDE as f32);
        let bars: f32 = [0.2, 0.5, 0.8].iter().map(|bar| (-((x - bar) / 0.015).powi(2)).exp()).sum();
        let bright = |&[left, top, turn, kind]: &[f32; 4]| {
            let (dx, dy) = (x - left, y - top);
            let (sine, cosine) = (std::f32::consts::PI * turn).sin_cos();
            match kind < 0.5 && dx.hypot(dy) < 0.3 {
                true => 110.0 * (-((dx * sine - dy * cosine) / 0.012).powi(2)).exp(),
                false if kind < 0.5 => 0.0,
                false => 130.0 * (-(dx * dx + dy * dy) / 0.003).exp(),
            }
        };
        let ground = 120.0 + light + across * (x - 0.5) + down * (y - 0.5) - 50.0 * bars;
        pixels.push(ground + defects.iter().map(bright).sum::<f32>() + 2.5 * normal(chance));
    }
    pixels
}

/// Stripes of ten directions and five widths, over patches of colour and noise.
fn texture(index: usize) -> Vec<f32> {
    const SIDE: usize = 32;
    let class = (index % 10) as f32;
    let chance = &mut Stream::new(2, index as u64).uniform();
    let angle = std::f32::consts::PI * class / 10.0 + 0.1 * normal(chance);
    let (phase, pitch) = (6.3 * chance.next().unwrap_or(0.0), 3.0 + 2.0 * (index % 5) as f32);
    let mut pixels = Vec::with_capacity(3 * SIDE * SIDE);
    for _ in 0..3 {
        let colour = 1.0 + 0.5 * normal(chance);
        let patches: [f32; 16] = std::array::from_fn(|_| 25.0 * normal(chance));
        for at in 0..SIDE * SIDE {
            let (x, y) = (at % SIDE, at / SIDE);
            let along = x as f32 * angle.cos() + y as f32 * angle.sin();
            let stripes = (std::f32::consts::TAU / pitch * along + phase).sin();
            let patch = patches[y / 8 * 4 + x / 8];
            pixels.push(128.0 + 45.0 * stripes * colour + patch + 18.0 * normal(chance));
        }
    }
    pixels
}

fn drawn(
    name: &str,
    shape: [usize; 3],
    classes: usize,
    [train, test]: [usize; 2],
    draw: fn(usize) -> Vec<f32>,
    label: fn(usize) -> u32,
) -> Result<Dataset, Box<dyn Error>> {
    let split = |from: usize, to: usize| {
        let images = (from..to).flat_map(draw).map(|pixel| pixel.clamp(0.0, 255.0) as u8).collect();
        Split::new(shape, classes, images, (from..to).map(label).collect())
    };
    let names = (0..classes).map(|class| class.to_string()).collect();
    Ok(Dataset::new(name, names, split(0, train)?, split(train, train + test)?)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let seeds: u32 = std::env::args().nth(1).map_or(Ok(3), |seeds| seeds.parse())?;
    let gpu = Gpu::open(None)?;
    let root = std::env::temp_dir().join(format!("frugal-room-{}", std::process::id()));
    println!(
        "{:20} {:>6} {:>6} {:>12} {:>10} {:>14} {:>12}",
        "set", "steps", "again", "worst run", "overflows", "planned/used", "peak"
    );
    let mut totals = [0, 0];
    for (set, net, batch, epochs) in CASES {
        let (mut all, mut again, mut overflows, mut worst, mut planned, mut peak) = (0, 0, 0, 0f64, 0.0, 0.0);
        for seed in 0..seeds {
            let catalogued = if set.contains("digits") || set.contains("fashion") { set } else { "digits" };
            let text = format!(
                "name = \"room\"\nseed = {seed}\n[data]\nset = \"{catalogued}\"\nbatch = {batch}\n[model]\n{net}\n[store]\n\
                 default = \"error-bounded\"\n[optimizer]\nlr = 0.05\nmomentum = 0.9\nweight_decay = 1e-4\n[schedule]\n\
                 kind = \"cosine\"\n[train]\nepochs = {epochs}\n"
            );
            let config = Config::parse("room.toml", &text, Path::new(""), &[])?;
            let data = match set {
                "cells" => drawn(set, [1, 48, 48], 2, [320, 80], cell, |index| u32::from(index.is_multiple_of(3)))?,
                "textures" => drawn(set, [3, 32, 32], 10, [1600, 400], texture, |index| index as u32 % 10)?,
                _ => config.data.open()?,
            };
            let folder = Folder::at(&root.join(format!("{set}-{seed}")))?;
            let plans = planning::plans(&config, &data, &gpu)?;
            let (content, lock) = (data.fingerprint(), Lock::take(folder.path())?);
            let (content, from, view) = (&content, Start::Anew(None), View::Nothing);
            let (config, data, gpu, folder, label) = (&config, &data, &gpu, &folder, set);
            let summary = training::train(Job { plans, config, data, content, gpu, folder, lock, label, view, from })?;
            let coded = summary.coded.ok_or("nothing was coded")?;
            let sum =
                |of: fn(&frugal_report::records::CodedValue) -> u64| coded.values.iter().map(of).sum::<u64>() as f64;
            planned += sum(|value| value.planned_bytes) / sum(|value| value.mean_bytes) / f64::from(seeds);
            peak += summary.bytes.most_allocated as f64 / 1024.0 / f64::from(seeds);
            worst = worst.max(coded.discarded.steps as f64 / summary.steps as f64);
            all += summary.steps;
            again += coded.discarded.steps;
            overflows += coded.discarded.overflows;
        }
        let worst = format!("{:.1} %", 100.0 * worst);
        println!("{set:20} {all:6} {again:6} {worst:>12} {overflows:10} {planned:14.3} {peak:8.0} KiB");
        totals = [totals[0] + all, totals[1] + again];
    }
    println!("{:.2} % of all steps were done again", 100.0 * totals[1] as f64 / totals[0] as f64);
    std::fs::remove_dir_all(&root)?;
    Ok(())
}
