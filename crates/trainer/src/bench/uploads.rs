//! What a step under measurement is fed.

use frugal_model::MASK;
use frugal_tensor::Plan;
use frugal_tensor::ir::Element;
use frugal_tensor::random::Stream;
use frugal_tensor::step::{CONTROL, CONTROL_FLAGS, Control, FLAG_CALIBRATES};

/// Step size of all measured steps.
pub const LEARNING_RATE: f32 = 0.01;
/// Steps done before, as far as codecs and optimisers can tell: those that learn have settled by then.
const STEPS_BEFORE: u32 = 1001;

/// The uploads of a plan: random numbers in [0, 1), random bytes, labels in turn, every sample counts.
#[derive(Clone, Debug)]
pub struct Uploads {
    words: Vec<Vec<u32>>,
    /// Bytes of each, without what fills the last word.
    bytes: Vec<usize>,
    control: Option<usize>,
}

impl Uploads {
    /// For a plan whose labels are below `classes`.
    pub fn of(plan: &Plan, classes: usize) -> Self {
        let uploads = plan.uploads().iter().map(|&id| plan.graph.value(id));
        let words = |value: &frugal_tensor::ir::Value| {
            let control = Control::new(STEPS_BEFORE, 0).learning_rate(LEARNING_RATE);
            let elements = value.shape.elements();
            match (value.name.as_str(), value.element) {
                (CONTROL, _) => {
                    plan.graph.control_layout().encode(&control).expect("measured steps have one scalar at most")
                }
                (MASK, _) => vec![1f32.to_bits(); elements],
                (_, Element::U32) => (0..elements).map(|n| (n % classes) as u32).collect(),
                (_, Element::U8) => {
                    let byte = |number: f32| (256.0 * number) as u8;
                    let bytes: Vec<u8> = Stream::new(0, 0).uniform().map(byte).take(4 * value.words()).collect();
                    bytemuck::pod_collect_to_vec(&bytes)
                }
                _ => Stream::new(0, 0).uniform().take(elements).map(f32::to_bits).collect(),
            }
        };
        let control = plan.uploads().iter().position(|&id| plan.graph.value(id).name == CONTROL);
        let bytes = plan.uploads().iter().map(|&id| plan.executable.value(id).given_bytes() as usize);
        Self { words: uploads.map(words).collect(), bytes: bytes.collect(), control }
    }

    /// The same for a step that only looks ([`frugal_tensor::PlannedSession::calibrate`]).
    pub fn looking(mut self) -> Self {
        if let Some(control) = self.control {
            self.words[control][CONTROL_FLAGS as usize] |= FLAG_CALIBRATES;
        }
        self
    }

    /// In the order of the plan's uploads.
    pub fn bytes(&self) -> Vec<&[u8]> {
        self.words.iter().zip(&self.bytes).map(|(words, &bytes)| &bytemuck::cast_slice(words)[..bytes]).collect()
    }
}
