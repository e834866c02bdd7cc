//! Values that do not wait but are made again: a rewrite of what the gradient rules keep, before codecs are chosen for
//! what is left.
//!
//! - [`Recompute::None`]: only views and concatenations are made again, from what they were made of.
//! - [`Recompute::Cheap`]: so is what follows from other kept values in a few passes over the elements ([`cheap`]).
//! - [`Recompute::Segments`]: only values at the borders of segments of the net are kept, and the forward pass of a segment
//!   runs again when the backward pass reaches it ([`segments`]).

mod borders;
pub mod cheap;
pub mod segments;

use crate::codec::{Policy, Recompute};
use crate::ir::{Graph, GraphError, ValueId};

/// Rewrites what the graph keeps; `wide` values are not made again by additions and pooling. Returns the values that are made again.
pub(super) fn rewrite(graph: &mut Graph, policy: &Policy, wide: u64) -> Result<Vec<ValueId>, GraphError> {
    let mut rebuilt = cheap::rewrite(graph, (policy.recompute == Recompute::Cheap).then_some(wide))?;
    if policy.recompute == Recompute::Segments {
        rebuilt.extend(segments::rewrite(graph, policy)?);
    }
    Ok(rebuilt)
}
