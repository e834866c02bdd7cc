//! What runs, apart from what is planned: a step as tables of plain data.
//!
//! An executable can be printed, written to a file and read back, and run by a session that knows nothing of the graph, the
//! codecs, the loss or the optimiser that it comes from.

use super::{Place, READBACKS_IN_FLIGHT, StepRole, UPLOADS_IN_FLIGHT};
use crate::ir::step::ControlLayout;
use crate::ir::{Binding, Element, Init, Phase, Precision, Shape, ValueId, Variant};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// A step as data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Executable {
    /// Values, by the numbers that they have in the graph.
    pub values: Vec<ExecutableValue>,
    /// Nodes, in order.
    pub nodes: Vec<ExecutableNode>,
    /// The shaders that dispatches use, each once.
    pub shaders: Vec<Variant>,
    /// Dispatches, in order.
    pub dispatches: Vec<Dispatch>,
    /// The kernels' parameters, [`super::ALIGNMENT`] bytes each.
    pub uniforms: Vec<u32>,
    /// Bytes of each transient page.
    pub transient_pages: Vec<u64>,
    /// Where the control upload has its scalars.
    pub control: ControlLayout,
    /// The inputs that the host uploads before each step, in the order of their addition to the graph.
    pub uploads: Vec<ValueId>,
    /// The values that are read back after each step: metrics, then reports of data-sized values.
    pub read_backs: Vec<ValueId>,
    /// What the host reads and writes in the middle of a step.
    pub buckets: Vec<Bucket>,
    /// The stretches into which buckets divide the dispatches.
    pub segments: Vec<Segment>,
}

/// A value of an executable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutableValue {
    /// Dotted path.
    pub name: String,
    /// Extents.
    pub shape: Shape,
    /// What one element is.
    pub element: Element,
    /// In which precision memory holds it.
    pub precision: Precision,
    /// Bytes of its elements, without padding.
    pub bytes: u64,
    /// Whether the host uploads it.
    pub is_input: bool,
    /// How it starts, if it lives across steps.
    pub init: Option<Init>,
    /// Where it lies; nowhere if nothing reads it.
    pub location: Option<Location>,
}

/// Where a value or a kernel's scratch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Location {
    /// In the store: the place that the [layout](super::StoreLayout) gives to the value of this number, by its name.
    Stored(ValueId),
    /// In memory that each step uses anew.
    Transient(Place),
}

/// A node of an executable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutableNode {
    /// The layer that it belongs to.
    pub layer: String,
    /// What is done, in words.
    pub operator: String,
    /// The part of the step.
    pub phase: Phase,
    /// What it is there for.
    pub role: StepRole,
    /// What it makes.
    pub outputs: Vec<ValueId>,
}

/// A kernel with places for what it binds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatch {
    /// The node that it belongs to.
    pub node: usize,
    /// Its shader, among those of the executable.
    pub shader: usize,
    /// What it binds, from binding 1 on, and where that lies.
    pub bindings: Vec<(Binding, BoundBytes)>,
    /// Where its parameters lie among the uniforms, in bytes.
    pub uniform_offset: u64,
    /// Workgroups, folded into two dimensions.
    pub grid: [u32; 2],
}

/// Bytes that a dispatch binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BoundBytes {
    /// Where they lie.
    pub location: Location,
    /// Bytes in front of them in what lies there: more than none for a part of it.
    pub offset: u64,
    /// How many, without padding.
    pub size: u64,
}

/// Values that the host reads in the middle of a step, and writes back before what needs them runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The values.
    pub values: Vec<ValueId>,
    /// Their bytes.
    pub bytes: u64,
}

/// A stretch of dispatches that is submitted at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Buckets that the host writes before it.
    pub writes: Vec<usize>,
    /// The dispatches.
    pub dispatches: Range<usize>,
    /// Buckets that the host may read once it is done.
    pub reads: Vec<usize>,
}

impl ExecutableValue {
    /// Bytes that the host gives for it: of packed bytes those of its elements, without what fills the last word.
    pub fn given_bytes(&self) -> u64 {
        match self.element {
            Element::U8 => self.shape.elements() as u64,
            _ => self.bytes,
        }
    }
}

impl Executable {
    /// A value.
    pub fn value(&self, id: ValueId) -> &ExecutableValue {
        &self.values[id.index()]
    }

    fn bytes_of(&self, values: &[ValueId]) -> u64 {
        values.iter().map(|&id| self.value(id).bytes).sum()
    }

    /// Bytes of one upload buffer.
    pub fn upload_bytes(&self) -> u64 {
        self.bytes_of(&self.uploads)
    }

    /// Bytes of one read-back buffer.
    pub fn readback_bytes(&self) -> u64 {
        self.bytes_of(&self.read_backs)
    }

    /// Bytes of the buffers through which the host reads and writes in the middle of a step: two for each bucket.
    pub fn exchange_bytes(&self) -> u64 {
        2 * self.buckets.iter().map(|bucket| bucket.bytes).sum::<u64>()
    }

    /// Which words of [`crate::runtime::StepMetrics::words`] a value has that is read back.
    pub fn read_back(&self, value: ValueId) -> Option<Range<usize>> {
        let at = self.read_backs.iter().position(|&id| id == value)?;
        let words = |id: &ValueId| {
            let value = self.value(*id);
            value.element.words(value.shape.elements())
        };
        let start = self.read_backs[..at].iter().map(words).sum();
        Some(start..start + words(&value))
    }

    /// Whether the device has a segment to work on while the host exchanges each bucket.
    pub fn exchanges_overlap(&self) -> bool {
        let segment = |of: &dyn Fn(&Segment) -> bool| self.segments.iter().position(of);
        (0..self.buckets.len()).all(|bucket| {
            let read = segment(&|segment| segment.reads.contains(&bucket));
            let written = segment(&|segment| segment.writes.contains(&bucket));
            matches!((read, written), (Some(read), Some(written)) if written >= read + 2)
        })
    }

    /// What these executables allocate in turns over one store, to the byte, without the store itself.
    pub fn bytes_beside_store(executables: &[&Executable]) -> u64 {
        let transient: u64 = Self::transient_pages_of(executables).iter().sum();
        transient + Self::uniform_bytes(executables) + Self::host_bytes(executables)
    }

    /// Bytes of the kernels' parameters of all these executables.
    pub fn uniform_bytes(executables: &[&Executable]) -> u64 {
        executables.iter().map(|e| 4 * e.uniforms.len() as u64).sum()
    }

    /// Bytes in host-visible memory that serve all these executables in turn: buffers for uploads, for what is read back, and for what
    /// the host exchanges in the middle of a step.
    pub fn host_bytes(executables: &[&Executable]) -> u64 {
        let most = |f: &dyn Fn(&Executable) -> u64| executables.iter().map(|e| f(e)).max().unwrap_or(0);
        let exchange: u64 = executables.iter().map(|e| e.exchange_bytes()).sum();
        exchange
            + UPLOADS_IN_FLIGHT as u64 * most(&Executable::upload_bytes)
            + READBACKS_IN_FLIGHT as u64 * most(&Executable::readback_bytes)
    }

    /// The transient pages that serve all these executables in turn.
    pub fn transient_pages_of(executables: &[&Executable]) -> Vec<u64> {
        let count = executables.iter().map(|e| e.transient_pages.len()).max().unwrap_or(0);
        let largest = |page| executables.iter().filter_map(|e| e.transient_pages.get(page)).max().copied();
        (0..count).map(|page| largest(page).unwrap_or(0)).collect()
    }
}

impl fmt::Display for Executable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nodes, dispatches, shaders) = (self.nodes.len(), self.dispatches.len(), self.shaders.len());
        let transient: u64 = self.transient_pages.iter().sum();
        writeln!(f, "{nodes} nodes, {dispatches} dispatches of {shaders} shaders, {transient} transient bytes")?;
        let named = |ids: &[ValueId]| -> String {
            let value = |id: &ValueId| format!("{} {}", self.value(*id).name, self.value(*id).shape);
            ids.iter().map(value).collect::<Vec<_>>().join(", ")
        };
        writeln!(f, "uploads: {}", named(&self.uploads))?;
        writeln!(f, "reads back: {}", named(&self.read_backs))?;
        writeln!(f, "scalars: {}", self.control.scalars().join(", "))?;
        for (number, segment) in self.segments.iter().enumerate() {
            if self.segments.len() > 1 {
                writeln!(f, "segment {number}")?;
            }
            for bucket in &segment.writes {
                writeln!(f, "  host writes bucket {bucket}: {}", named(&self.buckets[*bucket].values))?;
            }
            let mut node = None;
            for dispatch in &self.dispatches[segment.dispatches.clone()] {
                if node.replace(dispatch.node) != Some(dispatch.node) {
                    let ExecutableNode { layer, operator, role, .. } = &self.nodes[dispatch.node];
                    writeln!(f, "  {layer}: {operator} ({})", role.name())?;
                }
                let [columns, rows] = dispatch.grid;
                write!(f, "    {} on {columns}×{rows}:", self.shaders[dispatch.shader])?;
                for (_, BoundBytes { location, offset: inside, size }) in &dispatch.bindings {
                    match location {
                        Location::Stored(id) if *inside > 0 => write!(f, " {}:{inside}+{size}", self.value(*id).name)?,
                        Location::Stored(id) => write!(f, " {}", self.value(*id).name)?,
                        Location::Transient(place) => {
                            write!(f, " {}:{}+{size}", place.page, place.offset + inside)?;
                        }
                    }
                }
                writeln!(f)?;
            }
            for bucket in &segment.reads {
                writeln!(f, "  host reads bucket {bucket}: {}", named(&self.buckets[*bucket].values))?;
            }
        }
        Ok(())
    }
}
