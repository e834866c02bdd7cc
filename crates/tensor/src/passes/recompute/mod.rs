//! Values that do not wait but are recomputed: a rewrite of what the gradient rules keep, before codecs are chosen for
//! what is left.
//!
//! - [`Recompute::None`]: only views and concatenations are recomputed, from what they were made of.
//! - [`Recompute::Cheap`]: so is what follows from other kept values in a few passes over the elements ([`cheap`]).
//! - [`Recompute::Segments`]: only values at the borders of segments of the net are kept, and the forward pass of a segment
//!   runs again when the backward pass reaches it ([`segments`]).

mod borders;
pub mod cheap;
pub mod segments;

use crate::codec::{Policy, Recompute};
use crate::ir::{Graph, GraphError, ValueId};

/// Rewrites what the graph keeps; `wide` values are not recomputed by additions and pooling. Returns the values that are recomputed.
pub(super) fn rewrite(graph: &mut Graph, policy: &Policy, wide: u64) -> Result<Vec<ValueId>, GraphError> {
    let mut recomputed = cheap::rewrite(graph, (policy.recompute == Recompute::Cheap).then_some(wide))?;
    if policy.recompute == Recompute::Segments {
        recomputed.extend(segments::rewrite(graph, policy)?);
    }
    Ok(recomputed)
}
