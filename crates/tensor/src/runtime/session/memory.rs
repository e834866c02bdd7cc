//! The memory, pipelines and bind groups of a session: made at once, and again when an executable changes its sizes.

use super::Session;
use super::exchange::BucketBuffers;
use super::recorded::{Buffers, record};
use super::staging::Staging;
use crate::plan::{Executable, READBACKS_IN_FLIGHT, StoreLayout, UPLOADS_IN_FLIGHT};
use crate::runtime::{Gpu, GpuError};
use std::collections::VecDeque;
use std::rc::Rc;

const STORAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_DST).union(wgpu::BufferUsages::COPY_SRC);

fn buffer(gpu: &Gpu, label: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
}

impl Session {
    /// Allocates everything and compiles all shaders. What lives across steps starts as its [`crate::ir::Init`] says, from `seed`.
    ///
    /// # Errors
    /// [`GpuError::Plan`] if the store lacks what an executable needs, [`GpuError::OutOfMemory`], [`GpuError::Shader`].
    pub fn new(
        gpu: Rc<Gpu>,
        store: StoreLayout,
        executables: Vec<Rc<Executable>>,
        seed: u64,
    ) -> Result<Self, GpuError> {
        use wgpu::BufferUsages as Usage;
        executables.iter().try_for_each(|executable| store.check(executable))?;
        let all: Vec<&Executable> = executables.iter().map(Rc::as_ref).collect();
        let bytes = store.bytes() + Executable::bytes_beside_store(&all);
        let most = |f: &dyn Fn(&Executable) -> u64| all.iter().map(|e| f(e)).max().unwrap_or(0);
        let upload_bytes = most(&Executable::upload_bytes);
        let readback_bytes = most(&Executable::readback_bytes);
        let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let persistent = store.pages.iter().map(|&size| buffer(&gpu, "store", size, STORAGE)).collect();
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
        let mut session = Self {
            stored: executables.iter().map(|executable| store.places(executable)).collect(),
            gpu,
            store,
            executables,
            recorded: Vec::new(),
            persistent,
            transient: Vec::new(),
            buckets: Vec::new(),
            uploads,
            readbacks,
            upload_turn: 0,
            readback_turn: 0,
            in_flight: VecDeque::new(),
            steps: 0,
            most_bytes: 0,
        };
        session.set_up()?;
        session.initialise(seed)?;
        Ok(session)
    }

    /// Memory, pipelines and bind groups of the executables as they are now.
    fn set_up(&mut self) -> Result<(), GpuError> {
        use wgpu::BufferUsages as Usage;
        self.recorded.clear();
        // What was there goes first: both need not fit.
        self.transient.clear();
        self.buckets.clear();
        self.gpu.wait()?;
        let bytes = self.bytes();
        let all: Vec<&Executable> = self.executables.iter().map(Rc::as_ref).collect();
        let scope = self.gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let pages = Executable::transient_pages_of(&all);
        self.transient = pages.into_iter().map(|size| buffer(&self.gpu, "transient", size, STORAGE)).collect();
        self.buckets = self.executables.iter().map(|executable| BucketBuffers::of(&self.gpu, executable)).collect();
        let uniforms: Vec<wgpu::Buffer> = self
            .executables
            .iter()
            .map(|e| buffer(&self.gpu, "uniforms", 4 * e.uniforms.len() as u64, Usage::UNIFORM | Usage::COPY_DST))
            .collect();
        if pollster::block_on(scope.pop()).is_some() {
            return Err(GpuError::OutOfMemory { adapter: self.gpu.adapter.info.name.clone(), bytes });
        }
        self.gpu.check(bytes)?;
        for ((executable, stored), uniforms) in self.executables.iter().zip(&self.stored).zip(&uniforms) {
            self.gpu.queue.write_buffer(uniforms, 0, bytemuck::cast_slice(&executable.uniforms));
            let buffers = Buffers { uniforms, store: &self.persistent, stored, transient: &self.transient };
            self.recorded.push(record(&self.gpu, executable, &buffers)?);
        }
        self.gpu.check(bytes)?;
        self.most_bytes = self.most_bytes.max(bytes);
        Ok(())
    }

    /// Puts an executable in the place of one. What lives across steps stays as it is.
    ///
    /// # Errors
    /// [`GpuError::Plan`] if the store lacks what it needs, [`GpuError::OutOfMemory`], or a failure of the device. Metrics of steps in
    /// flight are lost: collect them first.
    pub fn replace(&mut self, executable: usize, with: Rc<Executable>) -> Result<(), GpuError> {
        self.store.check(&with)?;
        self.finished()?;
        self.stored[executable] = self.store.places(&with);
        self.executables[executable] = with;
        self.set_up()
    }
}
