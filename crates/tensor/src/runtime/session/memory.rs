//! The memory, pipelines and bind groups of a session: made at once, and again when a plan changes its sizes.

use super::Session;
use super::recorded::record;
use super::staging::Staging;
use crate::plan::{Plan, READBACKS_IN_FLIGHT, UPLOADS_IN_FLIGHT};
use crate::runtime::{Gpu, GpuError};
use std::collections::VecDeque;
use std::rc::Rc;

const STORAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_DST).union(wgpu::BufferUsages::COPY_SRC);

fn buffer(gpu: &Gpu, label: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
}

impl Session {
    /// Allocates everything and compiles all shaders. The first plan owns the persistent values, the others
    /// [share](Plan::sharing_store) them. Persistent values start as their [`crate::ir::Init`] says, from `seed`.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`], [`GpuError::Shader`].
    pub fn new(gpu: Rc<Gpu>, plans: Vec<Plan>, seed: u64) -> Result<Self, GpuError> {
        use wgpu::BufferUsages as Usage;
        let bytes = Plan::allocated(&plans.iter().collect::<Vec<_>>());
        let most = |f: &dyn Fn(&Plan) -> u64| plans.iter().map(f).max().unwrap_or(0);
        let upload_bytes = most(&|p| p.upload_bytes());
        let readback_bytes = most(&|p| p.readback_bytes());
        let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let persistent =
            plans[0].persistent_pages.iter().map(|&size| buffer(&gpu, "persistent", size, STORAGE)).collect();
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
            gpu,
            plans,
            recorded: Vec::new(),
            persistent,
            transient: Vec::new(),
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

    /// Memory, pipelines and bind groups of the plans as they are now.
    fn set_up(&mut self) -> Result<(), GpuError> {
        use wgpu::BufferUsages as Usage;
        self.recorded.clear();
        // What was there goes first: both need not fit.
        self.transient.clear();
        self.gpu.wait()?;
        let bytes = self.bytes();
        let all: Vec<&Plan> = self.plans.iter().collect();
        let scope = self.gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let pages = Plan::transient_pages_of(&all);
        self.transient = pages.into_iter().map(|size| buffer(&self.gpu, "transient", size, STORAGE)).collect();
        let uniforms: Vec<wgpu::Buffer> = self
            .plans
            .iter()
            .map(|plan| buffer(&self.gpu, "uniforms", 4 * plan.uniforms.len() as u64, Usage::UNIFORM | Usage::COPY_DST))
            .collect();
        if pollster::block_on(scope.pop()).is_some() {
            return Err(GpuError::OutOfMemory { adapter: self.gpu.adapter.info.name.clone(), bytes });
        }
        self.gpu.check(bytes)?;
        for (plan, uniforms) in self.plans.iter().zip(&uniforms) {
            self.gpu.queue.write_buffer(uniforms, 0, bytemuck::cast_slice(&plan.uniforms));
            self.recorded.push(record(&self.gpu, plan, uniforms, &self.persistent, &self.transient)?);
        }
        self.gpu.check(bytes)?;
        self.most_bytes = self.most_bytes.max(bytes);
        Ok(())
    }

    /// Puts a plan with other sizes ([`Plan::resized`]) in the place of one. Persistent values stay as they are.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`], or what befell the device. Metrics of steps in flight are lost: collect them first.
    pub fn replace(&mut self, plan: usize, with: Plan) -> Result<(), GpuError> {
        self.finished()?;
        self.plans[plan] = with;
        self.set_up()
    }
}
