//! Builds a small net and trains it on made-up images: the library in one page.
//!
//! ```text
//! cargo run --release -p frugal-model --example train
//! ```

use frugal_model::layers::{Conv, Mode, batch_norm, linear};
use frugal_tensor::graph::Element;
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::{Gpu, Graph, Plan, Policy, Session, codec::FrequencySplit};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (batch, classes) = (32, 4);

    // The net: shapes are checked here, layer by layer.
    let mut graph = Graph::new();
    let images = graph.input("images", [batch, 1, 16, 16], Element::F32);
    let labels = graph.input("labels", [batch], Element::U32);
    let mask = graph.input("mask", [batch], Element::F32);
    let mut x = images;
    for (name, filters) in [("conv1", 8), ("conv2", 16)] {
        x = Conv::new(filters, 3).apply(&mut graph, name, x)?;
        x = batch_norm(&mut graph, &format!("{name}.norm"), x, Mode::Training)?;
        x = graph.relu(x)?;
    }
    let x = graph.global_average_pool(x)?;
    let logits = linear(&mut graph, "classify", x, classes)?;
    let loss = graph.cross_entropy(logits, labels, mask)?;
    let gradients = graph.differentiate(&[(loss, None)])?;
    graph.update(Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 }), &gradients)?;

    // The plan: activations wait for the backward pass in the form that the policy names.
    let gpu = Gpu::open(None)?;
    let plan = Plan::new(graph, &Policy::with(FrequencySplit::default()), gpu.plan_options())?;
    println!(
        "on {}: {} bytes kept, {} allocated",
        gpu.adapter().info.name,
        plan.kept_bytes(),
        Plan::allocated(&[&plan])
    );
    let mut session = Session::new(gpu, vec![plan], 0)?;

    // The steps: class k has stripes of width k + 1.
    let labels: Vec<u32> = (0..batch as u32).map(|n| n % classes as u32).collect();
    let stripe = |i: usize| ((i % 16) as u32 / (labels[i / 256] + 1)) % 2;
    let images: Vec<f32> = (0..batch * 256).map(|i| stripe(i) as f32).collect();
    let mask = vec![1.0f32; batch];
    for step in 0..30u32 {
        let control = [step, 0, 0.05f32.to_bits(), 0];
        let uploads: [&[u8]; 4] = [
            bytemuck::cast_slice(&images),
            bytemuck::cast_slice(&labels),
            bytemuck::cast_slice(&mask),
            bytemuck::cast_slice(&control),
        ];
        for done in session.step(0, &uploads)? {
            println!("step {:2}: loss {:.4}", done.step, done.f32(0));
        }
    }
    for done in session.finished()? {
        println!("step {:2}: loss {:.4}, {} of {batch} right", done.step, done.f32(0), done.f32(1));
    }
    Ok(())
}
