//! Dispatches with everything that replaying them takes.

use crate::ir::ValueId;
use crate::plan::{ALIGNMENT, Executable, Location, Place};
use crate::runtime::{Gpu, GpuError};
use std::collections::{BTreeMap, HashMap};

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

/// What dispatches bind.
pub(super) struct Buffers<'b> {
    pub uniforms: &'b wgpu::Buffer,
    /// The pages of the store.
    pub store: &'b [wgpu::Buffer],
    /// Where values lie in them.
    pub stored: &'b HashMap<ValueId, Place>,
    pub transient: &'b [wgpu::Buffer],
}

/// Compiles the shaders of an executable and binds its values.
pub(super) fn record(gpu: &Gpu, executable: &Executable, buffers: &Buffers<'_>) -> Result<Vec<Recorded>, GpuError> {
    let binding = |buffer, offset, size: u64| {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size: std::num::NonZeroU64::new(size) })
    };
    let Executable { shaders, dispatches, .. } = executable;
    // Dispatches of one shader bind equally many values.
    let bound = dispatches.iter().map(|dispatch| (dispatch.shader, dispatch.bindings.len()));
    let bound: BTreeMap<usize, usize> = bound.collect();
    gpu.pipelines.compile(bound.into_iter().map(|(shader, values)| (&shaders[shader], values)))?;
    let pipelines: Vec<_> = shaders.iter().map(|shader| gpu.pipelines.get(shader)).collect();
    let recorded = dispatches
        .iter()
        .map(|dispatch| {
            let mut entries = vec![wgpu::BindGroupEntry {
                binding: 0,
                resource: binding(buffers.uniforms, dispatch.uniform_offset, ALIGNMENT),
            }];
            for (index, (_, bytes)) in dispatch.bindings.iter().enumerate() {
                let (buffer, offset) = match bytes.location {
                    Location::Stored(id) => {
                        let place = buffers.stored[&id];
                        (&buffers.store[place.page], place.offset)
                    }
                    Location::Transient(place) => (&buffers.transient[place.page], place.offset),
                };
                // Whole vec4s: blocks are padded to more than that.
                let size = bytes.size.next_multiple_of(16);
                let resource = binding(buffer, offset + bytes.offset, size);
                entries.push(wgpu::BindGroupEntry { binding: index as u32 + 1, resource });
            }
            let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&shaders[dispatch.shader].shader),
                layout: &gpu.pipelines.group_layout(dispatch.bindings.len()),
                entries: &entries,
            });
            Recorded {
                pipeline: pipelines[dispatch.shader].clone(),
                bind_group,
                grid: dispatch.grid,
                node: dispatch.node,
            }
        })
        .collect();
    Ok(recorded)
}
