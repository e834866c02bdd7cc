//! What a step uploads: arrays of a batch, by the names of the step's inputs.

use bytemuck::cast_slice;
use frugal_data::{Array, Batch, ElementType, Elements};
use frugal_tensor::Plan;
use frugal_tensor::ir::Element;
use frugal_tensor::step::CONTROL;
use std::borrow::Cow;

/// The inputs of a step, in the order of its uploads.
#[derive(Clone, Debug)]
pub(crate) struct Inputs(Vec<(String, Element)>);

impl Inputs {
    /// Of a plan.
    pub fn of(plan: &Plan) -> Self {
        let inputs = plan.uploads().iter().map(|&id| plan.graph.value(id));
        Self(inputs.map(|value| (value.name.clone(), value.element)).collect())
    }

    /// What each is filled with. Narrow elements are widened to those of the input.
    ///
    /// # Panics
    /// If the batch has no array for an input: loaders are checked against the step before the first one.
    pub fn bytes<'a>(&self, batch: &'a Batch, control: &'a [u32]) -> Vec<Cow<'a, [u8]>> {
        let fill = |(name, element): &(String, Element)| match name.as_str() {
            CONTROL => Cow::Borrowed(cast_slice(control)),
            name => {
                let array = batch.array(name).unwrap_or_else(|| panic!("the batch has no array `{name}`"));
                words(array, *element).unwrap_or_else(|| panic!("the array `{name}` has elements of another type"))
            }
        };
        self.0.iter().map(fill).collect()
    }
}

/// Whether elements of an array can become those of an input: see [`words`].
pub(crate) fn can_become(array: ElementType, input: Element) -> bool {
    match input {
        Element::F32 => true,
        Element::U32 => matches!(array, ElementType::U8 | ElementType::U32),
        Element::U8 => array == ElementType::U8,
        _ => false,
    }
}

/// An array as the device takes it; `None` if its elements cannot become such.
fn words(array: &Array, element: Element) -> Option<Cow<'_, [u8]>> {
    fn bytes<T: bytemuck::Pod>(values: Cow<'_, [T]>) -> Cow<'_, [u8]> {
        match values {
            Cow::Borrowed(values) => Cow::Borrowed(cast_slice(values)),
            Cow::Owned(values) => Cow::Owned(cast_slice(&values).to_vec()),
        }
    }
    match element {
        Element::F32 => Some(bytes(array.as_f32())),
        Element::U32 => array.as_u32().map(bytes),
        Element::U8 => matches!(array.elements, Elements::U8(_)).then(|| Cow::Borrowed(array.bytes())),
        _ => None,
    }
}

/// As [`frugal_tensor::Session::step`] takes them.
pub(crate) fn slices<'a>(uploads: &'a [Cow<'_, [u8]>]) -> Vec<&'a [u8]> {
    uploads.iter().map(Cow::as_ref).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_arrays_are_widened_and_wide_ones_are_not_copied() {
        let array = |elements| Array { name: "x", elements };
        let bytes = array(Elements::U8(vec![3, 200]));
        assert_eq!(words(&bytes, Element::F32).unwrap(), cast_slice::<f32, u8>(&[3.0, 200.0]));
        assert_eq!(words(&bytes, Element::U32).unwrap(), cast_slice::<u32, u8>(&[3, 200]));
        let floats = array(Elements::F32(vec![0.5]));
        assert!(matches!(words(&floats, Element::F32), Some(Cow::Borrowed(_))));
        assert!(words(&floats, Element::U32).is_none());
        // Bytes stay bytes, and nothing else becomes such.
        assert!(matches!(words(&bytes, Element::U8), Some(Cow::Borrowed([3, 200]))));
        assert!(words(&floats, Element::U8).is_none());
        for (array, element) in [(&bytes, ElementType::U8), (&floats, ElementType::F32)] {
            for input in [Element::F32, Element::U32, Element::U8] {
                assert_eq!(can_become(element, input), words(array, input).is_some());
            }
        }
    }
}
