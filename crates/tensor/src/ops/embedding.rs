//! Embedding: rows of a table by their numbers. Keeps the numbers.

use super::kernel::MOST_ITERATIONS;
use super::{Kernel, KernelContext, KernelSet, Operator, Output, want};
use crate::graph::{Backward, Element, Graph, GraphError, Need, Shape, Value, ValueId};

/// `y[i…, d] = table[indices[i…], d]`. Inputs: indices (words), table (rows × columns). An index outside the table gives NaNs,
/// so that it cannot go unnoticed.
#[derive(Debug)]
pub struct Embedding;

/// `dtable[v, d] = Σ dy[i, d]` over the positions i with index v, in order: neither sorting nor atomics.
///
/// Every row goes through all indices, so rows × positions of them are read, besides each element of dy once: cheap for
/// tables of a few thousand rows, not for the vocabulary of a large language model.
#[derive(Debug)]
struct EmbeddingGradient(Shape);

impl Operator for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let [rows, columns] = inputs[1].shape.matrix().ok_or("the table must be a matrix")?;
        want(inputs[0].element == Element::U32, "the indices must be words")?;
        want(rows * columns > 0, "the table must not be empty")?;
        let extents = [inputs[0].shape.extents(), &[columns]].concat();
        Ok(vec![Output::new("embedded", extents.as_slice())])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [rows, columns] = context.inputs[1].shape.matrix().expect("checked by outputs");
        let count = context.outputs[0].shape.elements();
        let kernel = Kernel::new("ops/embedding/forward")
            .parameters([count, rows, columns])
            .inputs([0, 1])
            .outputs([0])
            .invocations(count, 64);
        vec![kernel]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let arriving = backward.arriving()?;
        let indices = backward.keep(backward.input(0), Need::Exact);
        let table = backward.value(backward.input(1)).shape.clone();
        let gradient = backward.apply(EmbeddingGradient(table), &[arriving, indices])?[0];
        backward.give(1, gradient);
        Ok(())
    }
}

impl Operator for EmbeddingGradient {
    fn name(&self) -> &'static str {
        "embedding gradient"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("table_gradient", self.0.clone())])
    }

    /// One after the other if there are more positions than a loop may have.
    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [rows, columns] = self.0.matrix().expect("checked forward");
        let positions = context.inputs[1].shape.elements();
        let width = if context.set == KernelSet::Registers { 8 } else { 64 };
        let chunks = columns.div_ceil(width);
        let part = |start: usize| {
            Kernel::new("ops/embedding/gradient")
                .variable("width", width)
                .variable("begins", start == 0)
                .parameters([rows, columns, chunks])
                .parameters([start, (start + MOST_ITERATIONS).min(positions)])
                .inputs([0, 1])
                .outputs([0])
                .workgroups(rows * chunks)
        };
        (0..positions.max(1)).step_by(MOST_ITERATIONS).map(part).collect()
    }
}

impl Graph {
    /// The rows of a table (rows × columns) that words name: the extents of the words, then the columns.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless the indices are words and the table is a matrix.
    pub fn embedding(&mut self, indices: ValueId, table: ValueId) -> Result<ValueId, GraphError> {
        self.apply_one(Embedding, &[indices, table])
    }
}
