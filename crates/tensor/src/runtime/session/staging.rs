//! Host-visible buffers through which a session uploads and reads back. Each is used in turn, and waited for only when
//! its turn comes again.

use crate::runtime::{Gpu, GpuError};
use std::cell::RefCell;
use std::sync::mpsc::{Receiver, Sender, channel};

type Mapped = Result<(), wgpu::BufferAsyncError>;

/// A buffer that is either mapped for the host or in use by the device.
pub(super) struct Staging {
    pub(super) buffer: wgpu::Buffer,
    ready: Receiver<Mapped>,
    notify: Sender<Mapped>,
    used_by: RefCell<Option<wgpu::SubmissionIndex>>,
}

impl Staging {
    pub(super) fn new(gpu: &Gpu, label: &str, size: u64, usage: wgpu::BufferUsages, mapped: bool) -> Self {
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
        Self { buffer, ready, notify, used_by: RefCell::default() }
    }

    /// Asks for the buffer back once this submission is done with it.
    pub(super) fn map(&self, mode: wgpu::MapMode, after: wgpu::SubmissionIndex) {
        let notify = self.notify.clone();
        self.buffer.slice(..).map_async(mode, move |result| {
            let _ = notify.send(result);
        });
        self.used_by.replace(Some(after));
    }

    /// Waits until the buffer is mapped: for the submission that used it, not for later ones.
    pub(super) fn wait(&self, gpu: &Gpu) -> Result<(), GpuError> {
        gpu.poll()?;
        let mapped = match self.ready.try_recv() {
            Ok(mapped) => mapped,
            Err(_) => {
                gpu.wait_for(self.used_by.take())?;
                let never = |_| GpuError::Lost("a buffer never came back from the device".into());
                self.ready.try_recv().map_err(never)?
            }
        };
        mapped.map_err(|error| GpuError::Lost(error.to_string()))
    }

    /// Fills the buffer, which has to be mapped, one piece after the other, each from a whole word on, and gives it back to the
    /// device.
    pub(super) fn fill<'b>(&self, pieces: impl Iterator<Item = &'b [u8]>) -> Result<(), GpuError> {
        {
            let mut view =
                self.buffer.get_mapped_range_mut(..).map_err(|error| GpuError::Refused(error.to_string()))?;
            let mut offset = 0;
            for bytes in pieces {
                let end = offset + bytes.len();
                view.slice(offset..end).copy_from_slice(bytes);
                offset = end.next_multiple_of(4);
                view.slice(end..offset).copy_from_slice(&[0; 3][..offset - end]);
            }
        }
        self.buffer.unmap();
        Ok(())
    }

    /// The first bytes as words; gives the buffer back to the device.
    pub(super) fn take_words(&self, bytes: u64) -> Result<Vec<u32>, GpuError> {
        let words = {
            let view = self.buffer.get_mapped_range(..bytes).map_err(|error| GpuError::Refused(error.to_string()))?;
            bytemuck::pod_collect_to_vec(&view)
        };
        self.buffer.unmap();
        Ok(words)
    }
}
