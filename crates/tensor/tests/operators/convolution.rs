//! Convolutions of every kind.

use frugal_tensor::ops::conv2d::Conv2d;
use frugal_testkit::{Tensor, check_product};

pub(super) fn convolve(t: &[Tensor], convolution: Conv2d) -> Tensor {
    let Conv2d { stride, padding, more_padding, dilation, groups } = convolution;
    let [n, c, h, w] = t[0].nchw();
    let [k, c_group, r, s] = t[1].nchw();
    let oh = (h + 2 * padding[0] + more_padding[0] - dilation[0] * (r - 1) - 1) / stride[0] + 1;
    let ow = (w + 2 * padding[1] + more_padding[1] - dilation[1] * (s - 1) - 1) / stride[1] + 1;
    Tensor::from_fn(&[n, k, oh, ow], |i| {
        let (ox, oy, f, b) = (i % ow, i / ow % oh, i / (ow * oh) % k, i / (ow * oh * k));
        let first = f / (k / groups) * c_group;
        let mut sum = 0.0;
        for ch in 0..c_group {
            for dy in 0..r {
                for dx in 0..s {
                    let (y, x) = (oy * stride[0] + dy * dilation[0], ox * stride[1] + dx * dilation[1]);
                    if y >= padding[0] && x >= padding[1] && y - padding[0] < h && x - padding[1] < w {
                        let at = ((b * c + first + ch) * h + y - padding[0]) * w + x - padding[1];
                        sum += t[0].data[at] * t[1].data[((f * c_group + ch) * r + dy) * s + dx];
                    }
                }
            }
        }
        sum
    })
}

/// Scatters instead of gathering: another way to the same numbers than the kernels take.
pub(super) fn convolve_transposed(t: &[Tensor], convolution: Conv2d, output_padding: [usize; 2]) -> Tensor {
    let Conv2d { stride, padding, dilation, groups, .. } = convolution;
    let [n, c, h, w] = t[0].nchw();
    let [_, k_group, r, s] = t[1].nchw();
    let k = k_group * groups;
    let reach = |axis: usize, size: usize, kernel: usize| (size - 1) * stride[axis] + dilation[axis] * (kernel - 1) + 1;
    let extent = |axis, size, kernel| reach(axis, size, kernel) + output_padding[axis] - 2 * padding[axis];
    let (oh, ow) = (extent(0, h, r), extent(1, w, s));
    let mut y = Tensor::new(&[n, k, oh, ow], vec![0.0; n * k * oh * ow]);
    for (i, x) in t[0].data.iter().enumerate() {
        let (ix, iy, ch, b) = (i % w, i / w % h, i / (w * h) % c, i / (w * h * c));
        for f in 0..k_group {
            for dy in 0..r {
                for dx in 0..s {
                    let (oy, ox) = (iy * stride[0] + dy * dilation[0], ix * stride[1] + dx * dilation[1]);
                    if oy >= padding[0] && ox >= padding[1] && oy - padding[0] < oh && ox - padding[1] < ow {
                        let plane = b * k + ch / (c / groups) * k_group + f;
                        let at = (plane * oh + oy - padding[0]) * ow + ox - padding[1];
                        y.data[at] += x * t[1].data[((ch * k_group + f) * r + dy) * s + dx];
                    }
                }
            }
        }
    }
    y
}

fn check_convolution([n, c, h, w]: [usize; 4], [k, r, s]: [usize; 3], convolution: Conv2d) {
    check_product(
        &format!("{n}×{c}×{h}×{w} with {k}×{r}×{s}, {convolution:?}"),
        vec![Tensor::random(&[n, c, h, w], 1)],
        vec![Tensor::random(&[k, c / convolution.groups, r, s], 2)],
        &|g, v| g.apply_one(convolution, v),
        &|t| convolve(t, convolution),
    );
}

/// Input N×C×H×W, kernel K×R×S, stride, padding.
type Shapes = ([usize; 4], [usize; 3], [usize; 2], [usize; 2]);

#[test]
fn convolution() {
    let cases: [Shapes; 28] = [
        ([2, 3, 8, 8], [16, 3, 3], [1, 1], [1, 1]),
        ([1, 1, 1, 1], [1, 1, 1], [1, 1], [0, 0]),
        ([3, 5, 7, 11], [13, 3, 3], [1, 1], [1, 1]),
        ([2, 16, 16, 16], [16, 3, 3], [1, 1], [1, 1]),
        ([2, 17, 9, 9], [70, 3, 3], [1, 1], [1, 1]),
        ([2, 4, 8, 8], [9, 3, 3], [2, 2], [1, 1]),
        ([1, 3, 9, 7], [5, 3, 3], [2, 2], [1, 1]),
        ([2, 4, 7, 8], [8, 1, 1], [2, 2], [0, 0]),
        ([3, 4, 5, 6], [8, 1, 1], [1, 1], [0, 0]),
        ([2, 1, 28, 28], [8, 5, 5], [1, 1], [2, 2]),
        ([2, 8, 14, 14], [16, 5, 5], [1, 1], [2, 2]),
        ([1, 2, 13, 17], [3, 5, 3], [2, 1], [0, 1]),
        ([1, 3, 23, 23], [4, 11, 11], [4, 4], [2, 2]),
        ([1, 2, 6, 6], [3, 2, 4], [3, 2], [1, 3]),
        ([5, 2, 3, 3], [2, 3, 3], [1, 1], [2, 2]),
        ([1, 2, 40, 3], [33, 3, 1], [1, 1], [1, 0]),
        // One tap: vectors along input channels, output channels and pixels, and each of them with a rest.
        ([2, 8, 6, 6], [36, 1, 1], [1, 1], [0, 0]),
        ([1, 36, 5, 7], [40, 1, 1], [1, 1], [0, 0]),
        ([2, 20, 1, 1], [19, 1, 1], [1, 1], [0, 0]),
        ([1, 12, 9, 4], [68, 1, 1], [2, 2], [0, 0]),
        ([2, 34, 12, 40], [18, 1, 1], [2, 2], [0, 0]),
        ([1, 4, 7, 7], [4, 1, 1], [3, 3], [0, 0]),
        ([1, 4, 5, 4], [12, 1, 1], [1, 1], [1, 1]),
        // Large kernels: a net's first layer, an odd one, planes wider than a tile.
        ([1, 3, 20, 40], [9, 7, 7], [2, 2], [3, 3]),
        ([2, 2, 13, 11], [5, 7, 7], [2, 2], [3, 3]),
        ([1, 2, 9, 37], [3, 6, 7], [1, 1], [3, 3]),
        ([1, 2, 12, 36], [10, 7, 7], [1, 1], [3, 3]),
        ([1, 3, 17, 36], [4, 5, 5], [2, 2], [2, 2]),
    ];
    for (input, kernel, stride, padding) in cases {
        check_convolution(input, kernel, Conv2d { stride, padding, ..Conv2d::default() });
    }
}

#[test]
fn dilated_convolution() {
    let cases: [(Shapes, [usize; 2]); 9] = [
        (([2, 3, 8, 8], [16, 3, 3], [1, 1], [2, 2]), [2, 2]),
        (([2, 5, 9, 13], [9, 3, 3], [1, 1], [1, 1]), [2, 2]),
        (([1, 3, 16, 16], [10, 3, 3], [2, 2], [2, 2]), [2, 2]),
        (([1, 2, 15, 14], [5, 3, 2], [3, 1], [0, 4]), [1, 3]),
        (([2, 2, 7, 7], [3, 5, 5], [1, 1], [8, 8]), [4, 4]),
        (([1, 2, 21, 19], [4, 3, 3], [1, 1], [6, 6]), [6, 6]),
        (([1, 1, 5, 5], [2, 2, 2], [2, 2], [5, 5]), [3, 3]),
        (([1, 2, 12, 12], [3, 3, 3], [4, 4], [3, 3]), [2, 2]),
        (([2, 2, 6, 5], [3, 1, 1], [1, 1], [1, 1]), [5, 5]),
    ];
    for ((input, kernel, stride, padding), dilation) in cases {
        check_convolution(input, kernel, Conv2d { stride, padding, dilation, ..Conv2d::default() });
    }
}

#[test]
fn grouped_convolution() {
    let cases: [(Shapes, [usize; 2], usize); 10] = [
        (([2, 6, 8, 8], [4, 3, 3], [1, 1], [1, 1]), [1, 1], 2),
        (([1, 12, 7, 9], [30, 3, 3], [2, 2], [1, 1]), [1, 1], 3),
        (([2, 40, 6, 6], [40, 3, 3], [1, 1], [1, 1]), [1, 1], 2),
        (([2, 16, 6, 6], [40, 1, 1], [1, 1], [0, 0]), [1, 1], 2),
        (([1, 72, 5, 8], [72, 1, 1], [2, 2], [0, 0]), [1, 1], 2),
        (([2, 8, 5, 4], [12, 1, 1], [1, 1], [0, 0]), [1, 1], 4),
        (([1, 4, 11, 11], [6, 3, 3], [1, 1], [4, 4]), [3, 3], 2),
        (([1, 6, 10, 13], [9, 3, 2], [2, 3], [5, 0]), [2, 1], 3),
        // More filters than channels of a group, and a padding beyond the kernel.
        (([3, 4, 5, 5], [34, 3, 3], [1, 1], [4, 4]), [1, 1], 2),
        (([1, 10, 16, 8], [5, 3, 3], [2, 2], [1, 1]), [1, 1], 5),
    ];
    for ((input, kernel, stride, padding), dilation, groups) in cases {
        check_convolution(input, kernel, Conv2d { stride, padding, dilation, groups, ..Conv2d::default() });
    }
}

#[test]
fn depthwise_convolution() {
    let cases: [(Shapes, [usize; 2]); 23] = [
        (([2, 8, 8, 8], [8, 3, 3], [1, 1], [1, 1]), [1, 1]),
        (([2, 3, 16, 32], [3, 3, 3], [1, 1], [1, 1]), [1, 1]),
        (([1, 5, 7, 7], [5, 3, 3], [1, 1], [1, 1]), [1, 1]),
        (([3, 2, 14, 14], [2, 3, 3], [2, 2], [1, 1]), [1, 1]),
        (([1, 9, 28, 28], [9, 3, 3], [1, 1], [1, 1]), [1, 1]),
        (([2, 3, 9, 20], [3, 3, 3], [1, 1], [0, 0]), [1, 1]),
        (([2, 9, 16, 16], [9, 3, 3], [2, 2], [1, 1]), [1, 1]),
        (([2, 3, 13, 11], [3, 3, 3], [2, 2], [1, 1]), [1, 1]),
        (([2, 4, 15, 8], [4, 5, 5], [1, 1], [2, 2]), [1, 1]),
        (([2, 4, 16, 16], [4, 5, 5], [2, 2], [2, 2]), [1, 1]),
        (([1, 3, 10, 12], [3, 7, 7], [1, 1], [3, 3]), [1, 1]),
        (([2, 3, 12, 12], [3, 3, 3], [3, 3], [0, 0]), [1, 1]),
        (([2, 3, 12, 12], [3, 2, 2], [4, 4], [1, 1]), [1, 1]),
        (([2, 5, 6, 7], [5, 1, 1], [1, 1], [0, 0]), [1, 1]),
        // Large enough that a GPU's weight gradient is cut into parts.
        (([5, 2, 40, 37], [2, 3, 3], [1, 1], [1, 1]), [1, 1]),
        // Rectangles, more than one filter for a channel, dilation, paddings beyond the kernel.
        (([2, 3, 9, 8], [3, 3, 5], [1, 1], [1, 2]), [1, 1]),
        (([2, 3, 9, 8], [3, 2, 3], [2, 1], [1, 0]), [1, 1]),
        (([2, 3, 8, 8], [6, 3, 3], [1, 1], [1, 1]), [1, 1]),
        (([1, 2, 11, 9], [6, 3, 3], [2, 2], [1, 1]), [1, 1]),
        (([2, 3, 12, 12], [3, 3, 3], [1, 1], [2, 2]), [2, 2]),
        (([1, 2, 17, 16], [2, 3, 3], [2, 2], [2, 2]), [2, 2]),
        (([2, 3, 5, 5], [3, 3, 3], [1, 1], [4, 4]), [1, 1]),
        (([1, 2, 3, 4], [2, 3, 3], [2, 2], [5, 5]), [1, 1]),
    ];
    for ((input, kernel, stride, padding), dilation) in cases {
        check_convolution(input, kernel, Conv2d { stride, padding, dilation, groups: input[1], ..Conv2d::default() });
    }
}

/// TensorFlow's "same" padding: one zero more below and to the right than above and to the left.
#[test]
fn convolution_with_uneven_padding() {
    for (input, kernel, padding, groups) in [
        ([2, 3, 8, 8], [16, 3, 3], 0, 1),
        ([2, 5, 7, 10], [9, 5, 5], 1, 1),
        ([2, 8, 16, 16], [8, 3, 3], 0, 8),
        ([1, 9, 14, 14], [9, 5, 5], 1, 9),
        ([1, 6, 8, 6], [4, 3, 3], 0, 2),
    ] {
        for stride in [1, 2] {
            let (stride, padding, more_padding) = ([stride; 2], [padding; 2], [1, 1]);
            check_convolution(input, kernel, Conv2d { stride, padding, more_padding, groups, ..Conv2d::default() });
        }
    }
}

#[test]
fn transposed_convolution() {
    let cases: [(Shapes, [usize; 2], usize, [usize; 2]); 14] = [
        (([2, 8, 4, 4], [6, 2, 2], [2, 2], [0, 0]), [1, 1], 1, [0, 0]),
        (([2, 9, 8, 8], [3, 3, 3], [1, 1], [1, 1]), [1, 1], 1, [0, 0]),
        (([1, 3, 7, 5], [4, 3, 3], [2, 2], [1, 1]), [1, 1], 1, [1, 1]),
        (([2, 4, 6, 7], [5, 4, 4], [2, 2], [1, 1]), [1, 1], 1, [0, 0]),
        (([1, 2, 5, 5], [3, 3, 3], [3, 3], [0, 0]), [1, 1], 1, [2, 2]),
        (([1, 2, 4, 6], [3, 2, 4], [3, 2], [1, 3]), [1, 1], 1, [2, 0]),
        (([2, 2, 5, 6], [3, 5, 5], [1, 1], [4, 4]), [1, 1], 1, [0, 0]),
        (([1, 1, 1, 1], [1, 1, 1], [1, 1], [0, 0]), [1, 1], 1, [0, 0]),
        (([1, 3, 6, 6], [2, 3, 3], [2, 2], [2, 2]), [2, 2], 1, [1, 1]),
        // Weights are C×K/groups: 4 channels make 6 of two groups, each of its 2.
        (([1, 4, 5, 6], [6, 3, 3], [2, 2], [1, 1]), [1, 1], 2, [1, 1]),
        (([2, 5, 7, 8], [5, 3, 3], [2, 2], [1, 1]), [1, 1], 5, [1, 1]),
        (([2, 3, 8, 8], [3, 4, 4], [2, 2], [1, 1]), [1, 1], 3, [0, 0]),
        (([2, 6, 5, 5], [3, 3, 3], [1, 1], [1, 1]), [1, 1], 3, [0, 0]),
        (([1, 3, 6, 5], [6, 3, 3], [2, 2], [1, 1]), [1, 1], 3, [0, 1]),
    ];
    for (([n, c, h, w], [k, r, s], stride, padding), dilation, groups, output_padding) in cases {
        let convolution = Conv2d { stride, padding, dilation, groups, ..Conv2d::default() };
        check_product(
            &format!("transposed {n}×{c}×{h}×{w} with {k}×{r}×{s}, {convolution:?}, {output_padding:?}"),
            vec![Tensor::random(&[n, c, h, w], 1)],
            vec![Tensor::random(&[c, k / groups, r, s], 2)],
            &|g, v| g.conv_transpose2d(v[0], v[1], convolution, output_padding),
            &|t| convolve_transposed(t, convolution, output_padding),
        );
    }
}
