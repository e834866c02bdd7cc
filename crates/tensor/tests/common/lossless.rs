//! A codec that changes nothing: its words are the bits. What is stored with it must come out as if it were raw.

use frugal_tensor::codec::{Attached, Codec, Site};
use frugal_tensor::graph::{Graph, GraphError, Shape, Value};
use frugal_tensor::ops::{Kernel, KernelContext, Operator, Output};

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
        let run = self.shape.elements();
        let chunks = run.div_ceil(256);
        let copy =
            Kernel::new("ops/concat/copy").variable("vector", false).parameters([1, chunks, run, run, 0, run, 0]);
        vec![copy.inputs([0]).outputs([0]).workgroups(chunks)]
    }
}
