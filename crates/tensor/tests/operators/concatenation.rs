//! Concatenation.

use super::convolution::convolve;
use frugal_tensor::ir::{Graph, ValueId};
use frugal_tensor::ops::conv2d::Conv2d;
use frugal_testkit::{Case, Tensor, check};

#[test]
fn concatenation() {
    for (channels, rest) in [
        (vec![1, 1], vec![1, 1]),
        (vec![3, 5], vec![3, 3]),
        (vec![4, 8, 2], vec![4, 4]),
        (vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10], vec![2, 5]),
        (vec![7, 300], vec![]),
        (vec![20, 3], vec![17, 16]),
    ] {
        let shape = |c: usize| [vec![3, c], rest.clone()].concat();
        let total = channels.iter().sum::<usize>();
        let size: usize = rest.iter().product();
        let parts = |seed: u64| {
            let parts = channels.iter().enumerate();
            parts.map(|(i, &c)| Tensor::random(&shape(c), seed + i as u64)).collect::<Vec<_>>()
        };
        let joined = |t: &[Tensor]| {
            Tensor::from_fn(&shape(total), |i| {
                let (sample, mut channel, at) = (i / (total * size), i / size % total, i % size);
                for (part, &c) in t.iter().zip(&channels) {
                    if channel < c {
                        return part.data[(sample * c + channel) * size + at];
                    }
                    channel -= c;
                }
                unreachable!()
            })
        };
        check(&format!("concatenation {channels:?} {rest:?}"), parts(1), vec![], &|g, v| g.concat(v), &joined);
        if rest.len() == 2 {
            // The convolution keeps its input, which is put together again from its parts.
            let name = format!("convolution of a concatenation {channels:?} {rest:?}");
            let build = |g: &mut Graph, v: &[ValueId]| {
                let (w, parts) = v.split_last().unwrap();
                let x = g.concat(parts)?;
                g.conv2d(x, *w, [1, 1], [0, 0])
            };
            let reference = |t: &[Tensor]| {
                let (w, parts) = t.split_last().unwrap();
                convolve(&[joined(parts), w.clone()], Conv2d::default())
            };
            let weights = vec![Tensor::random(&[2, total, 1, 1], 50)];
            // Its weights are rounded, too.
            Case { roundings: 2.0, ..Case::usual(&name, parts(1), weights, &build, &reference) }.check();
        }
    }
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 3, 4, 4], frugal_tensor::ir::Element::F32);
    let z = graph.input("z", [2, 3, 4, 5], frugal_tensor::ir::Element::F32);
    assert!(graph.concat(&[x, z]).is_err());
}
