//! Concatenations wait as their parts.

use frugal_tensor::codec::FrequencySplit;
use frugal_tensor::ir::{Element, Graph, Init};
use frugal_tensor::random::Stream;
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{SETS, compare, gpu, options};

/// Two convolutions read concatenations of the same parts: each part is coded once, and what is put together again from
/// decoded parts gives the gradient that the parts themselves give.
#[test]
fn parts_of_concatenations_are_coded_once() {
    let gpu = gpu();
    let shape = [3, 4, 12, 12];
    for set in SETS {
        let mut gradients: Vec<Vec<f64>> = Vec::new();
        for coded in [false, true] {
            let split = FrequencySplit { block: 4, bits: 8, parity: false };
            let policy = if coded { Policy::with(split) } else { Policy::raw() };
            let mut g = Graph::new();
            let images = g.input("images", shape, Element::F32);
            let scale = g.parameter("scale", [4], Init::Constant(0.25)).unwrap();
            let a = g.bias(images, scale).unwrap();
            let b = g.relu(a).unwrap();
            let w = ["w0", "w1"].map(|name| g.parameter(name, [2, 8, 3, 3], Init::Constant(0.5)).unwrap());
            let first = g.concat(&[a, b]).unwrap();
            let first = g.conv2d(first, w[0], [1, 1], [1, 1]).unwrap();
            let second = g.concat(&[b, a]).unwrap();
            let second = g.conv2d(second, w[1], [1, 1], [1, 1]).unwrap();
            let sum = g.add(first, second).unwrap();
            let arriving = g.input("arriving", [3, 2, 12, 12], Element::F32);
            let of = g.differentiate(&[(sum, Some(arriving))]).unwrap();
            let wanted = [of[&w[0]], of[&w[1]], of[&scale]];
            wanted.iter().for_each(|&id| g.mark_metric(id));
            let plan = Plan::new(g, &policy, options(&gpu, set)).unwrap();
            let forms: Vec<&str> = plan.stored.iter().map(|stored| stored.form).collect();
            let values = forms.iter().filter(|form| **form != "mask").count();
            assert_eq!(values, 2, "{forms:?}");
            assert!(forms.contains(&"frequency-split") == coded, "{forms:?}");
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
            let mut numbers = Stream::new(3, 0).uniform().map(|u| 2.0 * u - 1.0);
            let images: Vec<f32> = numbers.by_ref().take(shape.iter().product()).collect();
            let arriving: Vec<f32> = numbers.take(3 * 2 * 144).collect();
            let control = [0u32; 4];
            let mut uploads: Vec<&[u8]> = vec![bytemuck::cast_slice(&images), bytemuck::cast_slice(&arriving)];
            if coded {
                uploads.push(bytemuck::cast_slice(&control));
            }
            session.step(0, &uploads).unwrap();
            session.finished().unwrap();
            let read = |id| session.read_value(0, id).unwrap().into_iter().map(|w| f64::from(f32::from_bits(w)));
            gradients.push(wanted.into_iter().flat_map(read).collect());
        }
        compare(&format!("gradients on {set:?}"), &gradients[1], &gradients[0], 0.005);
    }
}
