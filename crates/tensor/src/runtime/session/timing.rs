//! How long nodes take.

use super::Session;
use super::staging::Staging;
use crate::runtime::GpuError;
use crate::runtime::adapter::CLOCK;
use std::time::Instant;

/// Bytes of a time stamp.
const STAMP: u64 = wgpu::QUERY_SIZE as u64;

/// Which clock times were read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The device's, read between the nodes of a step that is submitted as always.
    Device,
    /// The host's, which waits after each node. The sum is more than a step takes, because nothing overlaps.
    Host,
}

/// How long the nodes of a step took.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeTimes {
    /// Seconds of each node.
    pub seconds: Vec<f64>,
    /// Where they come from.
    pub clock: Clock,
}

/// Time stamps from the words that the device writes, the lower one first.
pub(super) fn stamps_of(words: &[u32]) -> Vec<u64> {
    words.chunks_exact(2).map(|pair| u64::from(pair[0]) | u64::from(pair[1]) << 32).collect()
}

impl Session {
    /// Runs a step and says how long each of its nodes took, by the device's clock where it can be read between dispatches.
    ///
    /// # Errors
    /// As [`Session::step`].
    pub fn time_nodes(&mut self, executable: usize, uploads: &[&[u8]]) -> Result<NodeTimes, GpuError> {
        self.begin_slow_step(executable, uploads)?;
        match self.gpu.device.features().contains(CLOCK) {
            true => Ok(NodeTimes { seconds: self.time_by_stamps(executable)?, clock: Clock::Device }),
            false => Ok(NodeTimes { seconds: self.time_by_waiting(executable)?, clock: Clock::Host }),
        }
    }

    /// One pass, with a time stamp before the first node and after each.
    fn time_by_stamps(&self, executable: usize) -> Result<Vec<f64>, GpuError> {
        let device = &self.gpu.device;
        let nodes = self.executables[executable].nodes.len();
        let sets: Vec<wgpu::QuerySet> = (0..(nodes + 1).div_ceil(wgpu::QUERY_SET_MAX_QUERIES as usize))
            .map(|_| {
                device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("nodes"),
                    ty: wgpu::QueryType::Timestamp,
                    count: wgpu::QUERY_SET_MAX_QUERIES,
                })
            })
            .collect();
        let set_bytes = STAMP * u64::from(wgpu::QUERY_SET_MAX_QUERIES);
        let bytes = set_bytes * sets.len() as u64;
        let stamps = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("time stamps"),
            size: bytes,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let staging = Staging::new(
            &self.gpu,
            "time stamps",
            bytes,
            wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            false,
        );
        let mut encoder = device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            let mut dispatches = self.recorded[executable].iter().peekable();
            for stamp in 0..=nodes {
                let (set, query) =
                    (stamp / wgpu::QUERY_SET_MAX_QUERIES as usize, stamp as u32 % wgpu::QUERY_SET_MAX_QUERIES);
                pass.write_timestamp(&sets[set], query);
                while let Some(recorded) = dispatches.next_if(|recorded| recorded.node == stamp) {
                    recorded.dispatch(&mut pass);
                }
            }
        }
        for (number, set) in sets.iter().enumerate() {
            let used =
                (nodes + 1 - number * wgpu::QUERY_SET_MAX_QUERIES as usize).min(wgpu::QUERY_SET_MAX_QUERIES as usize);
            encoder.resolve_query_set(set, 0..used as u32, &stamps, number as u64 * set_bytes);
        }
        encoder.copy_buffer_to_buffer(&stamps, 0, &staging.buffer, 0, bytes);
        let submission = self.gpu.queue.submit([encoder.finish()]);
        staging.map(wgpu::MapMode::Read, submission);
        staging.wait(&self.gpu)?;
        let stamps = stamps_of(&staging.take_words(bytes)?);
        let period = f64::from(self.gpu.queue.get_timestamp_period()) * 1e-9;
        Ok(stamps.windows(2).take(nodes).map(|pair| pair[1].saturating_sub(pair[0]) as f64 * period).collect())
    }

    fn time_by_waiting(&self, executable: usize) -> Result<Vec<f64>, GpuError> {
        let nodes = 0..self.executables[executable].nodes.len();
        nodes
            .map(|node| {
                let start = Instant::now();
                self.run_node(executable, node);
                self.gpu.wait()?;
                Ok(start.elapsed().as_secs_f64())
            })
            .collect()
    }

    /// Runs the dispatches of one node so many times in one submit, over whatever its inputs hold (see
    /// [`Session::step_by_node`]), and returns the seconds that one time took, by the host's clock.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn time_node(&self, executable: usize, node: usize, times: u32) -> Result<f64, GpuError> {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for _ in 0..times {
                for recorded in self.recorded[executable].iter().filter(|recorded| recorded.node == node) {
                    recorded.dispatch(&mut pass);
                }
            }
        }
        let commands = encoder.finish();
        self.gpu.wait()?;
        let start = Instant::now();
        self.gpu.queue.submit([commands]);
        self.gpu.wait()?;
        Ok(start.elapsed().as_secs_f64() / f64::from(times.max(1)))
    }
}
