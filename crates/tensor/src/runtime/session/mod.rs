//! A session: the buffers, pipelines and bind groups of one or more plans over one set of parameters.
//!
//! Everything is made once. A step fills an upload buffer, records the same dispatches again, and submits once; its
//! metrics come back some steps later, so nothing on the way waits for the host.

mod calibrate;
mod inputs;
mod inspect;
mod memory;
mod recorded;
mod staging;
mod timing;

use super::{Gpu, GpuError};
use crate::ir::{Init, ValueId};
use crate::plan::{Plan, Region};
pub use inputs::Data;
use recorded::Recorded;
use staging::Staging;
use std::collections::VecDeque;
use std::rc::Rc;
pub use timing::{Clock, NodeTimes};

/// What a step reports.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepMetrics {
    /// Which of the session's plans ran.
    pub plan: usize,
    /// Counts the steps of the session from 0.
    pub step: u64,
    /// The plan's metric values, one after the other, as bits.
    pub words: Vec<u32>,
}

impl StepMetrics {
    /// A word as f32.
    pub fn f32(&self, index: usize) -> f32 {
        f32::from_bits(self.words[index])
    }
}

/// A step whose metrics have not been collected yet.
struct InFlight {
    plan: usize,
    step: u64,
    readback: usize,
}

/// Plans over one set of buffers.
pub struct Session {
    gpu: Rc<Gpu>,
    plans: Vec<Plan>,
    recorded: Vec<Vec<Recorded>>,
    persistent: Vec<wgpu::Buffer>,
    transient: Vec<wgpu::Buffer>,
    uploads: Vec<Staging>,
    readbacks: Vec<Staging>,
    upload_turn: usize,
    readback_turn: usize,
    in_flight: VecDeque<InFlight>,
    steps: u64,
    most_bytes: u64,
}

impl Session {
    /// Bytes that the session has allocated.
    pub fn bytes(&self) -> u64 {
        Plan::allocated(&self.plans.iter().collect::<Vec<_>>())
    }

    /// The most that it ever had.
    pub fn most_bytes(&self) -> u64 {
        self.most_bytes
    }

    /// The plans.
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// The device.
    pub fn gpu(&self) -> &Rc<Gpu> {
        &self.gpu
    }

    fn initialise(&self, seed: u64) -> Result<(), GpuError> {
        let graph = &self.plans[0].graph;
        for (stream, (id, value)) in graph.ids().filter(|(_, v)| v.kind.is_persistent()).enumerate() {
            let words: Vec<f32> = match value.init {
                Some(Init::Uniform { bound }) => crate::random::Stream::new(seed, stream as u64)
                    .uniform()
                    .map(|u| (2.0 * u - 1.0) * bound)
                    .take(value.shape.elements())
                    .collect(),
                Some(Init::Constant(constant)) => vec![constant; value.shape.elements()],
                None => continue,
            };
            self.write_at(id, bytemuck::cast_slice(&words))?;
        }
        self.gpu.queue.submit([]);
        self.gpu.wait()
    }

    fn write_at(&self, id: ValueId, bytes: &[u8]) -> Result<(), GpuError> {
        let value = self.plans[0].graph.value(id);
        if bytes.len() as u64 != value.bytes() {
            return Err(GpuError::WrongSize {
                name: value.name.clone(),
                expected: value.bytes(),
                given: bytes.len() as u64,
            });
        }
        if let Some((_, place)) = self.plans[0].place(id) {
            self.gpu.queue.write_buffer(&self.persistent[place.page], place.offset, bytes);
        }
        Ok(())
    }

    fn named(&self, name: &str) -> Result<ValueId, GpuError> {
        let found = self.plans[0].graph.find(name);
        found.ok_or_else(|| GpuError::NoSuchValue(name.to_string()))
    }

    /// Overwrites a persistent value.
    ///
    /// # Errors
    /// [`GpuError::NoSuchValue`], [`GpuError::WrongSize`].
    pub fn write(&self, name: &str, elements: &[f32]) -> Result<(), GpuError> {
        self.write_at(self.named(name)?, bytemuck::cast_slice(elements))?;
        self.gpu.queue.submit([]);
        self.gpu.wait()
    }

    /// Overwrites a persistent value of words.
    ///
    /// # Errors
    /// [`GpuError::NoSuchValue`], [`GpuError::WrongSize`].
    pub fn write_words(&self, name: &str, words: &[u32]) -> Result<(), GpuError> {
        self.write_at(self.named(name)?, bytemuck::cast_slice(words))?;
        self.gpu.queue.submit([]);
        self.gpu.wait()
    }

    /// Reads a persistent value, after everything submitted.
    ///
    /// # Errors
    /// [`GpuError::NoSuchValue`], or what befell the device.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, GpuError> {
        let words = self.read_value(0, self.named(name)?)?;
        Ok(words.into_iter().map(f32::from_bits).collect())
    }

    fn buffer(&self, region: Region, page: usize) -> &wgpu::Buffer {
        match region {
            Region::Persistent => &self.persistent[page],
            Region::Transient => &self.transient[page],
        }
    }

    /// Runs one step: uploads (in the order of [`Plan::uploads`]; [`Session::step_with`] takes them by name), all dispatches,
    /// metrics; one submit. Returns before the device is done, with the metrics of steps that were done meanwhile; collect the
    /// others with [`Session::finished`].
    ///
    /// # Errors
    /// [`GpuError::WrongSize`] for an upload, or what befell the device.
    pub fn step(&mut self, plan: usize, uploads: &[&[u8]]) -> Result<Vec<StepMetrics>, GpuError> {
        let with_metrics = self.plans[plan].readback_bytes() > 0;
        let mut finished = Vec::new();
        if with_metrics && self.in_flight.len() == self.readbacks.len() {
            finished.extend(self.collect_one()?);
        }
        let mut encoder = self.upload(plan, uploads)?;
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for recorded in &self.recorded[plan] {
                recorded.dispatch(&mut pass);
            }
        }
        if with_metrics {
            self.copy_metrics(plan, &mut encoder);
        }
        let submission = self.gpu.queue.submit([encoder.finish()]);
        if with_metrics {
            self.readbacks[self.readback_turn].map(wgpu::MapMode::Read, submission.clone());
            self.in_flight.push_back(InFlight { plan, step: self.steps, readback: self.readback_turn });
            self.readback_turn = (self.readback_turn + 1) % self.readbacks.len();
        }
        self.after_upload(plan, submission);
        self.gpu.poll()?;
        Ok(finished)
    }

    fn copy_metrics(&self, plan: usize, encoder: &mut wgpu::CommandEncoder) {
        let readback = &self.readbacks[self.readback_turn].buffer;
        let mut offset = 0;
        for (region, place) in self.plans[plan].metrics().iter().filter_map(|&id| self.plans[plan].place(id)) {
            let source = self.buffer(region, place.page);
            encoder.copy_buffer_to_buffer(source, place.offset, readback, offset, place.size);
            offset += place.size;
        }
    }

    fn upload(&self, plan: usize, uploads: &[&[u8]]) -> Result<wgpu::CommandEncoder, GpuError> {
        let plan = &self.plans[plan];
        let ids = plan.uploads();
        for (id, bytes) in ids.iter().zip(uploads.iter().map(Some).chain(std::iter::repeat(None))) {
            let value = plan.graph.value(*id);
            let given = bytes.map_or(0, |b| b.len() as u64);
            if given != value.bytes() {
                return Err(GpuError::WrongSize { name: value.name.clone(), expected: value.bytes(), given });
            }
        }
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        if ids.is_empty() {
            return Ok(encoder);
        }
        let staging = &self.uploads[self.upload_turn];
        staging.wait(&self.gpu)?;
        let mut offset = 0;
        {
            let mut view =
                staging.buffer.get_mapped_range_mut(..).map_err(|error| GpuError::Refused(error.to_string()))?;
            for bytes in uploads.iter().take(ids.len()) {
                view.slice(offset..offset + bytes.len()).copy_from_slice(bytes);
                offset += bytes.len();
            }
        }
        staging.buffer.unmap();
        let mut offset = 0;
        for id in ids {
            if let Some((region, place)) = plan.place(*id) {
                let target = self.buffer(region, place.page);
                encoder.copy_buffer_to_buffer(&staging.buffer, offset, target, place.offset, place.size);
                offset += place.size;
            }
        }
        Ok(encoder)
    }

    /// The step is on its way: its upload buffer comes back when it is done, and the next step takes another.
    fn after_upload(&mut self, plan: usize, submission: wgpu::SubmissionIndex) {
        if self.plans[plan].upload_bytes() > 0 {
            self.uploads[self.upload_turn].map(wgpu::MapMode::Write, submission);
            self.upload_turn = (self.upload_turn + 1) % self.uploads.len();
        }
        self.steps += 1;
    }

    fn collect_one(&mut self) -> Result<Option<StepMetrics>, GpuError> {
        let Some(InFlight { plan, step, readback }) = self.in_flight.pop_front() else {
            return Ok(None);
        };
        let readback = &self.readbacks[readback];
        readback.wait(&self.gpu)?;
        let words = readback.take_words(self.plans[plan].readback_bytes())?;
        Ok(Some(StepMetrics { plan, step, words }))
    }

    /// Waits for all steps in flight and returns their metrics.
    ///
    /// # Errors
    /// What befell the device.
    pub fn finished(&mut self) -> Result<Vec<StepMetrics>, GpuError> {
        let mut finished = Vec::new();
        while let Some(metrics) = self.collect_one()? {
            finished.push(metrics);
        }
        self.gpu.wait()?;
        Ok(finished)
    }
}
