//! Values that do not wait but are made again: a rewrite of what the gradient rules keep, before codecs are chosen for
//! what is left.
//!
//! - [`Recompute::None`]: only views and concatenations are made again, from what they were made of.
//! - [`Recompute::Cheap`]: so is what follows element by element from other kept values ([`cheap`]).
//! - [`Recompute::Segments`]: only values at the borders of segments of the net are kept, and the forward pass of a segment
//!   runs again when the backward pass reaches it ([`segments`]).

mod borders;
pub mod cheap;
pub mod segments;

use super::Policy;
use crate::graph::{Graph, GraphError, ValueId};

/// Which values are made again in the backward pass instead of being kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Recompute {
    /// Those that cost nothing.
    #[default]
    None,
    /// Those that follow element by element from other kept values.
    Cheap,
    /// All but those at the borders of segments (checkpointing, arXiv 1604.06174).
    Segments,
}

impl Recompute {
    /// All of them.
    pub const ALL: [Recompute; 3] = [Recompute::None, Recompute::Cheap, Recompute::Segments];

    /// What the user calls it.
    pub fn name(self) -> &'static str {
        match self {
            Recompute::None => "none",
            Recompute::Cheap => "cheap",
            Recompute::Segments => "segments",
        }
    }
}

/// Rewrites what the graph keeps; returns the values that are made again.
pub(super) fn rewrite(graph: &mut Graph, policy: &Policy) -> Result<Vec<ValueId>, GraphError> {
    let mut rebuilt = cheap::rewrite(graph, policy.recompute == Recompute::Cheap)?;
    if policy.recompute == Recompute::Segments {
        rebuilt.extend(segments::rewrite(graph, policy)?);
    }
    Ok(rebuilt)
}
