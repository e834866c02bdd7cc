//! Values beyond 128 MiB, which is all that WebGPU's default limits let a kernel bind, or of just as much where an adapter
//! has no more.

use super::{Promise, Trip, hostile};
use frugal_tensor::ir::Shape;
use frugal_testkit::gpu;

const PLANE: usize = 256 * 256;
const PLANES: u64 = 528;

/// Each plane is another hostile one. Checked are the first and last planes and those before the 128th MiB; the others are
/// what these are.
#[test]
fn every_codec_keeps_its_promise_beyond_128_mib() {
    let gpu = gpu();
    let most = gpu.plan_options().max_binding;
    let planes = PLANES.min(most / (4 * PLANE as u64)) as usize;
    if planes < PLANES as usize {
        println!("only {planes} of {PLANES} planes: {} binds {most} bytes at most", gpu.adapter().info.name);
    }
    let shape = |planes: usize| Shape::from([planes, 1, 256, 256]);
    let hostile: Vec<f32> = hostile(&shape(1)).into_iter().flat_map(|(_, x)| x).collect();
    let x: Vec<f32> = hostile.iter().copied().cycle().take(planes * PLANE).collect();
    for Promise { codec, check } in
        [Promise::f16(), Promise::float8(64), Promise::frequency_split(8, 2, false), Promise::uniform(2, 256)]
    {
        let (_, decoded) = Trip::new(&gpu, gpu.adapter().kernel_set(), codec.as_ref(), &shape(planes)).run(&x, 1);
        for first in [0, 496, planes - 16] {
            let part = first * PLANE..(first + 16) * PLANE;
            check(&format!("from plane {first}, {codec:?}"), &shape(16), &x[part.clone()], &decoded[part]);
        }
    }
}
