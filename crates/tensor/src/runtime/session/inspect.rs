//! Looking into a session, at the price of speed: any value, node by node.

use super::staging::Staging;
use super::{CHUNK, Session};
use crate::ir::{Element, Precision, ValueId};
use crate::plan::Place;
use crate::runtime::GpuError;

impl Session {
    /// Reads any value of an executable as words, as memory holds it. A transient value holds what its step left there only until its memory is
    /// used again.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn read_value(&self, executable: usize, id: ValueId) -> Result<Vec<u32>, GpuError> {
        let nowhere = || GpuError::NoSuchValue(self.executables[executable].value(id).name.clone());
        let (source, place) = self.place(executable, id).ok_or_else(nowhere)?;
        self.read_place(source, place)
    }

    /// Reads bytes of a buffer, after everything submitted.
    pub(super) fn read_place(&self, source: &wgpu::Buffer, place: Place) -> Result<Vec<u32>, GpuError> {
        let mut words = Vec::with_capacity(place.size as usize / 4);
        for first in (0..place.size).step_by(CHUNK as usize) {
            let size = CHUNK.min(place.size - first);
            let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            let staging = Staging::new(&self.gpu, "read", size, usage, false);
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(source, place.offset + first, &staging.buffer, 0, size);
            let submission = self.gpu.queue.submit([encoder.finish()]);
            staging.map(wgpu::MapMode::Read, submission);
            staging.wait(&self.gpu)?;
            words.extend(staging.take_words(size)?);
        }
        Ok(words)
    }

    /// As [`Session::read_value`], the elements of an f32 value, in whichever precision memory holds it.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn read_elements(&self, executable: usize, id: ValueId) -> Result<Vec<f32>, GpuError> {
        let words = self.read_value(executable, id)?;
        let value = self.executables[executable].value(id);
        Ok(match value.precision {
            Precision::F32 => words.into_iter().map(f32::from_bits).collect(),
            Precision::F16 => {
                let halves: &[half::f16] = bytemuck::cast_slice(&words);
                halves[..value.shape.elements()].iter().map(|half| half.to_f32()).collect()
            }
        })
    }

    pub(super) fn begin_slow_step(&mut self, executable: usize, uploads: &[&[u8]]) -> Result<(), GpuError> {
        self.finished()?;
        let encoder = self.upload(executable, uploads)?;
        let submission = self.gpu.queue.submit([encoder.finish()]);
        self.after_upload(executable, submission);
        self.gpu.wait()
    }

    pub(super) fn run_node(&self, executable: usize, node: usize) {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for recorded in self.recorded[executable].iter().filter(|r| r.node == node) {
                recorded.dispatch(&mut pass);
            }
        }
        self.gpu.queue.submit([encoder.finish()]);
    }

    /// Runs a step node by node; after each, `look` gets its number and may read values. Stops when `look` returns
    /// `false`.
    ///
    /// # Errors
    /// As [`Session::step`], or what `look` brings.
    pub fn step_by_node(
        &mut self,
        executable: usize,
        uploads: &[&[u8]],
        mut look: impl FnMut(&Session, usize) -> Result<bool, GpuError>,
    ) -> Result<(), GpuError> {
        self.begin_slow_step(executable, uploads)?;
        for node in 0..self.executables[executable].nodes.len() {
            self.run_node(executable, node);
            if !look(self, node)? {
                break;
            }
        }
        self.gpu.wait()
    }

    /// Runs a step node by node and hands each node's f32 outputs to `look`: for finding out where a value went wrong.
    /// Stops when `look` returns `false`.
    ///
    /// # Errors
    /// As [`Session::step`].
    pub fn step_through(
        &mut self,
        executable: usize,
        uploads: &[&[u8]],
        mut look: impl FnMut(&str, &[f32]) -> bool,
    ) -> Result<(), GpuError> {
        self.step_by_node(executable, uploads, |session, node| {
            let table = &session.executables[executable];
            for &output in &table.nodes[node].outputs {
                let value = table.value(output);
                if value.element == Element::F32 && !look(&value.name, &session.read_elements(executable, output)?) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }
}
