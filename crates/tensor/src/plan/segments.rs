//! Divides a step into segments, between which the host reads and writes values.

use super::{Bucket, Dispatch, PlanError, Segment};
use crate::ir::{Graph, ValueId};

/// The buckets and the segments of a step whose host exchanges these values.
///
/// A segment ends behind the last node that makes a value of a bucket, and another before the first that reads one; what lies between
/// is work that the device has while the host exchanges.
///
/// # Errors
/// [`PlanError::NoExchange`] if a value of a bucket is read before all of them are made.
pub(super) fn segments(
    graph: &Graph,
    dispatches: &[Dispatch],
    buckets: &[Vec<ValueId>],
) -> Result<(Vec<Bucket>, Vec<Segment>), PlanError> {
    let count = graph.nodes().len();
    // For each bucket the place behind the last maker, and that of the first reader.
    let mut spans = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        let nodes = || graph.nodes().iter().enumerate();
        // A window is its whole's memory.
        let any = |values: &[ValueId]| values.iter().any(|&value| bucket.contains(&graph.memory_of(value).0));
        let makes = |(_, node): &(usize, &crate::ir::Node)| any(&node.outputs);
        let reads = |(_, node): &(usize, &crate::ir::Node)| any(&node.inputs);
        let made = nodes().filter(makes).map(|(place, _)| place + 1).max().unwrap_or(0);
        let read = nodes().find(reads).map_or(count, |(place, _)| place);
        if read < made {
            return Err(PlanError::NoExchange(graph.value(bucket[0]).name.clone()));
        }
        spans.push((made, read));
    }
    let mut cuts: Vec<usize> = spans.iter().flat_map(|&(made, read)| [made, read]).chain([0, count]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let dispatch = |node: usize| dispatches.partition_point(|dispatch| dispatch.node < node);
    let which = |wanted: &dyn Fn(&(usize, usize)) -> bool| -> Vec<usize> {
        spans.iter().enumerate().filter(|(_, span)| wanted(span)).map(|(bucket, _)| bucket).collect()
    };
    let between = cuts.windows(2).map(|cut| (cut[0], cut[1]));
    // What nobody reads is written at the end.
    let at_the_end = spans.iter().any(|&(_, read)| read == count).then_some((count, count));
    let segments = between.chain(at_the_end).map(|(start, end)| Segment {
        writes: which(&|&(_, read)| read == start),
        dispatches: dispatch(start)..dispatch(end),
        reads: if start == end { Vec::new() } else { which(&|&(made, _)| made == end) },
    });
    let segments = segments.collect();
    let bytes = |bucket: &Vec<ValueId>| bucket.iter().map(|&id| graph.value(id).bytes()).sum();
    let buckets = buckets.iter().map(|bucket| Bucket { values: bucket.clone(), bytes: bytes(bucket) }).collect();
    Ok((buckets, segments))
}
