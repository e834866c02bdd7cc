//! A session: the buffers, pipelines and bind groups of one or more plans over one set of parameters.
//!
//! Everything is made once. A step fills an upload buffer, records the same dispatches again, and submits once; its
//! metrics come back some steps later, so nothing on the way waits for the host.

use super::{Gpu, GpuError};
use crate::gpu::shader::Variant;
use crate::graph::{Init, ValueId};
use crate::plan::{Plan, READBACKS_IN_FLIGHT, Region, UPLOADS_IN_FLIGHT};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};

struct Recorded {
    pipeline: Rc<wgpu::ComputePipeline>,
    bind_group: wgpu::BindGroup,
    grid: [u32; 2],
    node: usize,
}

/// What a step reports.
#[derive(Clone, Debug, PartialEq)]
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

struct Staging {
    buffer: wgpu::Buffer,
    ready: Receiver<Result<(), wgpu::BufferAsyncError>>,
    notify: Sender<Result<(), wgpu::BufferAsyncError>>,
}

impl Staging {
    fn new(gpu: &Gpu, label: &str, size: u64, usage: wgpu::BufferUsages, mapped: bool) -> Self {
        let (notify, ready) = channel();
        let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: mapped,
        });
        if mapped {
            // The receiver lives as long as the sender: both are in `self`.
            let _ = notify.send(Ok(()));
        }
        Self { buffer, ready, notify }
    }

    fn map(&self, mode: wgpu::MapMode) {
        let notify = self.notify.clone();
        self.buffer.slice(..).map_async(mode, move |result| {
            let _ = notify.send(result);
        });
    }

    /// Waits until the buffer is mapped; by then the work that used it is done.
    fn wait(&self, gpu: &Gpu) -> Result<(), GpuError> {
        gpu.poll()?;
        loop {
            match self.ready.try_recv() {
                Ok(result) => return result.map_err(|e| GpuError::Lost(e.to_string())),
                Err(_) => gpu.wait()?,
            }
        }
    }
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
    in_flight: VecDeque<(usize, u64)>,
    steps: u64,
    bytes: u64,
}

impl Session {
    /// Allocates everything and compiles all shaders. The first plan owns the persistent values, the others run
    /// [beside](Plan::beside) it. Persistent values start as their [`Init`] says, from `seed`.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`], [`GpuError::Shader`].
    pub fn new(gpu: Rc<Gpu>, plans: Vec<Plan>, seed: u64) -> Result<Self, GpuError> {
        let all: Vec<&Plan> = plans.iter().collect();
        let bytes = Plan::allocated(&all);
        let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = |label: &str, size: u64, usage: wgpu::BufferUsages| {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        use wgpu::BufferUsages as Usage;
        let storage = Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC;
        let persistent: Vec<_> =
            plans[0].persistent_pages.iter().map(|&size| buffer("persistent", size, storage)).collect();
        let transient: Vec<_> =
            Plan::transient_pages_of(&all).into_iter().map(|size| buffer("transient", size, storage)).collect();
        let uniforms: Vec<wgpu::Buffer> = plans
            .iter()
            .map(|plan| buffer("uniforms", 4 * plan.uniforms.len() as u64, Usage::UNIFORM | Usage::COPY_DST))
            .collect();
        let most = |f: &dyn Fn(&Plan) -> u64| plans.iter().map(f).max().unwrap_or(0);
        let upload_bytes = most(&|p| p.upload_bytes());
        let readback_bytes = most(&|p| p.readback_bytes());
        let uploads = (0..UPLOADS_IN_FLIGHT)
            .filter(|_| upload_bytes > 0)
            .map(|_| Staging::new(&gpu, "upload", upload_bytes, Usage::MAP_WRITE | Usage::COPY_SRC, true))
            .collect();
        let readbacks = (0..READBACKS_IN_FLIGHT)
            .filter(|_| readback_bytes > 0)
            .map(|_| Staging::new(&gpu, "read-back", readback_bytes, Usage::MAP_READ | Usage::COPY_DST, false))
            .collect();
        if pollster::block_on(scope.pop()).is_some() {
            return Err(GpuError::OutOfMemory { adapter: gpu.adapter.info.name.clone(), bytes });
        }
        gpu.check(bytes)?;

        let mut recorded = Vec::new();
        for (plan, uniforms) in plans.iter().zip(&uniforms) {
            gpu.queue.write_buffer(uniforms, 0, bytemuck::cast_slice(&plan.uniforms));
            recorded.push(record(&gpu, plan, uniforms, &persistent, &transient)?);
        }
        gpu.check(bytes)?;
        let session = Self {
            gpu,
            plans,
            recorded,
            persistent,
            transient,
            uploads,
            readbacks,
            in_flight: VecDeque::new(),
            steps: 0,
            bytes,
        };
        session.initialise(seed)?;
        Ok(session)
    }

    /// Bytes that the session allocated.
    pub fn bytes(&self) -> u64 {
        self.bytes
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

    /// Reads a persistent value, after everything submitted.
    ///
    /// # Errors
    /// [`GpuError::NoSuchValue`], or what befell the device.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, GpuError> {
        let words = self.read_value(0, self.named(name)?)?;
        Ok(words.into_iter().map(f32::from_bits).collect())
    }

    /// Reads any value of a plan as words. A transient value holds what its step left there only until its memory is
    /// used again.
    ///
    /// # Errors
    /// What befell the device.
    pub fn read_value(&self, plan: usize, id: ValueId) -> Result<Vec<u32>, GpuError> {
        let name = &self.plans[plan].graph.value(id).name;
        let (region, place) = self.plans[plan].place(id).ok_or_else(|| GpuError::NoSuchValue(name.clone()))?;
        let source = self.buffer(region, place.page);
        let staging = Staging::new(
            &self.gpu,
            "read",
            place.size,
            wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            false,
        );
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(source, place.offset, &staging.buffer, 0, place.size);
        self.gpu.queue.submit([encoder.finish()]);
        staging.map(wgpu::MapMode::Read);
        staging.wait(&self.gpu)?;
        read_words(&staging.buffer, place.size)
    }

    fn buffer(&self, region: Region, page: usize) -> &wgpu::Buffer {
        match region {
            Region::Persistent => &self.persistent[page],
            Region::Transient => &self.transient[page],
        }
    }

    /// Runs one step: uploads (in the order of [`Plan::uploads`]), all dispatches, metrics; one submit. Returns before
    /// the device is done; collect with [`Session::finished`].
    ///
    /// # Errors
    /// [`GpuError::WrongSize`] for an upload, or what befell the device.
    pub fn step(&mut self, plan: usize, uploads: &[&[u8]]) -> Result<Vec<StepMetrics>, GpuError> {
        let mut finished = Vec::new();
        let with_metrics = self.plans[plan].readback_bytes() > 0;
        if with_metrics && self.in_flight.len() == READBACKS_IN_FLIGHT {
            finished.extend(self.collect_one()?);
        }
        let mut encoder = self.upload(plan, uploads)?;
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for recorded in &self.recorded[plan] {
                recorded.dispatch(&mut pass);
            }
        }
        let readback =
            &self.readbacks[(self.steps % READBACKS_IN_FLIGHT as u64) as usize % self.readbacks.len().max(1)..];
        let mut offset = 0;
        for id in self.plans[plan].metrics() {
            if let (Some((region, place)), Some(readback)) = (self.plans[plan].place(id), readback.first()) {
                encoder.copy_buffer_to_buffer(
                    self.buffer(region, place.page),
                    place.offset,
                    &readback.buffer,
                    offset,
                    place.size,
                );
                offset += place.size;
            }
        }
        self.gpu.queue.submit([encoder.finish()]);
        if with_metrics {
            if let Some(readback) = readback.first() {
                readback.map(wgpu::MapMode::Read);
            }
            self.in_flight.push_back((plan, self.steps));
        }
        self.after_upload(plan);
        self.steps += 1;
        self.gpu.poll()?;
        Ok(finished)
    }

    fn upload_slot(&self) -> usize {
        (self.steps % UPLOADS_IN_FLIGHT as u64) as usize
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
        let staging = &self.uploads[self.upload_slot()];
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
            if let Some((region, place)) = plan.place(id) {
                let target = self.buffer(region, place.page);
                encoder.copy_buffer_to_buffer(&staging.buffer, offset, target, place.offset, place.size);
                offset += place.size;
            }
        }
        Ok(encoder)
    }

    fn after_upload(&self, plan: usize) {
        if self.plans[plan].upload_bytes() > 0 {
            self.uploads[self.upload_slot()].map(wgpu::MapMode::Write);
        }
    }

    fn collect_one(&mut self) -> Result<Option<StepMetrics>, GpuError> {
        let Some((plan, step)) = self.in_flight.pop_front() else {
            return Ok(None);
        };
        let readback = &self.readbacks[(step % READBACKS_IN_FLIGHT as u64) as usize];
        readback.wait(&self.gpu)?;
        let words = read_words(&readback.buffer, self.plans[plan].readback_bytes())?;
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

    /// Runs a step node by node, waiting for each, and returns the seconds that each node took: for finding out where
    /// time goes. The sum is more than a step takes, because nothing overlaps.
    ///
    /// # Errors
    /// As [`Session::step`].
    pub fn time_nodes(&mut self, plan: usize, uploads: &[&[u8]]) -> Result<Vec<f64>, GpuError> {
        self.begin_slow_step(plan, uploads)?;
        let mut seconds = Vec::new();
        for node in 0..self.plans[plan].graph.nodes().len() {
            let start = std::time::Instant::now();
            self.run_node(plan, node);
            self.gpu.wait()?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        Ok(seconds)
    }

    fn begin_slow_step(&mut self, plan: usize, uploads: &[&[u8]]) -> Result<(), GpuError> {
        self.finished()?;
        let encoder = self.upload(plan, uploads)?;
        self.gpu.queue.submit([encoder.finish()]);
        self.after_upload(plan);
        self.steps += 1;
        self.gpu.wait()
    }

    fn run_node(&self, plan: usize, node: usize) {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for recorded in self.recorded[plan].iter().filter(|r| r.node == node) {
                recorded.dispatch(&mut pass);
            }
        }
        self.gpu.queue.submit([encoder.finish()]);
    }

    /// Runs a step node by node and hands each node's f32 outputs to `look`: for finding out where a value went wrong.
    /// Stops when `look` returns `false`.
    ///
    /// # Errors
    /// As [`Session::step`].
    pub fn step_through(
        &mut self,
        plan: usize,
        uploads: &[&[u8]],
        mut look: impl FnMut(&str, &[f32]) -> bool,
    ) -> Result<(), GpuError> {
        self.begin_slow_step(plan, uploads)?;
        let graph = &self.plans[plan].graph;
        for (index, node) in graph.nodes().iter().enumerate() {
            self.run_node(plan, index);
            for &output in &node.outputs {
                let value = graph.value(output);
                if value.element == crate::graph::Element::F32 {
                    let words = self.read_value(plan, output)?;
                    if !look(&value.name, bytemuck::cast_slice(&words)) {
                        return Ok(());
                    }
                }
            }
        }
        self.gpu.wait()
    }
}

impl Recorded {
    fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], 1);
    }
}

fn read_words(buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<u32>, GpuError> {
    let words = {
        let view = buffer.get_mapped_range(..bytes).map_err(|error| GpuError::Refused(error.to_string()))?;
        bytemuck::pod_collect_to_vec(&view)
    };
    buffer.unmap();
    Ok(words)
}

fn record(
    gpu: &Gpu,
    plan: &Plan,
    uniforms: &wgpu::Buffer,
    persistent: &[wgpu::Buffer],
    transient: &[wgpu::Buffer],
) -> Result<Vec<Recorded>, GpuError> {
    let binding = |buffer, offset, size: u64| {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size: std::num::NonZeroU64::new(size) })
    };
    plan.dispatches
        .iter()
        .map(|dispatch| {
            let pipeline = gpu.pipeline(&Variant::of(&dispatch.kernel))?;
            let mut entries = vec![wgpu::BindGroupEntry {
                binding: 0,
                resource: binding(uniforms, dispatch.uniform_offset, crate::plan::ALIGNMENT),
            }];
            for (index, (region, place)) in dispatch.places.iter().enumerate() {
                let buffer = match region {
                    Region::Persistent => &persistent[place.page],
                    Region::Transient => &transient[place.page],
                };
                // Whole vec4s: blocks are padded to more than that.
                let size = place.size.next_multiple_of(16);
                entries.push(wgpu::BindGroupEntry {
                    binding: index as u32 + 1,
                    resource: binding(buffer, place.offset, size),
                });
            }
            let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(dispatch.kernel.shader),
                layout: &pipeline.get_bind_group_layout(0),
                entries: &entries,
            });
            Ok(Recorded { pipeline, bind_group, grid: dispatch.grid, node: dispatch.node })
        })
        .collect()
}
