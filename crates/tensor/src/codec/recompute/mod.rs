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

use super::{Policy, Stored, store_with};
use crate::graph::{Graph, GraphError, ValueId};

/// Which values are made again in the backward pass instead of being kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Recompute {
    /// Those that cost nothing.
    #[default]
    None,
    /// Those that follow from other kept values in a few passes over the elements.
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

/// Stores what the graph keeps as the policy says ([`super::store`]). If values are made again cheaply and `peak` is higher
/// by that than with nothing made again, the widest that are made by additions and pooling are kept.
///
/// # Errors
/// As [`super::store`].
pub(crate) fn store_within(
    graph: Graph,
    policy: &Policy,
    peak: &dyn Fn(&Graph) -> u64,
) -> Result<(Graph, Vec<Stored>), GraphError> {
    let with = |policy: &Policy, wide: u64| {
        let mut graph = graph.clone();
        let stored = store_with(&mut graph, policy, wide)?;
        Ok((graph, stored))
    };
    let mut chosen = with(policy, u64::MAX)?;
    if policy.recompute != Recompute::Cheap {
        return Ok(chosen);
    }
    let (nothing, _) = with(&policy.clone().recompute(Recompute::None), 0)?;
    let limit = peak(&nothing);
    let mut wide = graph.values().iter().map(|value| value.shape.elements() as u64).max().unwrap_or(0);
    while peak(&chosen.0) > limit && wide > 0 {
        chosen = with(policy, wide)?;
        wide /= 2;
    }
    Ok(chosen)
}

/// Rewrites what the graph keeps; `wide` values are not made again by additions and pooling. Returns the values that are made again.
pub(super) fn rewrite(graph: &mut Graph, policy: &Policy, wide: u64) -> Result<Vec<ValueId>, GraphError> {
    let mut rebuilt = cheap::rewrite(graph, (policy.recompute == Recompute::Cheap).then_some(wide))?;
    if policy.recompute == Recompute::Segments {
        rebuilt.extend(segments::rewrite(graph, policy)?);
    }
    Ok(rebuilt)
}
