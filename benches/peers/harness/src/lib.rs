//! What the programs of this folder share: the weights and the batch that all start from, and the figures that each prints.
//!
//! A program is called as `PROGRAM NET START STEPS`: a net by name, the file that `frugal bench step --write-start` wrote, and
//! how many steps to measure. It prints one JSON object on a line.

use safetensors::{Dtype, SafeTensors};
use serde_json::json;
use std::time::Instant;

/// Step size of SGD.
pub const LEARNING_RATE: f64 = 0.01;
/// Steps before those that are measured, the first included: some compile and tune in more than one.
const WARM_UP: usize = 3;
/// Momentum of SGD, without dampening.
pub const MOMENTUM: f64 = 0.9;

/// The weights and the batch that all programs start from.
pub struct Start {
    bytes: Vec<u8>,
    /// Which net.
    pub net: String,
    /// Steps to measure.
    pub steps: usize,
    began: Instant,
}

impl Start {
    /// As the command line says.
    pub fn from_arguments() -> Self {
        let began = Instant::now();
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [net, path, steps] = arguments.as_slice() else { panic!("usage: PROGRAM NET START STEPS") };
        let bytes = std::fs::read(path).expect("the start can be read");
        Self { bytes, net: net.clone(), steps: steps.parse().expect("steps are a number"), began }
    }

    /// A tensor of f32, with its extents.
    pub fn floats(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        let (words, extents) = self.words(name, Dtype::F32);
        (words.into_iter().map(f32::from_le_bytes).collect(), extents)
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        SafeTensors::deserialize(&self.bytes).expect("the start is a safetensors file").tensor(name).is_ok()
    }

    /// The class of each sample.
    pub fn labels(&self) -> Vec<u32> {
        self.words("labels", Dtype::U32).0.into_iter().map(u32::from_le_bytes).collect()
    }

    fn words(&self, name: &str, dtype: Dtype) -> (Vec<[u8; 4]>, Vec<usize>) {
        let file = SafeTensors::deserialize(&self.bytes).expect("the start is a safetensors file");
        let tensor = file.tensor(name).unwrap_or_else(|_| panic!("the start has no `{name}`"));
        assert_eq!(tensor.dtype(), dtype, "{name}");
        (tensor.data().as_chunks::<4>().0.to_vec(), tensor.shape().to_vec())
    }

    /// Warms up, measures, and prints the figures. `step` trains once, waits for it, and returns its
    /// loss. The first step's time counts from the start of the program.
    pub fn measure(self, framework: &str, note: &str, mut step: impl FnMut() -> f32) {
        let mut losses = vec![step()];
        let first = self.began.elapsed().as_secs_f64();
        losses.extend((1..WARM_UP).map(|_| step()));
        let mut milliseconds = Vec::new();
        for _ in 0..self.steps {
            let start = Instant::now();
            losses.push(step());
            milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
        }
        milliseconds.sort_by(f64::total_cmp);
        let figures = json!({
            "framework": framework,
            "note": note,
            "net": self.net,
            "steps": self.steps,
            "milliseconds_per_step": {
                "median": milliseconds[milliseconds.len() / 2],
                "least": milliseconds[0],
                "most": milliseconds[milliseconds.len() - 1],
            },
            "first_step_seconds": first,
            "peak_resident_bytes": peak_resident_bytes(),
            "losses": losses,
        });
        println!("{figures}");
    }
}

/// The most memory that this process ever had, where the system says so (Linux).
fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
