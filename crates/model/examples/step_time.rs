//! Milliseconds per training step of a net, and where they go.
//!
//! ```text
//! cargo run --release -p frugal-model --example step_time -- lenet 64 1x28x28 [raw|f16|uniform|frequency-split|error-bounded][+cheap|+segments]
//! ```

use frugal_model::{Net, StepShape, training_step};
use frugal_tensor::codec::{ErrorBounded, F16, FrequencySplit, Recompute, Uniform};
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::plan::MARGIN;
use frugal_tensor::{Gpu, Plan, Policy, Session};
use std::collections::BTreeMap;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |i: usize, default: &str| arguments.get(i).cloned().unwrap_or(default.to_string());
    let net = Net::find(&argument(0, "lenet"))?;
    let batch: usize = argument(1, "64").parse()?;
    let extents: Vec<usize> = argument(2, "1x28x28").split('x').map(str::parse).collect::<Result<_, _>>()?;
    let image: [usize; 3] = extents.try_into().map_err(|_| "a shape has three extents")?;
    let store = argument(3, "raw");
    let (form, suffix) = store.split_once('+').unwrap_or((&store, "none"));
    let recompute = Recompute::ALL.into_iter().find(|recompute| recompute.name() == suffix);
    let recompute = recompute.ok_or("after + comes cheap or segments")?;
    let policy = match form {
        "raw" => Policy::raw(),
        "f16" => Policy::with(F16),
        "uniform" => Policy::with(Uniform::default()),
        "error-bounded" => Policy::with(ErrorBounded::default()),
        _ => Policy::with(FrequencySplit::default()),
    }
    .recompute(recompute);
    let shape = StepShape { batch, image, classes: 10 };
    let optimizer = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 });
    let gpu = Gpu::open(None)?;
    let start = Instant::now();
    let plan = Plan::new(training_step(&net, shape, optimizer)?, &policy, gpu.plan_options())?;
    println!(
        "{} on {}: {} nodes, {} dispatches, kept {} bytes a sample, allocated {:.2} MiB",
        net.name,
        gpu.adapter().info.name,
        plan.graph.nodes().len(),
        plan.dispatches.len(),
        plan.kept_bytes() / batch as u64,
        Plan::allocated(&[&plan]) as f64 / f64::from(1 << 20)
    );
    let mut session = Session::new(gpu, vec![plan], 0)?;
    let built = start.elapsed();

    let images: Vec<f32> =
        frugal_tensor::random::Stream::new(0, 0).uniform().take(batch * image.iter().product::<usize>()).collect();
    let labels: Vec<u32> = (0..batch as u32).map(|n| n % 10).collect();
    let mask = vec![1.0f32; batch];
    // Far into training: bounds are not renewed in this step.
    let control = [1001u32, 0, 0.01f32.to_bits(), 0];
    let uploads: [&[u8]; 4] = [
        bytemuck::cast_slice(&images),
        bytemuck::cast_slice(&labels),
        bytemuck::cast_slice(&mask),
        bytemuck::cast_slice(&control),
    ];
    if session.plans()[0].steered().next().is_some() {
        let control = [1000u32, 0, 0, 1];
        session.learn(0, &[uploads[0], uploads[1], uploads[2], bytemuck::cast_slice(&control)], MARGIN)?;
    }
    let mut times = Vec::new();
    for _ in 0..12 {
        let start = Instant::now();
        session.step(0, &uploads)?;
        session.finished()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    println!("built in {:.0} ms, first step {:.0} ms", built.as_secs_f64() * 1e3, times[0]);
    times.remove(0);
    times.sort_by(f64::total_cmp);
    println!(
        "step: median {:.1} ms, fastest {:.1}, slowest {:.1}",
        times[times.len() / 2],
        times[0],
        times[times.len() - 1]
    );

    let mut by_operator: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
    // The fastest of some rounds: what else the machine does is not of interest here.
    let mut fastest = session.time_nodes(0, &uploads)?;
    for _ in 0..4 {
        let again = session.time_nodes(0, &uploads)?;
        fastest.iter_mut().zip(again).for_each(|(fastest, seconds)| *fastest = fastest.min(seconds));
    }
    for (node, seconds) in fastest.into_iter().enumerate() {
        let entry = by_operator.entry(session.plans()[0].graph.nodes()[node].operator.name()).or_default();
        entry.0 += 1;
        entry.1 += seconds * 1e3;
    }
    let mut rows: Vec<_> = by_operator.into_iter().collect();
    rows.sort_by(|a, b| b.1.1.total_cmp(&a.1.1));
    for (name, (count, milliseconds)) in rows {
        println!("{milliseconds:9.2} ms  {count:3} × {name}");
    }
    Ok(())
}
