//! Steps in the middle of which the host reads values and writes them back, while the device works on.

use super::staging::Staging;
use super::timing::stamps_of;
use super::{Session, StepMetrics};
use crate::plan::{Executable, Segment};
use crate::runtime::adapter::CLOCK;
use crate::runtime::{Gpu, GpuError};
use std::time::Instant;

/// What the host does with the values of a bucket ([`crate::plan::Bucket`]) in the middle of a step.
pub trait Exchange {
    /// Works on the values of a bucket, one after the other, as memory holds them.
    fn exchange(&mut self, bucket: usize, words: &mut [u32]);
}

/// Leaves every value as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loopback;

impl Exchange for Loopback {
    fn exchange(&mut self, _bucket: usize, _words: &mut [u32]) {}
}

/// Something that the host did in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceEvent {
    /// It submitted a segment.
    Submitted(usize),
    /// It began to wait for a bucket.
    Awaited(usize),
    /// It had a bucket.
    Arrived(usize),
}

/// When things happened in a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepTrace {
    /// What the host did, with seconds since the step began.
    pub host: Vec<(f64, TraceEvent)>,
    /// When the device began and ended each segment, in seconds; empty where its clock cannot be read.
    pub device: Vec<[f64; 2]>,
}

impl StepTrace {
    /// Seconds for which the device waited between segments.
    pub fn idle(&self) -> f64 {
        self.device.windows(2).map(|pair| (pair[1][0] - pair[0][1]).max(0.0)).sum()
    }

    /// Seconds from the beginning of the first segment to the end of the last, on the device.
    pub fn device_seconds(&self) -> f64 {
        match (self.device.first(), self.device.last()) {
            (Some([begin, _]), Some([_, end])) => end - begin,
            _ => 0.0,
        }
    }
}

/// The buffers through which a bucket goes.
pub(super) struct BucketBuffers {
    read: Staging,
    write: Staging,
}

impl BucketBuffers {
    /// Those of all buckets of an executable.
    pub fn of(gpu: &Gpu, executable: &Executable) -> Vec<Self> {
        use wgpu::BufferUsages as Usage;
        let buffers = |bytes: u64| Self {
            read: Staging::new(gpu, "bucket read", bytes, Usage::MAP_READ | Usage::COPY_DST, false),
            write: Staging::new(gpu, "bucket write", bytes, Usage::MAP_WRITE | Usage::COPY_SRC, true),
        };
        executable.buckets.iter().map(|bucket| buffers(bucket.bytes)).collect()
    }
}

/// Time stamps around segments.
struct Stamps {
    set: wgpu::QuerySet,
    buffer: wgpu::Buffer,
    staging: Staging,
    bytes: u64,
}

impl Stamps {
    fn new(gpu: &Gpu, segments: usize) -> Option<Self> {
        let count = 2 * segments as u32;
        if !gpu.device.features().contains(CLOCK) || count > wgpu::QUERY_SET_MAX_QUERIES {
            return None;
        }
        let (label, ty) = (Some("segments"), wgpu::QueryType::Timestamp);
        let set = gpu.device.create_query_set(&wgpu::QuerySetDescriptor { label, ty, count });
        let bytes = u64::from(count) * u64::from(wgpu::QUERY_SIZE);
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let descriptor = wgpu::BufferDescriptor { label, size: bytes, usage, mapped_at_creation: false };
        let buffer = gpu.device.create_buffer(&descriptor);
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = Staging::new(gpu, "segments", bytes, usage, false);
        Some(Self { set, buffer, staging, bytes })
    }

    fn read(&self, gpu: &Gpu) -> Result<Vec<[f64; 2]>, GpuError> {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        encoder.resolve_query_set(&self.set, 0..(self.bytes / u64::from(wgpu::QUERY_SIZE)) as u32, &self.buffer, 0);
        encoder.copy_buffer_to_buffer(&self.buffer, 0, &self.staging.buffer, 0, self.bytes);
        let submission = gpu.queue.submit([encoder.finish()]);
        self.staging.map(wgpu::MapMode::Read, submission);
        self.staging.wait(gpu)?;
        let stamps = stamps_of(&self.staging.take_words(self.bytes)?);
        let seconds =
            |stamp: u64| stamp.saturating_sub(stamps[0]) as f64 * f64::from(gpu.queue.get_timestamp_period()) * 1e-9;
        Ok(stamps.chunks_exact(2).map(|pair| [seconds(pair[0]), seconds(pair[1])]).collect())
    }
}

/// A step on its way, as it is traced.
struct Tracing {
    began: Instant,
    trace: StepTrace,
    stamps: Option<Stamps>,
}

impl Tracing {
    fn note(tracing: &mut Option<Self>, event: TraceEvent) {
        if let Some(Tracing { began, trace, .. }) = tracing {
            trace.host.push((began.elapsed().as_secs_f64(), event));
        }
    }
}

impl Session {
    /// As [`Session::step`], of an executable that is divided into segments. Between segments the host reads buckets of values, hands
    /// them to `exchange` and writes them back before the first segment that needs them. Segments are submitted as soon as the host
    /// has what they need, so the device works on the next while the host exchanges.
    ///
    /// # Errors
    /// As [`Session::step`].
    pub fn step_exchanging(
        &mut self,
        executable: usize,
        uploads: &[&[u8]],
        exchange: &mut dyn Exchange,
    ) -> Result<Vec<StepMetrics>, GpuError> {
        self.exchange_step(executable, uploads, exchange, &mut None)
    }

    /// As [`Session::step_exchanging`], and says what happened when. No step may be in flight; waits for the end of this one.
    ///
    /// # Errors
    /// As [`Session::step`].
    pub fn trace_exchange(
        &mut self,
        executable: usize,
        uploads: &[&[u8]],
        exchange: &mut dyn Exchange,
    ) -> Result<StepTrace, GpuError> {
        let stamps = Stamps::new(&self.gpu, self.executables[executable].segments.len());
        let mut tracing = Some(Tracing { began: Instant::now(), trace: StepTrace::default(), stamps });
        self.exchange_step(executable, uploads, exchange, &mut tracing)?;
        self.finished()?;
        let Some(Tracing { mut trace, stamps, .. }) = tracing else { return Ok(StepTrace::default()) };
        if let Some(stamps) = stamps {
            trace.device = stamps.read(&self.gpu)?;
        }
        Ok(trace)
    }

    fn exchange_step(
        &mut self,
        executable: usize,
        uploads: &[&[u8]],
        exchange: &mut dyn Exchange,
        tracing: &mut Option<Tracing>,
    ) -> Result<Vec<StepMetrics>, GpuError> {
        let finished = self.make_way(executable)?;
        let table = self.executables[executable].clone();
        let mut encoder = self.upload(executable, uploads)?;
        for (number, segment) in table.segments.iter().enumerate() {
            for &bucket in &segment.writes {
                Tracing::note(tracing, TraceEvent::Awaited(bucket));
                self.write_bucket(executable, bucket, exchange, &mut encoder)?;
                Tracing::note(tracing, TraceEvent::Arrived(bucket));
            }
            {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                let stamps = tracing.as_ref().and_then(|tracing| tracing.stamps.as_ref());
                let stamp = |pass: &mut wgpu::ComputePass<'_>, end: u32| {
                    if let Some(stamps) = stamps {
                        pass.write_timestamp(&stamps.set, 2 * number as u32 + end);
                    }
                };
                stamp(&mut pass, 0);
                for recorded in &self.recorded[executable][segment.dispatches.clone()] {
                    recorded.dispatch(&mut pass);
                }
                stamp(&mut pass, 1);
            }
            for &bucket in &segment.reads {
                self.copy_bucket(executable, bucket, &mut encoder);
            }
            if number + 1 == table.segments.len() {
                let submission = self.submit_last(executable, encoder)?;
                Tracing::note(tracing, TraceEvent::Submitted(number));
                self.map_buckets(executable, segment, &submission);
                break;
            }
            let next = self.gpu.device.create_command_encoder(&Default::default());
            let submission = self.gpu.queue.submit([std::mem::replace(&mut encoder, next).finish()]);
            Tracing::note(tracing, TraceEvent::Submitted(number));
            self.map_buckets(executable, segment, &submission);
        }
        Ok(finished)
    }

    /// Copies what the device made of a bucket to where the host reads it.
    fn copy_bucket(&self, executable: usize, bucket: usize, encoder: &mut wgpu::CommandEncoder) {
        let target = &self.buckets[executable][bucket].read.buffer;
        let mut offset = 0;
        for &id in &self.executables[executable].buckets[bucket].values {
            let Some((source, place)) = self.place(executable, id) else { continue };
            encoder.copy_buffer_to_buffer(source, place.offset, target, offset, place.size);
            offset += place.size;
        }
    }

    /// Waits for a bucket, exchanges it, and copies it to where the device reads it.
    fn write_bucket(
        &self,
        executable: usize,
        bucket: usize,
        exchange: &mut dyn Exchange,
        encoder: &mut wgpu::CommandEncoder,
    ) -> Result<(), GpuError> {
        let table = &self.executables[executable].buckets[bucket];
        let BucketBuffers { read, write } = &self.buckets[executable][bucket];
        read.wait(&self.gpu)?;
        let mut words = read.take_words(table.bytes)?;
        exchange.exchange(bucket, &mut words);
        write.wait(&self.gpu)?;
        write.fill([bytemuck::cast_slice(&words)].into_iter())?;
        let mut offset = 0;
        for &id in &table.values {
            let Some((target, place)) = self.place(executable, id) else { continue };
            encoder.copy_buffer_to_buffer(&write.buffer, offset, target, place.offset, place.size);
            offset += place.size;
        }
        Ok(())
    }

    /// Asks for the buffers of a segment's buckets back once it is done.
    fn map_buckets(&self, executable: usize, segment: &Segment, submission: &wgpu::SubmissionIndex) {
        for &bucket in &segment.reads {
            self.buckets[executable][bucket].read.map(wgpu::MapMode::Read, submission.clone());
        }
        for &bucket in &segment.writes {
            self.buckets[executable][bucket].write.map(wgpu::MapMode::Write, submission.clone());
        }
    }
}
