//! Cross-entropy with its metrics.

use frugal_tensor::ir::{Element, Graph, Init};
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{SETS, Tensor, compare, gpu, options};

/// The loss, on its own because it starts a backward pass: hard labels, masked samples, logits far apart.
#[test]
fn cross_entropy() {
    let gpu = gpu();
    for (samples, classes, scale) in
        [(1, 1, 1.0), (7, 3, 1.0), (64, 10, 1.0), (130, 41, 50.0), (5, 1000, 1.0), (3, 50_001, 1.0)]
    {
        let logits = Tensor::random(&[samples, classes], 1);
        let logits = logits.map(|_, x| f64::from((x * scale) as f32));
        let labels: Vec<u32> = (0..samples).map(|n| (n * 7 % classes) as u32).collect();
        let mask: Vec<f32> = (0..samples).map(|n| if n % 5 == 3 { 0.0 } else { 1.0 }).collect();
        let counted = mask.iter().filter(|m| **m > 0.0).count() as f64;
        let softmax: Vec<f64> = logits
            .data
            .chunks(classes)
            .flat_map(|row| {
                let most = row.iter().copied().fold(f64::MIN, f64::max);
                let sum: f64 = row.iter().map(|x| (x - most).exp()).sum();
                row.iter().map(move |x| (x - most).exp() / sum).collect::<Vec<_>>()
            })
            .collect();
        let hit = |i: usize| f64::from(u8::from(i % classes == labels[i / classes] as usize));
        let weight = |n: usize| f64::from(mask[n]) / counted;
        let wanted: Vec<f64> = softmax.iter().enumerate().map(|(i, p)| weight(i / classes) * (p - hit(i))).collect();
        let loss: f64 =
            (0..samples).map(|n| -weight(n) * softmax[n * classes + labels[n] as usize].max(1e-300).ln()).sum();
        for set in SETS {
            let mut g = Graph::new();
            let x = g.parameter("logits", [samples, classes], Init::Constant(0.0)).unwrap();
            let label_input = g.input("labels", [samples], Element::U32);
            let mask_input = g.input("mask", [samples], Element::F32);
            let y = g.cross_entropy(x, label_input, mask_input).unwrap();
            let gradient = g.differentiate(&[(y, None)]).unwrap()[&x];
            g.mark_metric(gradient);
            let plan = Plan::new(g, &Policy::raw(), options(&gpu, set)).unwrap();
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
            session.write("logits", &logits.f32()).unwrap();
            session.step(0, &[bytemuck::cast_slice(&labels), bytemuck::cast_slice(&mask)]).unwrap();
            let done = session.finished().unwrap().pop().unwrap();
            let what = format!("cross-entropy {samples}×{classes} on {set:?}");
            compare(&what, &[f64::from(done.f32(0)), f64::from(done.f32(2))], &[loss, counted], 1e-5);
            let got: Vec<f64> = (4..done.words.len()).map(|i| f64::from(done.f32(i))).collect();
            compare(&format!("{what}: gradient"), &got, &wanted, 1e-5);
        }
    }
}
