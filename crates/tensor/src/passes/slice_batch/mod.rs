//! Slices along the batch: stretches of a step run slice by slice, so that wide values inside a stretch exist for one slice only.
//!
//! Samples are the outermost axis, so a slice of a value is a part of its memory. Operators say how they go along the batch
//! ([`AlongBatch`](crate::ir::AlongBatch)): maps and sums run in slices, everything else waits until all slices of what it reads are there.
//!
//! 1. Operators that go along the batch in several ways are [split](crate::ir::Operator::split) into their passes.
//! 2. Nodes fall into *stretches* (`stretches.rs`): a stretch ends where a node needs a sum over all samples, or anything whole.
//! 3. What a stretch makes and a later one reads exists in full between them, as *pieces*, one for each slice: they die one by one while
//!    the pieces of what comes of them grow. Where the value can be made again from less, it is made in both stretches and never
//!    exists in full (`twice.rs`): decoded values always, others up to so many multiply-adds for an element.
//! 4. Each stretch is written out, slice after slice, as ordinary nodes on parts of values (`emit.rs`).
//!
//! The pieces of the idea are known: mini-batch serialization (arXiv 1810.00307), patch-wise execution (arXiv 2110.15352).

mod emit;
mod search;
mod stretches;
mod twice;

pub(super) use search::search;

use super::counted;
use crate::codec::{Slicing, Stored};
use crate::ir::{Graph, GraphError, Node, Phase, SplitValue, ValueId};
use std::collections::HashMap;

/// A step in slices.
#[derive(Debug)]
pub(crate) struct Sliced {
    pub graph: Graph,
    /// The saved tensors, with the further values that are decoded.
    pub stored: Vec<Stored>,
    /// What was done, for people.
    pub did: String,
}

/// Runs a graph in slices; where a part of a value would begin where no binding may, in slices of somewhat more samples; `None` if none
/// will do. For a graph whose nodes are final but for the place of its updates.
///
/// # Errors
/// [`GraphError::Shape`] if an operator refuses a slice of what it takes whole.
pub(crate) fn slice_batch(graph: &Graph, stored: &[Stored], slicing: Slicing) -> Result<Option<Sliced>, GraphError> {
    // Most samples have a multiple of 16 elements, and all of them bytes.
    let mut last = 0;
    for multiple in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
        let rounded = slicing.samples.next_multiple_of(multiple);
        if std::mem::replace(&mut last, rounded) == rounded {
            continue;
        }
        let slicing = Slicing { samples: rounded, ..slicing };
        if slicing.samples == 0 || slicing.samples >= graph.batch() {
            return Ok(None);
        }
        let sliced = slice_exactly(graph, stored, slicing)?;
        if sliced.is_some() {
            return Ok(sliced);
        }
    }
    Ok(None)
}

fn slice_exactly(graph: &Graph, stored: &[Stored], slicing: Slicing) -> Result<Option<Sliced>, GraphError> {
    let mut graph = graph.clone();
    let nodes = split(&mut graph)?;
    let (updates, nodes): (Vec<Node>, Vec<Node>) = nodes.into_iter().partition(|node| node.phase == Phase::Update);
    let mut stretches = stretches::Stretches::of(&graph, nodes, &updates, slicing.samples);
    let mut stored = stored.to_vec();
    let again = twice::choose(&mut graph, &mut stretches, slicing, &mut stored)?;
    let counts = stretches.counts();
    let Some(mut sliced) = emit::emit(&mut graph, stretches, slicing)? else { return Ok(None) };
    sliced.extend(updates);
    let nodes = sliced.len();
    graph.set_nodes(sliced);
    let did = format!(
        "{counts} in slices of {} and more; {} made twice, {nodes} nodes",
        counted(slicing.samples, "sample"),
        counted(again, "value")
    );
    Ok(Some(Sliced { graph, stored, did }))
}

/// The nodes, those that can be split as their steps.
fn split(graph: &mut Graph) -> Result<Vec<Node>, GraphError> {
    let mut nodes = Vec::with_capacity(graph.nodes().len());
    for node in graph.take_nodes() {
        let inputs: Vec<_> = node.inputs.iter().map(|&input| graph.value(input)).collect();
        let Some(steps) = node.operator.split(&inputs) else {
            nodes.push(node);
            continue;
        };
        let mut between: HashMap<usize, ValueId> = HashMap::new();
        for step in steps {
            let value = |value: &SplitValue| match *value {
                SplitValue::Input(index) => node.inputs[index],
                SplitValue::Output(index) => node.outputs[index],
                SplitValue::Between(number) => between[&number],
            };
            let inputs: Vec<ValueId> = step.inputs.iter().map(value).collect();
            graph.set_phase(node.phase);
            let mut made = graph.make_node(step.operator, &inputs, node.layer.clone())?;
            for (output, wanted) in made.outputs.iter_mut().zip(&step.outputs) {
                match *wanted {
                    SplitValue::Output(index) => *output = node.outputs[index],
                    SplitValue::Between(number) => {
                        between.insert(number, *output);
                    }
                    SplitValue::Input(_) => unreachable!("a step makes no input"),
                }
            }
            nodes.push(made);
        }
    }
    graph.set_phase(Phase::Update);
    Ok(nodes)
}
