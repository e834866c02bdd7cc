//! The protocol of a step between the host and the kernels.
//!
//! The host uploads a few words before each step ([`CONTROL`]): the number of the step, a seed, flags, and *scalars*, numbers with
//! names that a schedule drives, such as the learning rate. The kernels answer in a few words that live across steps ([`STATUS`]):
//! while the first of them is not zero, nothing that lives across steps moves, so that a step that does not count leaves no trace.
//!
//! Every word and every bit is declared here, and only here: `shaders/parts/step.wgsl`, which kernels include, is written from
//! these declarations ([`wgsl`]).

use super::{Element, Graph, GraphError, Init, Role, ValueId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Name of the input that [`Graph::control`] returns.
pub const CONTROL: &str = "control";
/// Name of the persistent value that [`Graph::status`] returns.
pub const STATUS: &str = "status";
/// Name of the scalar by which optimisers multiply their steps.
pub const LEARNING_RATE: &str = "learning_rate";

/// A number that Rust and WGSL know under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constant {
    /// Its name in both languages.
    pub name: &'static str,
    /// A u32 in both.
    pub value: u32,
    /// What it is.
    pub about: &'static str,
}

/// Declares constants for Rust, and as `CONSTANTS` for WGSL.
macro_rules! constants {
    ($($(#[doc = $about:literal])+ $name:ident = $value:expr;)+) => {
        $($(#[doc = $about])+ pub const $name: u32 = $value;)+
        /// All of them, for [`crate::step::wgsl`].
        pub const CONSTANTS: &[$crate::step::Constant] =
            &[$($crate::step::Constant { name: stringify!($name), value: $value, about: concat!($($about),+) }),+];
    };
}
pub(crate) use constants;

constants! {
    /// Word of the control upload: how many steps have been done before this one.
    CONTROL_STEP = 0;
    /// Word of the control upload: the seed that keys all random numbers, together with the step.
    CONTROL_SEED = 1;
    /// Word of the control upload: the flags.
    CONTROL_FLAGS = 3;
    /// Flag: the step calibrates controllers and sizes, and moves nothing else.
    FLAG_CALIBRATES = 1;
    /// Flag: this is the first micro-batch of an update, so that sums of gradients begin with it.
    FLAG_FIRST = 2;
    /// Flag: more micro-batches follow before the update, so that parameters stay.
    FLAG_HOLD = 4;
    /// The flags hold the number of updates before this step from this bit on, where gradients are summed over micro-batches.
    UPDATES_SHIFT = 8;
    /// Word of the status: bits that keep everything that lives across steps from moving.
    STATUS_STOP = 0;
    /// Word of the status: how many steps were skipped, because a gradient was not finite.
    STATUS_SKIPPED_STEPS = 1;
    /// Stop bit: the loss is not finite.
    STOP_NOT_FINITE = 1;
    /// Stop bit: a data-sized value was larger than its capacity.
    STOP_OVERFLOW = 2;
    /// Stop bit: the host wants the step to be without effect, because it only calibrates.
    STOP_CALIBRATES = 4;
    /// Stop bit: a gradient is not finite, so that the step is skipped. The end of the step takes it back.
    STOP_SKIPPED = 8;
}

/// Words of the status.
pub const STATUS_WORDS: usize = 4;

/// The words of the control upload that are there even without scalars; the one between seed and flags is the first scalar's.
const LEAST_WORDS: usize = 4;
/// The word of the first scalar; the others follow the flags.
const FIRST_SCALAR: usize = 2;

/// How many updates there were before a step, as flags; only needed where gradients are summed over micro-batches.
pub fn updates_before(updates: u32) -> u32 {
    updates << UPDATES_SHIFT
}

/// Declarations as WGSL.
pub fn wgsl(constants: &[Constant]) -> String {
    let line =
        |constant: &Constant| format!("// {}\nconst {} = {}u;\n", constant.about.trim(), constant.name, constant.value);
    constants.iter().map(line).collect()
}

/// A scalar as kernels read it: a word of the control upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The control upload, which a node has to read.
    pub control: ValueId,
    /// The word of it, an f32 as bits. [`crate::ir::Kernel::scalar`] tells a shader.
    pub word: u32,
}

/// Where the control upload of a graph has its scalars.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlLayout {
    scalars: Vec<String>,
}

/// A step was not told a scalar that it uses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the step uses the scalar `{0}`, which was not given")]
pub struct MissingScalar(pub String);

impl ControlLayout {
    /// Names of the scalars that the step uses.
    pub fn scalars(&self) -> &[String] {
        &self.scalars
    }

    /// Words of the upload.
    pub fn words(&self) -> usize {
        LEAST_WORDS.max(LEAST_WORDS - 1 + self.scalars.len())
    }

    fn word(index: usize) -> usize {
        if index == 0 { FIRST_SCALAR } else { LEAST_WORDS - 1 + index }
    }

    /// The words that tell a step this. Scalars that the step does not use are left out: one schedule serves several steps.
    ///
    /// # Errors
    /// [`MissingScalar`] if one that it uses was not given.
    pub fn encode(&self, control: &Control) -> Result<Vec<u32>, MissingScalar> {
        let mut words = vec![0; self.words()];
        words[CONTROL_STEP as usize] = control.step;
        words[CONTROL_SEED as usize] = control.seed;
        words[CONTROL_FLAGS as usize] = control.flags;
        for (index, name) in self.scalars.iter().enumerate() {
            let value = control.get(name).ok_or_else(|| MissingScalar(name.clone()))?;
            words[Self::word(index)] = value.to_bits();
        }
        Ok(words)
    }
}

/// What the host tells a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Control {
    /// Steps done before.
    pub step: u32,
    /// Keys all random numbers, together with the step.
    pub seed: u32,
    /// [`FLAG_CALIBRATES`] and the others.
    pub flags: u32,
    scalars: Vec<(Cow<'static, str>, f32)>,
}

impl Control {
    /// Without flags and scalars.
    pub fn new(step: u32, seed: u32) -> Self {
        Self { step, seed, ..Self::default() }
    }

    /// With flags.
    pub fn flags(self, flags: u32) -> Self {
        Self { flags, ..self }
    }

    /// With a scalar; the last of a name counts.
    pub fn scalar(mut self, name: impl Into<Cow<'static, str>>, value: f32) -> Self {
        self.scalars.push((name.into(), value));
        self
    }

    /// With a learning rate, the scalar of all optimisers.
    pub fn learning_rate(self, rate: f32) -> Self {
        self.scalar(LEARNING_RATE, rate)
    }

    /// The value of a scalar, if it was given.
    pub fn get(&self, name: &str) -> Option<f32> {
        self.scalars.iter().rev().find(|(given, _)| *given == name).map(|(_, value)| *value)
    }
}

impl Graph {
    /// The words that the host writes before each step, those of [`Control`]. Made on first use.
    pub fn control(&mut self) -> ValueId {
        let known = self.ids().find(|(_, v)| v.role == Role::Input && v.name == CONTROL);
        match known {
            Some((id, _)) => id,
            None => self.at_root(|graph| graph.input(CONTROL, [LEAST_WORDS], Element::U32)),
        }
    }

    /// A number that the host gives each step under a name ([`Control::scalar`]). Made on first use; the nodes that read it read
    /// [`Scalar::control`].
    pub fn scalar(&mut self, name: &str) -> Scalar {
        let control = self.control();
        let scalars = &mut self.control_layout.scalars;
        let index = scalars.iter().position(|known| known == name).unwrap_or_else(|| {
            scalars.push(name.to_owned());
            scalars.len() - 1
        });
        let words = self.control_layout.words();
        self.value_mut(control).shape = [words].into();
        Scalar { control, word: ControlLayout::word(index) as u32 }
    }

    /// The persistent words by which the device stops updates, made on first use.
    ///
    /// # Errors
    /// [`GraphError::NameTaken`] if another value has their name.
    pub fn status(&mut self) -> Result<ValueId, GraphError> {
        match self.find(STATUS) {
            Some(status) => Ok(status),
            // Loss and optimisers must find the same one.
            None => self.at_root(|graph| {
                graph.persistent(STATUS, Role::Statistic, [STATUS_WORDS], Element::U32, Init::Constant(0.0))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_scalar_lies_between_seed_and_flags_and_more_follow_them() {
        let mut graph = Graph::new();
        let rate = graph.scalar(LEARNING_RATE);
        assert_eq!((rate.word, graph.shape(rate.control).elements()), (2, 4));
        let temperature = graph.scalar("temperature");
        assert_eq!((temperature.word, graph.shape(rate.control).elements()), (4, 5));
        assert_eq!(graph.scalar(LEARNING_RATE), rate);
        let control = Control::new(7, 8).flags(FLAG_HOLD).scalar("temperature", 0.5).learning_rate(0.1);
        let words = graph.control_layout().encode(&control).unwrap();
        assert_eq!(words, [7, 8, 0.1f32.to_bits(), FLAG_HOLD, 0.5f32.to_bits()]);
    }

    #[test]
    fn a_scalar_that_is_used_must_be_given_and_others_may_be() {
        let mut graph = Graph::new();
        graph.scalar("temperature");
        let control = Control::new(0, 0).learning_rate(0.1);
        let missing = graph.control_layout().encode(&control);
        assert_eq!(missing, Err(MissingScalar("temperature".to_owned())));
        assert!(graph.control_layout().encode(&control.scalar("temperature", 1.0)).is_ok());
    }

    #[test]
    fn wgsl_has_every_constant_with_the_value_that_rust_has() {
        let text = wgsl(CONSTANTS);
        assert_eq!(text.matches("const ").count(), CONSTANTS.len());
        assert!(text.contains("const CONTROL_FLAGS = 3u;\n") && text.contains("const STOP_OVERFLOW = 2u;\n"), "{text}");
    }
}
