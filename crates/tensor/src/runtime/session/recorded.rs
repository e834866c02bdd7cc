//! Dispatches with everything that replaying them takes.

use crate::plan::{ALIGNMENT, Plan, Region};
use crate::runtime::shader::Variant;
use crate::runtime::{Gpu, GpuError};

/// A dispatch, ready to be encoded.
pub(super) struct Recorded {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    grid: [u32; 2],
    pub(super) node: usize,
}

impl Recorded {
    pub(super) fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], 1);
    }
}

/// Compiles the shaders of a plan and binds its values.
pub(super) fn record(
    gpu: &Gpu,
    plan: &Plan,
    uniforms: &wgpu::Buffer,
    persistent: &[wgpu::Buffer],
    transient: &[wgpu::Buffer],
) -> Result<Vec<Recorded>, GpuError> {
    let binding = |buffer, offset, size: u64| {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size: std::num::NonZeroU64::new(size) })
    };
    let variants = plan.dispatches.iter().map(|dispatch| (Variant::of(&dispatch.kernel), dispatch.places.len()));
    gpu.pipelines.compile(variants)?;
    let recorded = plan
        .dispatches
        .iter()
        .map(|dispatch| {
            let mut entries = vec![wgpu::BindGroupEntry {
                binding: 0,
                resource: binding(uniforms, dispatch.uniform_offset, ALIGNMENT),
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
                layout: &gpu.pipelines.group_layout(dispatch.places.len()),
                entries: &entries,
            });
            let pipeline = gpu.pipelines.get(&Variant::of(&dispatch.kernel));
            Recorded { pipeline, bind_group, grid: dispatch.grid, node: dispatch.node }
        })
        .collect();
    Ok(recorded)
}
