//! A session: the buffers, pipelines and bind groups of executables over one store.
//!
//! It knows tables of plain data ([`Executable`]) and nothing of graphs, codecs, losses or optimisers. Everything is made once. A step fills an upload buffer, records the same dispatches again, and submits once; its
//! metrics come back some steps later, so nothing on the way waits for the host.

mod exchange;
mod inputs;
mod inspect;
mod memory;
mod recorded;
mod staging;
mod timing;

use super::{Gpu, GpuError};
use crate::ir::step::{STATUS, STATUS_STOP};
use crate::ir::{Init, ValueId};
use crate::plan::{Executable, Location, Place, StoreLayout, StoredValue};
use exchange::BucketBuffers;
pub use exchange::{Exchange, Loopback, StepTrace, TraceEvent};
pub use inputs::Data;
use recorded::Recorded;
use staging::Staging;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
pub use timing::{Clock, NodeTimes};

/// Bytes that go to or from a value that lives across steps at once: large ones need no copy of their size.
const CHUNK: u64 = 64 << 20;

/// What a step reports.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepMetrics {
    /// Which of the session's executables ran.
    pub executable: usize,
    /// Counts the steps of the session from 0.
    pub step: u64,
    /// The values that are read back, one after the other, as bits.
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
    executable: usize,
    step: u64,
    readback: usize,
}

/// Executables over one store.
pub struct Session {
    gpu: Rc<Gpu>,
    store: StoreLayout,
    executables: Vec<Rc<Executable>>,
    /// Where each value of each executable lies that lives across steps.
    stored: Vec<HashMap<ValueId, Place>>,
    recorded: Vec<Vec<Recorded>>,
    persistent: Vec<wgpu::Buffer>,
    transient: Vec<wgpu::Buffer>,
    /// For each executable, the buffers of its buckets.
    buckets: Vec<Vec<BucketBuffers>>,
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
        self.store.bytes()
            + Executable::bytes_beside_store(&self.executables.iter().map(Rc::as_ref).collect::<Vec<_>>())
    }

    /// The most that it ever had.
    pub fn most_bytes(&self) -> u64 {
        self.most_bytes
    }

    /// What runs.
    pub fn executables(&self) -> &[Rc<Executable>] {
        &self.executables
    }

    /// What lives across steps.
    pub fn store(&self) -> &StoreLayout {
        &self.store
    }

    /// The device.
    pub fn gpu(&self) -> &Rc<Gpu> {
        &self.gpu
    }

    fn initialise(&self, seed: u64) -> Result<(), GpuError> {
        for value in &self.store.values {
            let words = value.place.size as usize / 4;
            match &value.init {
                Init::Words(words) => self.write_at(value, bytemuck::cast_slice(words))?,
                Init::Uniform { bound } => {
                    let numbers = crate::random::Stream::named(seed, &value.name).uniform();
                    self.write_numbers(value, words, numbers.map(|u| (2.0 * u - 1.0) * bound))?;
                }
                Init::Constant(constant) => self.write_numbers(value, words, std::iter::repeat(*constant))?,
            }
        }
        self.gpu.queue.submit([]);
        self.gpu.wait()
    }

    /// Writes so many numbers to a value, as many at once as the host need hold.
    fn write_numbers(
        &self,
        value: &StoredValue,
        count: usize,
        mut numbers: impl Iterator<Item = f32>,
    ) -> Result<(), GpuError> {
        let mut chunk: Vec<f32> = Vec::new();
        for first in (0..count).step_by(CHUNK as usize / 4) {
            chunk.clear();
            chunk.extend(numbers.by_ref().take((count - first).min(CHUNK as usize / 4)));
            self.write_chunk(value, 4 * first as u64, bytemuck::cast_slice(&chunk))?;
        }
        Ok(())
    }

    fn write_at(&self, value: &StoredValue, bytes: &[u8]) -> Result<(), GpuError> {
        let (expected, given) = (value.place.size, bytes.len() as u64);
        if given != expected {
            return Err(GpuError::WrongSize { name: value.name.clone(), expected, given });
        }
        for (chunk, first) in bytes.chunks(CHUNK as usize).zip((0..).step_by(CHUNK as usize)) {
            self.write_chunk(value, first, chunk)?;
        }
        Ok(())
    }

    /// Writes bytes of a value from one on. Between two full chunks the device takes what the first brought, so that the copies on
    /// their way stay few.
    fn write_chunk(&self, value: &StoredValue, first: u64, bytes: &[u8]) -> Result<(), GpuError> {
        self.gpu.queue.write_buffer(&self.persistent[value.place.page], value.place.offset + first, bytes);
        if bytes.len() as u64 == CHUNK {
            self.gpu.queue.submit([]);
            self.gpu.wait()?;
        }
        Ok(())
    }

    fn named(&self, name: &str) -> Result<&StoredValue, GpuError> {
        self.store.find(name).ok_or_else(|| GpuError::NoSuchValue(name.to_string()))
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
    /// [`GpuError::NoSuchValue`], or a failure of the device.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, GpuError> {
        Ok(self.read_words(name)?.into_iter().map(f32::from_bits).collect())
    }

    /// As [`Session::read`], as words.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub fn read_words(&self, name: &str) -> Result<Vec<u32>, GpuError> {
        let place = self.named(name)?.place;
        self.read_place(&self.persistent[place.page], place)
    }

    /// Lets steps move what lives across steps again, after one that stopped all updates ([`crate::Graph::status`]).
    ///
    /// # Errors
    /// [`GpuError::NoSuchValue`] if nothing could stop them, or a failure of the device.
    pub fn resume_updates(&self) -> Result<(), GpuError> {
        self.set_stop(0)
    }

    /// Sets the bits that stop updates; the other words of the status stay.
    pub(in crate::runtime) fn set_stop(&self, bits: u32) -> Result<(), GpuError> {
        let mut words = self.read_words(STATUS)?;
        words[STATUS_STOP as usize] = bits;
        self.write_words(STATUS, &words)
    }

    /// The buffer in which a value of an executable lies, and where.
    fn place(&self, executable: usize, id: ValueId) -> Option<(&wgpu::Buffer, Place)> {
        let value = self.executables[executable].value(id);
        match value.location? {
            Location::Stored(owner) => {
                let place = self.stored[executable][&owner];
                Some((&self.persistent[place.page], Place { size: value.bytes, ..place }))
            }
            Location::Transient(place) => Some((&self.transient[place.page], place)),
        }
    }

    /// Runs one step: uploads (in the order of [`Executable::uploads`]; [`Session::step_with`] takes them by name), all dispatches,
    /// metrics; one submit. Returns before the device is done, with the metrics of steps that were done meanwhile; collect the
    /// others with [`Session::finished`].
    ///
    /// # Errors
    /// [`GpuError::WrongSize`] for an upload, or a failure of the device.
    pub fn step(&mut self, executable: usize, uploads: &[&[u8]]) -> Result<Vec<StepMetrics>, GpuError> {
        let finished = self.make_way(executable)?;
        let mut encoder = self.upload(executable, uploads)?;
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for recorded in &self.recorded[executable] {
                recorded.dispatch(&mut pass);
            }
        }
        self.submit_last(executable, encoder)?;
        Ok(finished)
    }

    /// Collects metrics until a step has a buffer for its own.
    fn make_way(&mut self, executable: usize) -> Result<Vec<StepMetrics>, GpuError> {
        let with_metrics = self.executables[executable].readback_bytes() > 0;
        let full = with_metrics && self.in_flight.len() == self.readbacks.len();
        Ok(if full { self.collect_one()? } else { None }.into_iter().collect())
    }

    /// Submits the end of a step, and says which submission that was: its metrics are read back, its upload buffer comes back.
    fn submit_last(
        &mut self,
        executable: usize,
        mut encoder: wgpu::CommandEncoder,
    ) -> Result<wgpu::SubmissionIndex, GpuError> {
        let with_metrics = self.executables[executable].readback_bytes() > 0;
        if with_metrics {
            self.copy_metrics(executable, &mut encoder);
        }
        let submission = self.gpu.queue.submit([encoder.finish()]);
        if with_metrics {
            self.readbacks[self.readback_turn].map(wgpu::MapMode::Read, submission.clone());
            self.in_flight.push_back(InFlight { executable, step: self.steps, readback: self.readback_turn });
            self.readback_turn = (self.readback_turn + 1) % self.readbacks.len();
        }
        self.after_upload(executable, submission.clone());
        self.gpu.poll()?;
        Ok(submission)
    }

    fn copy_metrics(&self, executable: usize, encoder: &mut wgpu::CommandEncoder) {
        let readback = &self.readbacks[self.readback_turn].buffer;
        let mut offset = 0;
        for &id in &self.executables[executable].read_backs {
            let Some((source, place)) = self.place(executable, id) else { continue };
            encoder.copy_buffer_to_buffer(source, place.offset, readback, offset, place.size);
            offset += place.size;
        }
    }

    fn upload(&self, executable: usize, uploads: &[&[u8]]) -> Result<wgpu::CommandEncoder, GpuError> {
        let ids = &self.executables[executable].uploads;
        for (id, bytes) in ids.iter().zip(uploads.iter().map(Some).chain(std::iter::repeat(None))) {
            let value = self.executables[executable].value(*id);
            let (expected, given) = (value.given_bytes(), bytes.map_or(0, |b| b.len() as u64));
            if given != expected {
                return Err(GpuError::WrongSize { name: value.name.clone(), expected, given });
            }
        }
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        if ids.is_empty() {
            return Ok(encoder);
        }
        let staging = &self.uploads[self.upload_turn];
        staging.wait(&self.gpu)?;
        staging.fill(uploads.iter().take(ids.len()).copied())?;
        let mut offset = 0;
        for &id in ids {
            if let Some((target, place)) = self.place(executable, id) {
                encoder.copy_buffer_to_buffer(&staging.buffer, offset, target, place.offset, place.size);
                offset += place.size;
            }
        }
        Ok(encoder)
    }

    /// The step is on its way: its upload buffer comes back when it is done, and the next step takes another.
    fn after_upload(&mut self, executable: usize, submission: wgpu::SubmissionIndex) {
        if self.executables[executable].upload_bytes() > 0 {
            self.uploads[self.upload_turn].map(wgpu::MapMode::Write, submission);
            self.upload_turn = (self.upload_turn + 1) % self.uploads.len();
        }
        self.steps += 1;
    }

    fn collect_one(&mut self) -> Result<Option<StepMetrics>, GpuError> {
        let Some(InFlight { executable, step, readback }) = self.in_flight.pop_front() else {
            return Ok(None);
        };
        let readback = &self.readbacks[readback];
        readback.wait(&self.gpu)?;
        let words = readback.take_words(self.executables[executable].readback_bytes())?;
        Ok(Some(StepMetrics { executable, step, words }))
    }

    /// Waits for all steps in flight and returns their metrics.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn finished(&mut self) -> Result<Vec<StepMetrics>, GpuError> {
        let mut finished = Vec::new();
        while let Some(metrics) = self.collect_one()? {
            finished.push(metrics);
        }
        self.gpu.wait()?;
        Ok(finished)
    }
}
