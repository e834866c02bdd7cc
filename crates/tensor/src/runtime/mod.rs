//! Adapters, the device, shaders, and the session that replays a plan.
//!
//! One thread polls and submits: [`Gpu`] and [`Session`] are not `Sync`, because drivers and wgpu itself race otherwise.

mod adapter;
mod error;
mod pipelines;
mod planned;
mod self_test;
mod session;
pub mod shader;

pub use adapter::Adapter;
pub use error::GpuError;
pub use planned::PlannedSession;
pub use session::{Clock, Data, Exchange, Loopback, NodeTimes, Session, StepMetrics, StepTrace, TraceEvent};

use crate::ir::{Operands, Precision, TileTable};
use crate::plan::PlanOptions;
use pipelines::Pipelines;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// How a device is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct GpuOptions {
    /// What steps hold activations in, and multiply.
    pub precision: Precision,
    /// Whether all shaders check array bounds and end every loop: what a defect in one reads or writes stays within its values.
    /// Otherwise only shaders from outside this crate do, unless `FRUGAL_CHECKED` is set.
    pub checked: bool,
}

/// An open device.
pub struct Gpu {
    adapter: Adapter,
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pipelines: Pipelines,
    failure: Arc<Mutex<Option<Failure>>>,
    /// What products multiply.
    operands: Operands,
    tiles: RefCell<Option<Rc<TileTable>>>,
    one_thread: PhantomData<*const ()>,
}

enum Failure {
    Lost(String),
    OutOfMemory,
    Refused(String),
}

impl Gpu {
    /// Opens the adapter that `wish` names, see [`Adapter::choose`], to compute in f32.
    ///
    /// # Errors
    /// [`GpuError::NoAdapter`], [`GpuError::NoSuchAdapter`], [`GpuError::NoDevice`].
    pub fn open(wish: Option<&str>) -> Result<Rc<Gpu>, GpuError> {
        Self::open_with(wish, GpuOptions::default())
    }

    /// Opens it in another way. To compute in f16, a few products have to come out right first.
    ///
    /// # Errors
    /// As [`Gpu::open`], [`GpuError::NoF16`], [`GpuError::SelfTest`], or a failure of the device.
    pub fn open_with(wish: Option<&str>, options: GpuOptions) -> Result<Rc<Gpu>, GpuError> {
        let adapter = Adapter::choose(wish)?;
        let operands = adapter.operands(options.precision)?;
        let checked = options.checked || std::env::var_os("FRUGAL_CHECKED").is_some();
        let gpu = Rc::new(Self::open_for(operands, adapter, checked)?);
        if operands != Operands::F32 {
            self_test::run(&gpu)?;
        }
        Ok(gpu)
    }

    fn open_for(operands: Operands, adapter: Adapter, checked: bool) -> Result<Gpu, GpuError> {
        let (device, queue) = pollster::block_on(adapter.handle.request_device(&wgpu::DeviceDescriptor {
            label: Some("frugal"),
            required_features: adapter.wanted_features(operands),
            required_limits: adapter.limits(),
            experimental_features: experiments(operands),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        }))
        .map_err(|error| GpuError::NoDevice { adapter: adapter.info.name.clone(), reason: error.to_string() })?;
        let failure: Arc<Mutex<Option<Failure>>> = Arc::default();
        let first = |slot: &Arc<Mutex<Option<Failure>>>, what: Failure| {
            let mut slot = slot.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            slot.get_or_insert(what);
        };
        let slot = failure.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            let what = match error {
                wgpu::Error::OutOfMemory { .. } => Failure::OutOfMemory,
                other => Failure::Refused(other.to_string()),
            };
            first(&slot, what);
        }));
        let slot = failure.clone();
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                first(&slot, Failure::Lost(message));
            }
        });
        let pipelines = Pipelines::new(&device, checked);
        let tiles = RefCell::default();
        let gpu = Gpu { adapter, device, queue, pipelines, failure, operands, tiles, one_thread: PhantomData };
        // wgpu uploads a few words of its own when it opens a device: let them go, so that the byte count starts clean.
        gpu.queue.submit([]);
        gpu.wait()?;
        Ok(gpu)
    }

    /// The adapter it runs on.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// What a plan has to know of it.
    pub fn plan_options(&self) -> PlanOptions {
        PlanOptions { tiles: self.tiles(), operands: self.operands, ..self.adapter.plan_options() }
    }

    /// Puts what was measured on this adapter in front of the operators' rules, in all plans from now on.
    pub fn set_tiles(&self, tiles: Option<Rc<TileTable>>) {
        *self.tiles.borrow_mut() = tiles;
    }

    /// What was measured on this adapter.
    pub fn tiles(&self) -> Option<Rc<TileTable>> {
        self.tiles.borrow().clone()
    }

    /// Bytes of all buffers alive on the device, by wgpu's own count.
    pub fn buffer_bytes(&self) -> u64 {
        self.device.get_internal_counters().hal.buffer_memory.read() as u64
    }

    /// The first failure since the last check, as an error; `bytes` is what was requested last.
    pub(crate) fn check(&self, bytes: u64) -> Result<(), GpuError> {
        let failure = self.failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        match failure {
            None => Ok(()),
            Some(Failure::Lost(reason)) => Err(GpuError::Lost(reason)),
            Some(Failure::Refused(reason)) => Err(GpuError::Refused(reason)),
            Some(Failure::OutOfMemory) => Err(GpuError::OutOfMemory { adapter: self.adapter.info.name.clone(), bytes }),
        }
    }

    /// Waits until the device has done everything that was submitted.
    pub(crate) fn wait(&self) -> Result<(), GpuError> {
        self.wait_for(None)
    }

    /// Waits until the device has done this submission and those before it, or everything.
    pub(crate) fn wait_for(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<(), GpuError> {
        let polled = self.device.poll(wgpu::PollType::Wait { submission_index: submission, timeout: None });
        self.check(0)?;
        polled.map(|_| ()).map_err(|error| GpuError::Lost(error.to_string()))
    }

    /// Lets callbacks of finished work run, without waiting.
    pub(crate) fn poll(&self) -> Result<(), GpuError> {
        let polled = self.device.poll(wgpu::PollType::Poll);
        self.check(0)?;
        polled.map(|_| ()).map_err(|error| GpuError::Lost(error.to_string()))
    }
}

/// Leave to use what wgpu calls experimental: cooperative matrices, and only where they are used.
#[allow(unsafe_code)]
fn experiments(operands: Operands) -> wgpu::ExperimentalFeatures {
    match operands {
        Operands::F32 | Operands::F16Tiles => wgpu::ExperimentalFeatures::disabled(),
        // SAFETY: what is asked of them is what wgpu asks of whoever uses them: the shaders load and store whole matrices within
        // their workgroup memory, all invocations of a subgroup together, in a form that the adapter lists.
        Operands::F16Matrices { .. } => unsafe { wgpu::ExperimentalFeatures::enabled() },
    }
}
