//! Codecs: the forms in which a tensor is saved between the forward and the backward pass.
//!
//! A codec is a pair of operators, encode and decode, with an exact size. The pass `save_tensors` is the only
//! place that knows both gradients and codecs: operators do not know in which form their tensors are saved, codecs
//! do not know for whom.

pub mod data_sized;
pub mod error_bounded;
pub mod f16;
pub mod float8;
pub mod frequency_split;
pub mod mask;
mod policy;
mod slices;
pub mod uniform;

pub use data_sized::{CodingFacts, ControllerNodes, DataSized, MARGIN, SizeReport};
pub use error_bounded::{ErrorBounded, GradientReaders};
pub use f16::F16;
pub use float8::Float8;
pub use frequency_split::FrequencySplit;
pub(crate) use policy::{Choice, Origin};
pub use policy::{Policy, Recompute, Rule};
pub use slices::{Slices, Slicing};
pub use uniform::Uniform;

use crate::ir::{Graph, GraphError, KernelContext, Operator, Parameter, Value, ValueId};
use std::fmt;
use std::rc::Rc;

/// A form in which an f32 value can be kept.
pub trait Codec: fmt::Debug {
    /// What the user calls it.
    fn name(&self) -> &'static str;

    /// Whether it takes this value; others stay raw.
    fn takes(&self, value: &Value) -> bool;

    /// Whether it can serve those who read the value as `decoded` in the backward pass.
    fn serves(&self, _graph: &Graph, _readers: &GradientReaders, _decoded: ValueId) -> bool {
        true
    }

    /// Encoder and decoder for a value.
    ///
    /// # Errors
    /// [`GraphError::NameTaken`] if what it keeps across steps has the name of another value.
    fn attach(&self, graph: &mut Graph, site: &Site) -> Result<Attached, GraphError>;
}

/// Where a codec is put.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The value.
    pub source: ValueId,
    /// A mask of its elements above zero, if one waits anyway.
    pub mask: Option<ValueId>,
}

/// An encoder and a decoder.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attached {
    /// From the value, and what else it reads, to packed words; perhaps also to the mask of the site.
    pub encode: Rc<dyn Operator>,
    /// What the encoder reads besides the value.
    pub encode_reads: Vec<ValueId>,
    /// From packed words, and what else it reads, to the value.
    pub decode: Rc<dyn Operator>,
    /// What the decoder reads besides the words.
    pub decode_reads: Vec<ValueId>,
    /// Whether the encoder's second output is the mask of the site: then nothing else need make it.
    pub makes_mask: bool,
    /// How it reports what it uses, if its size depends on the data.
    pub data_sized: Option<Rc<dyn DataSized>>,
}

impl Attached {
    /// An encoder that reads the value alone, and a decoder that reads the words alone.
    pub fn new(encode: impl Operator + 'static, decode: impl Operator + 'static) -> Self {
        let (encode_reads, decode_reads) = (Vec::new(), Vec::new());
        Self {
            encode: Rc::new(encode),
            encode_reads,
            decode: Rc::new(decode),
            decode_reads,
            makes_mask: false,
            data_sized: None,
        }
    }

    /// As [`Attached::new`], but the encoder reads the control words (see [`Graph::control`]) as well, by which it draws random
    /// numbers.
    pub fn plain(graph: &mut Graph, encode: impl Operator + 'static, decode: impl Operator + 'static) -> Self {
        Self { encode_reads: vec![graph.control()], ..Self::new(encode, decode) }
    }

    /// Adds encoder and decoder of `source` to a graph, one after the other: for checking what a codec promises. Returns the
    /// words and what comes of them.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if the codec cannot serve the value.
    pub fn round_trip(self, graph: &mut Graph, source: ValueId) -> Result<[ValueId; 2], GraphError> {
        let reads = |first: ValueId, others: Vec<ValueId>| [vec![first], others].concat();
        let words = graph.apply_shared(self.encode, &reads(source, self.encode_reads))?[0];
        let decoded = graph.apply_shared(self.decode, &reads(words, self.decode_reads))?[0];
        Ok([words, decoded])
    }
}

/// What an encoder draws random numbers for: two values must not draw the same ones, and parts of one have its name.
fn stream(source: &str, words: &str) -> u32 {
    crate::random::purpose([source, words])
}

/// The words of a kernel's `Params` by which an encoder draws random numbers: the stream, and the number of the first element.
fn numbers(context: &KernelContext) -> [Parameter; 2] {
    let [source, words] = [context.inputs[0], context.outputs[0]];
    [stream(&source.name, &words.name).into(), source.first_element().into()]
}

/// The form of values that are recomputed.
pub(crate) const RECOMPUTED: &str = "recomputed";

/// A kept value and the form it waits in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stored {
    /// The forward value.
    pub source: ValueId,
    /// What waits: the source itself, or packed words. Of a value that is [recomputed](Stored::is_recomputed) nothing waits.
    pub kept: ValueId,
    /// The name of the form.
    pub form: &'static str,
    /// The rule of the policy that chose the form.
    pub rule: Option<usize>,
    /// What the backward pass reads in its place, where it is decoded.
    pub decoded: Vec<ValueId>,
    /// How it reports what it uses, if its size depends on the data.
    pub data_sized: Option<Rc<dyn DataSized>>,
}

impl Stored {
    pub(crate) fn new(source: ValueId, kept: ValueId, form: &'static str, rule: Option<usize>) -> Self {
        Self { source, kept, form, rule, decoded: Vec::new(), data_sized: None }
    }

    pub(crate) fn recomputed(source: ValueId) -> Self {
        Self::new(source, source, RECOMPUTED, None)
    }

    /// Whether nothing waits, because the value is recomputed in the backward pass.
    pub fn is_recomputed(&self) -> bool {
        self.form == RECOMPUTED
    }
}
