//! Named arrays: what a batch is made of, and what a step uploads.

use std::borrow::Cow;

use half::f16;

/// Name of the array of images, C×H×W a sample: bytes, or normalised floats ([`Pixels`](crate::Pixels)).
pub const IMAGES: &str = "images";
/// Name of the array of labels: a number a sample.
pub const LABELS: &str = "labels";
/// Name of the array of what is to be made of each sample, where that is no label: floats; of images floats from 0 to 1, or bytes.
pub const TARGETS: &str = "targets";
/// Name of the array of weights: 1 for a sample, 0 for a row that only pads the batch.
pub const MASK: &str = "mask";
/// Name of the array of a table's numbers: a standardised float for each column.
pub const NUMBERS: &str = "numbers";
/// Name of the array of a table's categories: for each column a row of its embedding.
pub const CATEGORIES: &str = "categories";

/// The type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Floating point, 16 bits.
    F16,
    /// Floating point, 32 bits.
    F32,
    /// Unsigned, 32 bits.
    U32,
}

/// What an array of a batch looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArraySpec {
    /// Its name.
    pub name: &'static str,
    /// The type of its elements.
    pub element: ElementType,
    /// The extents of one sample, outermost first; none for a number a sample.
    pub extents: Vec<usize>,
}

impl ArraySpec {
    /// An array.
    pub fn new(name: &'static str, element: ElementType, extents: impl Into<Vec<usize>>) -> ArraySpec {
        ArraySpec { name, element, extents: extents.into() }
    }

    /// Elements of one sample; `None` if they are more than can be counted.
    pub fn sample_len(&self) -> Option<usize> {
        self.extents.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent))
    }
}

/// The elements of an array.
#[derive(Debug, Clone, PartialEq)]
pub enum Elements {
    /// Bytes.
    U8(Vec<u8>),
    /// Signed bytes.
    I8(Vec<i8>),
    /// Halves.
    F16(Vec<f16>),
    /// Floats.
    F32(Vec<f32>),
    /// Words.
    U32(Vec<u32>),
}

/// Does the same to the vector of any type.
macro_rules! each {
    ($elements:expr, $values:ident => $do:expr) => {
        match $elements {
            Elements::U8($values) => $do,
            Elements::I8($values) => $do,
            Elements::F16($values) => $do,
            Elements::F32($values) => $do,
            Elements::U32($values) => $do,
        }
    };
}

/// An array of a batch, sample by sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Its name.
    pub name: &'static str,
    /// Its elements, the samples outermost.
    pub elements: Elements,
}

impl Array {
    /// An array without samples, with room for `rows` of them; `None` if there is not that much memory.
    pub fn with_capacity(spec: &ArraySpec, rows: usize) -> Option<Array> {
        let mut elements = match spec.element {
            ElementType::U8 => Elements::U8(Vec::new()),
            ElementType::I8 => Elements::I8(Vec::new()),
            ElementType::F16 => Elements::F16(Vec::new()),
            ElementType::F32 => Elements::F32(Vec::new()),
            ElementType::U32 => Elements::U32(Vec::new()),
        };
        let count = spec.sample_len()?.checked_mul(rows)?;
        each!(&mut elements, values => values.try_reserve_exact(count).ok()?);
        Some(Array { name: spec.name, elements })
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        each!(&self.elements, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes, as they are in memory.
    pub fn bytes(&self) -> &[u8] {
        each!(&self.elements, values => bytemuck::cast_slice(values))
    }

    /// Its elements as floats: as they are, or widened. A step whose input holds floats takes them from any array.
    pub fn as_f32(&self) -> Cow<'_, [f32]> {
        match &self.elements {
            Elements::F32(values) => Cow::Borrowed(values),
            Elements::U8(values) => values.iter().map(|&value| f32::from(value)).collect(),
            Elements::I8(values) => values.iter().map(|&value| f32::from(value)).collect(),
            Elements::F16(values) => values.iter().map(|&value| f32::from(value)).collect(),
            Elements::U32(values) => values.iter().map(|&value| value as f32).collect(),
        }
    }

    /// Its elements as words: as they are, or widened; `None` of signed and of floating-point numbers.
    pub fn as_u32(&self) -> Option<Cow<'_, [u32]>> {
        match &self.elements {
            Elements::U32(values) => Some(Cow::Borrowed(values)),
            Elements::U8(values) => Some(values.iter().map(|&value| u32::from(value)).collect()),
            _ => None,
        }
    }

    /// The floats.
    ///
    /// # Panics
    /// If its elements are of another type: that of an array follows from its source.
    pub fn f32s(&mut self) -> &mut Vec<f32> {
        match &mut self.elements {
            Elements::F32(values) => values,
            _ => panic!("the array `{}` holds no floats", self.name),
        }
    }

    /// The bytes.
    ///
    /// # Panics
    /// If its elements are of another type: that of an array follows from its source.
    pub fn u8s(&mut self) -> &mut Vec<u8> {
        match &mut self.elements {
            Elements::U8(values) => values,
            _ => panic!("the array `{}` holds no bytes", self.name),
        }
    }

    /// The words.
    ///
    /// # Panics
    /// If its elements are of another type: that of an array follows from its source.
    pub fn u32s(&mut self) -> &mut Vec<u32> {
        match &mut self.elements {
            Elements::U32(values) => values,
            _ => panic!("the array `{}` holds no words", self.name),
        }
    }

    /// Removes all elements and keeps their memory.
    pub(crate) fn clear(&mut self) {
        each!(&mut self.elements, values => values.clear());
    }

    /// Appends row `row` of `len` elements once more.
    pub(crate) fn repeat(&mut self, row: usize, len: usize) {
        each!(&mut self.elements, values => values.extend_from_within(row * len..(row + 1) * len));
    }
}

/// Some samples, in the order in which they are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// Their numbers.
    pub samples: &'a [u32],
    /// The epoch that they are read for: together with a sample's number it keys what chance does to it.
    pub epoch: u64,
    /// Which batch of the epoch they are, from 0.
    pub batch: usize,
}

/// Samples as named arrays, read some at a time, so that a set need not fit into memory.
///
/// Worker threads read chunks when their batch is due, in any order and again in each epoch. The same chunk must always give the
/// same elements.
pub trait ArraySource: std::fmt::Debug + Send + Sync {
    /// How many samples there are.
    fn samples(&self) -> usize;

    /// What arrays they consist of, [`MASK`] aside, which the loader makes.
    fn arrays(&self) -> &[ArraySpec];

    /// Appends these samples, one after the other, to the arrays, which stand in the order of [`arrays`](ArraySource::arrays).
    ///
    /// # Errors
    /// Whatever keeps a sample from being read; it stands in the place of its batch.
    fn read(&self, chunk: Chunk<'_>, arrays: &mut [Array]) -> Result<(), crate::DataError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_elements_are_widened_to_what_a_step_takes() {
        let array = |elements| Array { name: "x", elements };
        let bytes = array(Elements::U8(vec![0, 255]));
        assert_eq!((bytes.as_f32().as_ref(), bytes.as_u32().unwrap().as_ref()), (&[0.0, 255.0][..], &[0, 255][..]));
        assert_eq!(bytes.bytes(), [0, 255]);
        let signed = array(Elements::I8(vec![-128, 127]));
        assert_eq!((signed.as_f32().as_ref(), signed.as_u32()), (&[-128.0, 127.0][..], None));
        let halves = array(Elements::F16(vec![f16::from_f32(0.5)]));
        assert_eq!((halves.as_f32().as_ref(), halves.as_u32()), (&[0.5][..], None));
        assert_eq!(halves.bytes().len(), 2);
        // What is wide already is not copied.
        let floats = array(Elements::F32(vec![1.5]));
        assert!(matches!(floats.as_f32(), Cow::Borrowed(_)) && floats.as_u32().is_none());
        let words = array(Elements::U32(vec![7]));
        assert!(matches!(words.as_u32(), Some(Cow::Borrowed(_))));
    }

    #[test]
    fn arrays_of_any_rank_have_room_for_their_samples() {
        let spec = ArraySpec::new("field", ElementType::F16, [2, 3, 4, 5]);
        assert_eq!(spec.sample_len(), Some(120));
        assert!(Array::with_capacity(&spec, 10).unwrap().is_empty());
        assert_eq!(ArraySpec::new("number", ElementType::U8, []).sample_len(), Some(1));
        assert!(Array::with_capacity(&spec, usize::MAX).is_none());
        assert_eq!(ArraySpec::new("huge", ElementType::U8, [usize::MAX, 2]).sample_len(), None);
    }
}
