//! What can go wrong on the device.

use crate::ir::Element;
use crate::plan::PlanError;
use crate::step::MissingScalar;

/// What went wrong on the device, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// The machine has no adapter that Vulkan, Metal or DX12 reaches.
    #[error(
        "no GPU adapter found.\n\
         Debian, Ubuntu: apt-get install mesa-vulkan-drivers (runs on the CPU; for a real GPU install its maker's driver)\n\
         Fedora: dnf install mesa-vulkan-drivers; Arch: pacman -S vulkan-swrast\n\
         macOS: Metal needs macOS 10.13 or newer; Windows: update the display driver (DX12)\n\
         In a container: pass the GPU through, or install the software driver inside"
    )]
    NoAdapter,
    /// There are adapters, but not the requested one.
    #[error("no adapter matches `{wanted}`; there are:\n{available}")]
    NoSuchAdapter {
        /// What was requested.
        wanted: String,
        /// One adapter a line.
        available: String,
    },
    /// The driver refused to open the adapter.
    #[error("adapter `{adapter}` cannot be opened: {reason}")]
    NoDevice {
        /// Its name.
        adapter: String,
        /// What the driver says.
        reason: String,
    },
    /// f16 is requested, and the adapter's shaders have none.
    #[error("adapter `{adapter}` has no f16 in shaders; it computes in f32 alone")]
    NoF16 {
        /// Its name.
        adapter: String,
    },
    /// Products with f16 operands come out wrong: a defect of the driver or of Frugal.
    #[error("adapter `{adapter}` multiplies f16 wrongly ({what})")]
    SelfTest {
        /// Its name.
        adapter: String,
        /// Which product, and how it came out.
        what: String,
    },
    /// The device has less memory left than the plan needs.
    #[error(
        "adapter `{adapter}` is out of memory: {bytes} bytes were requested; choose a smaller batch or a smaller store"
    )]
    OutOfMemory {
        /// Its name.
        adapter: String,
        /// What was requested.
        bytes: u64,
    },
    /// The device stopped working: driver reset, time-out of a long dispatch, unplugged.
    #[error("the device was lost: {0}")]
    Lost(String),
    /// A shader or a command was refused: a defect of Frugal or of the driver.
    #[error("the device refused a command: {0}")]
    Refused(String),
    /// A shader cannot be expanded or compiled.
    #[error("shader `{shader}`: {reason}")]
    Shader {
        /// Path under `shaders/`, or the name of a shader from elsewhere.
        shader: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Data of the wrong size was given or requested.
    #[error("`{name}` takes {expected} bytes, not {given}")]
    WrongSize {
        /// Which value.
        name: String,
        /// Its bytes.
        expected: u64,
        /// What came.
        given: u64,
    },
    /// An input that the graph does not have.
    #[error("there is no input `{name}`; there are: {known}")]
    NoSuchInput {
        /// What was given.
        name: String,
        /// What there is.
        known: String,
    },
    /// An input that the plan reads was left out.
    #[error("the input `{0}` was not given")]
    NotGiven(String),
    /// Elements of another type were given than the input has.
    #[error("the input `{name}` takes {}, and elements of another type were given", elements(*element))]
    WrongElement {
        /// Which input.
        name: String,
        /// What it takes.
        element: Element,
    },
    /// A scalar that the plan uses was left out.
    #[error(transparent)]
    MissingScalar(#[from] MissingScalar),
    /// A value that the plan does not have.
    #[error("the plan has no persistent value `{0}`")]
    NoSuchValue(String),
    /// The plan is wrong.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// What elements are called.
fn elements(element: Element) -> &'static str {
    match element {
        Element::F32 => "f32 elements",
        Element::U32 => "u32 words",
        Element::U8 => "bytes",
        Element::Bit => "packed bits",
    }
}
