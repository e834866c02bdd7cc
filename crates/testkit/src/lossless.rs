//! A codec that changes nothing: its words are the bits. What is stored with it must come out as if it were raw.

use frugal_tensor::codec::{Attached, Codec, Site};
use frugal_tensor::ir::{Graph, GraphError, Kernel, KernelContext, Operator, Output, Shape, Value};

/// Stores the bits of each element as they are.
#[derive(Debug)]
pub struct Lossless;

impl Codec for Lossless {
    fn name(&self) -> &'static str {
        "lossless"
    }

    fn takes(&self, _: &Value) -> bool {
        true
    }

    fn attach(&self, graph: &mut Graph, site: &Site) -> Result<Attached, GraphError> {
        let shape = graph.shape(site.source).clone();
        let encode = Copy { to_words: true, shape: shape.clone() };
        Ok(Attached::plain(graph, encode, Copy { to_words: false, shape }))
    }
}

const COPY: &str = "
struct Params {
    words: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

{% include 'parts/grid.wgsl' %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * 64u + lane;
    if i < p.words {
        y[i] = x[i];
    }
}
";

#[derive(Debug)]
struct Copy {
    to_words: bool,
    shape: Shape,
}

impl Operator for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn outputs(&self, _: &[&Value]) -> Result<Vec<Output>, String> {
        let words = Output::words("bits", self.shape.elements());
        Ok(vec![if self.to_words { words } else { Output::new("decoded", self.shape.clone()) }])
    }

    fn kernels(&self, _: &KernelContext) -> Vec<Kernel> {
        let words = self.shape.elements();
        vec![Kernel::wgsl("copy", COPY).parameter(words).inputs([0]).outputs([0]).invocations(words, 64)]
    }
}
