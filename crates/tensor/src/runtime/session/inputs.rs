//! Steps whose inputs are given by name.

use super::{Session, StepMetrics};
use crate::ir::Element;
use crate::runtime::GpuError;
use crate::step::Control;

/// What an input is filled with.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Data<'a> {
    /// Elements of an input of [`Element::F32`].
    Elements(&'a [f32]),
    /// Words of an input of [`Element::U32`].
    Words(&'a [u32]),
    /// Bytes of an input of [`Element::U8`].
    Bytes(&'a [u8]),
    /// What the step is told ([`crate::step::CONTROL`]).
    Control(&'a Control),
}

impl Data<'_> {
    fn element(self) -> Element {
        match self {
            Data::Elements(_) => Element::F32,
            Data::Words(_) | Data::Control(_) => Element::U32,
            Data::Bytes(_) => Element::U8,
        }
    }
}

impl<'a> From<&'a [f32]> for Data<'a> {
    fn from(elements: &'a [f32]) -> Self {
        Data::Elements(elements)
    }
}

impl<'a> From<&'a Vec<f32>> for Data<'a> {
    fn from(elements: &'a Vec<f32>) -> Self {
        Data::Elements(elements)
    }
}

impl<'a> From<&'a [u32]> for Data<'a> {
    fn from(words: &'a [u32]) -> Self {
        Data::Words(words)
    }
}

impl<'a> From<&'a Vec<u32>> for Data<'a> {
    fn from(words: &'a Vec<u32>) -> Self {
        Data::Words(words)
    }
}

impl<'a, const N: usize> From<&'a [u32; N]> for Data<'a> {
    fn from(words: &'a [u32; N]) -> Self {
        Data::Words(words)
    }
}

impl<'a> From<&'a [u8]> for Data<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Data::Bytes(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Data<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Data::Bytes(bytes)
    }
}

impl<'a> From<&'a Control> for Data<'a> {
    fn from(control: &'a Control) -> Self {
        Data::Control(control)
    }
}

impl Session {
    /// As [`Session::step`], with each input under its name, in any order. What the graph has and the step does not use (the
    /// control words, where nothing draws random numbers or trains) may be given or left out.
    ///
    /// # Errors
    /// [`GpuError::NoSuchInput`], [`GpuError::NotGiven`], [`GpuError::WrongElement`], [`GpuError::MissingScalar`], and those of [`Session::step`].
    pub fn step_with(&mut self, executable: usize, inputs: &[(&str, Data<'_>)]) -> Result<Vec<StepMetrics>, GpuError> {
        let table = self.executables[executable].clone();
        let known = || table.values.iter().filter(|value| value.is_input).map(|value| value.name.as_str());
        if let Some((name, _)) = inputs.iter().find(|(name, _)| known().all(|known| known != *name)) {
            let known = known().collect::<Vec<_>>().join(", ");
            return Err(GpuError::NoSuchInput { name: name.to_string(), known });
        }
        let told =
            inputs.iter().find_map(|(_, data)| if let Data::Control(control) = data { Some(*control) } else { None });
        let control = told.map(|control| table.control.encode(control)).transpose()?.unwrap_or_default();
        let mut uploads: Vec<&[u8]> = Vec::new();
        for &id in &table.uploads {
            let value = table.value(id);
            let given = inputs.iter().find(|(name, _)| *name == value.name);
            let (_, data) = given.ok_or_else(|| GpuError::NotGiven(value.name.clone()))?;
            if data.element() != value.element {
                return Err(GpuError::WrongElement { name: value.name.clone(), element: value.element });
            }
            uploads.push(match data {
                Data::Elements(elements) => bytemuck::cast_slice(elements),
                Data::Words(words) => bytemuck::cast_slice(words),
                Data::Bytes(bytes) => bytes,
                Data::Control(_) => bytemuck::cast_slice(&control),
            });
        }
        self.step(executable, &uploads)
    }
}
