//! A data-sized form made outside the crate: which elements are not zero, and those alone.

use frugal_tensor::codec::{Attached, Codec, DataSized, Site};
use frugal_tensor::ir::{Element, Init, Kernel, KernelContext, Operator, Output, Role, Shape, Value};
use frugal_tensor::{Graph, GraphError, ValueId};
use std::rc::Rc;

/// Keeps the elements that are not zero, without any error.
#[derive(Debug)]
pub struct NonZero {
    /// Elements that are planned before anything is known.
    pub expected: usize,
}

/// Its size: a bit for each element, and a word for each that is not zero.
#[derive(Debug)]
struct Size {
    report: ValueId,
    elements: usize,
}

#[derive(Debug)]
struct Encode(usize);

#[derive(Debug)]
struct Decode(Shape);

impl DataSized for Size {
    fn report(&self) -> ValueId {
        self.report
    }

    fn fixed_words(&self) -> usize {
        self.elements.div_ceil(32)
    }

    fn most_words(&self) -> usize {
        self.elements
    }

    fn used(&self, report: &[u32]) -> u32 {
        report[0]
    }
}

impl Codec for NonZero {
    fn name(&self) -> &'static str {
        "non-zero"
    }

    fn takes(&self, value: &Value) -> bool {
        value.shape.elements() >= 512
    }

    fn attach(&self, graph: &mut Graph, site: &Site) -> Result<Attached, GraphError> {
        let shape = graph.shape(site.source).clone();
        let elements = shape.elements();
        let name = format!("{}.count", graph.value(site.source).name);
        let report = graph.persistent(&name, Role::Report, [1], Element::U32, Init::Constant(0.0))?;
        let mut attached = Attached::new(Encode(elements.div_ceil(32) + self.expected), Decode(shape));
        attached.encode_reads = vec![graph.status()?, report];
        attached.data_sized = Some(Rc::new(Size { report, elements }));
        Ok(attached)
    }
}

impl Operator for Encode {
    fn name(&self) -> &'static str {
        "non-zero encode"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::words("nonzero", self.0)])
    }

    fn mutates(&self) -> &'static [usize] {
        &[1, 2]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let source = "
            {% include 'parts/step.wgsl' %}
            struct Params { elements: u32, head: u32, words: u32 }
            @group(0) @binding(0) var<uniform> p: Params;
            @group(0) @binding(1) var<storage, read_write> x: array<f32>;
            @group(0) @binding(2) var<storage, read_write> status: array<u32>;
            @group(0) @binding(3) var<storage, read_write> report: array<u32>;
            @group(0) @binding(4) var<storage, read_write> words: array<u32>;

            @compute @workgroup_size(1)
            fn main() {
                var at = p.head;
                for (var word = 0u; word < p.head; word++) {
                    var bits = 0u;
                    for (var i = 32u * word; i < min(32u * word + 32u, p.elements); i++) {
                        if bitcast<u32>(x[i]) != 0u {
                            bits |= 1u << (i % 32u);
                            if at < p.words {
                                words[at] = bitcast<u32>(x[i]);
                            }
                            at++;
                        }
                    }
                    words[word] = bits;
                }
                report[0] = at - p.head;
                if at > p.words {
                    status[STATUS_STOP] |= STOP_OVERFLOW;
                }
            }";
        let elements = context.inputs[0].shape.elements();
        let kernel = Kernel::wgsl("non-zero encode", source);
        let kernel = kernel.parameters([elements, elements.div_ceil(32), context.outputs[0].shape.elements()]);
        vec![kernel.inputs([0, 1, 2]).outputs([0]).workgroups(1)]
    }
}

impl Operator for Decode {
    fn name(&self) -> &'static str {
        "non-zero decode"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("decoded", self.0.clone())])
    }

    fn kernels(&self, _context: &KernelContext) -> Vec<Kernel> {
        let source = "
            struct Params { elements: u32, head: u32 }
            @group(0) @binding(0) var<uniform> p: Params;
            @group(0) @binding(1) var<storage, read_write> words: array<u32>;
            @group(0) @binding(2) var<storage, read_write> x: array<u32>;

            @compute @workgroup_size(1)
            fn main() {
                var at = p.head;
                for (var i = 0u; i < p.elements; i++) {
                    let is_there = (words[i / 32u] & (1u << (i % 32u))) != 0u;
                    x[i] = select(0u, words[min(at, arrayLength(&words) - 1u)], is_there);
                    at += u32(is_there);
                }
            }";
        let elements = self.0.elements();
        let kernel = Kernel::wgsl("non-zero decode", source).parameters([elements, elements.div_ceil(32)]);
        vec![kernel.inputs([0]).outputs([0]).workgroups(1)]
    }
}
