//! What the theory of the error bound says of a convolution: an error that is uniform within ±eb on every element of its input
//! gives the weights' gradient one of standard deviation eb · √(C/3) · rms over output channels of ‖δ‖, C the share of positions
//! at which a tap meets the input and not the padding.

use frugal_tensor::ir::{Element, ErrorRole, Graph, Init, Need, Phase};
use frugal_tensor::ops::conv2d::Conv2d;
use frugal_tensor::random::Stream;
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{SETS, gpu, options};

// Planes so small that much of what the taps meet is padding.
const INPUT: [usize; 4] = [30, 12, 9, 9];

fn noise(stream: u64, count: usize) -> Vec<f32> {
    Stream::new(3, stream).uniform().take(count).map(|u| 2.0 * u - 1.0).collect()
}

#[test]
fn errors_of_a_convolutions_input_reach_its_weights_as_predicted() {
    let gpu = gpu();
    let dense = Conv2d { padding: [1, 1], ..Conv2d::default() };
    for (filters, convolution) in [
        (12, dense),
        (12, Conv2d { stride: [2, 2], ..dense }),
        (12, Conv2d { dilation: [2, 2], padding: [2, 2], ..dense }),
        (18, Conv2d { groups: 3, ..dense }),
        (12, Conv2d { groups: 12, ..dense }),
        (24, Conv2d { groups: 12, stride: [2, 2], ..dense }),
    ] {
        for set in SETS {
            let mut g = Graph::new();
            let x = g.input("x", INPUT, Element::F32);
            let w = g.parameter("w", [filters, 12 / convolution.groups, 3, 3], Init::Constant(0.1)).unwrap();
            let y = g.apply_one(convolution, &[x, w]).unwrap();
            let shape = g.shape(y).clone();
            let delta = g.input("delta", shape.clone(), Element::F32);
            let gradient = g.differentiate(&[(y, Some(delta))]).unwrap()[&w];
            g.mark_metric(gradient);
            // What the codec goes by.
            let decoded =
                g.saved_tensors().iter().find(|keep| keep.source == x && keep.need == Need::Values).unwrap().decoded;
            let node =
                g.nodes().iter().find(|node| node.phase == Phase::Backward && node.inputs.contains(&decoded)).unwrap();
            let place = node.inputs.iter().position(|&input| input == decoded).unwrap();
            let values: Vec<_> = node.inputs.iter().map(|&input| g.value(input)).collect();
            let ErrorRole::WeightGradient(correlation) = node.operator.error_role(place, &values) else {
                panic!("the theory knows convolutions");
            };
            assert_eq!([node.inputs[correlation.with], node.outputs[correlation.gradient]], [delta, gradient]);
            assert_eq!(correlation.scale, None);

            // Magnitudes differ from channel to channel, as they do in nets.
            let [_, channels, plane] = shape.planes().unwrap();
            let channel = |i: usize| i / plane % channels;
            let deltas: Vec<f32> =
                noise(1, shape.elements()).iter().enumerate().map(|(i, d)| d * (1 + channel(i) % 5) as f32).collect();
            let square: f64 = deltas.iter().map(|&d| f64::from(d).powi(2)).sum();
            let bound = 0.25;
            let coverage = f64::from(correlation.coverage);
            let predicted = bound * (coverage / 3.0).sqrt() * (square / channels as f64).sqrt();

            let plan = Plan::new(g, &Policy::raw(), options(&gpu, set)).unwrap();
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
            let elements = INPUT.iter().product();
            let clean = noise(0, elements);
            let mut of = |x: &[f32]| -> Vec<f32> {
                session.step(0, &[bytemuck::cast_slice(x), bytemuck::cast_slice(&deltas)]).unwrap();
                let words = session.finished().unwrap().pop().unwrap().words;
                words.into_iter().map(f32::from_bits).collect()
            };
            let wanted = of(&clean);
            let mut squares = 0.0;
            let rounds = 8;
            for round in 0..rounds {
                let off = noise(10 + round, elements);
                let x: Vec<f32> = clean.iter().zip(&off).map(|(x, e)| x + bound as f32 * e).collect();
                squares += of(&x).iter().zip(&wanted).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
            }
            let found = (squares / (rounds as usize * wanted.len()) as f64).sqrt();
            println!("{convolution:?} on {set:?}: {:.3} of what the theory says", found / predicted);
            assert!(
                (0.96..1.04).contains(&(found / predicted)),
                "{convolution:?} on {set:?}: {found}, not {predicted}"
            );
        }
    }
}
