//! Embedding: rows of a table by their numbers. Keeps the numbers.

use crate::ir::{
    AlongBatch, Backward, Binding, Element, Graph, GraphError, Kernel, KernelContext, KernelSet, Need, Operator,
    Output, Shape, Value, ValueId, want,
};
use crate::ops::launch::MOST_ITERATIONS;
use std::rc::Rc;

/// `y[i…, d] = table[indices[i…], d]`. Inputs: indices (words), table (rows × columns). An index outside the table gives NaNs,
/// so that it cannot go unnoticed.
#[derive(Debug)]
pub struct Embedding;

/// `dtable[v, d] = Σ dy[i, d]` over the positions i with index v, in order: neither sorting nor atomics. The positions of each
/// row are linked to a list first.
#[derive(Clone, Debug)]
struct EmbeddingGradient {
    table: Shape,
    /// Whether it is added to the input behind dy and the indices, see [`Operator::adding`].
    adds: bool,
}

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

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([1])
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
        let grad_output = backward.grad_output()?;
        let indices = backward.save(backward.input(0), Need::Exact);
        let table = backward.value(backward.input(1)).shape.clone();
        let gradient = backward.apply(EmbeddingGradient { table, adds: false }, &[grad_output, indices])?[0];
        backward.set_grad_input(1, gradient);
        Ok(())
    }
}

impl Operator for EmbeddingGradient {
    fn name(&self) -> &'static str {
        "embedding gradient"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let made = Output::new("table_gradient", self.table.clone());
        Ok(if self.adds { vec![] } else { vec![made] })
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::sum([])
    }

    fn adding(&self) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self { adds: true, ..self.clone() }))
    }

    fn mutates(&self) -> &'static [usize] {
        if self.adds { &[2] } else { &[] }
    }

    /// The first position of each row, and for each position the next of its row.
    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        let [rows, _] = self.table.matrix().expect("checked forward");
        vec![rows, context.inputs[1].shape.elements()]
    }

    /// One part after the other if there are more positions than a loop may have.
    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [rows, columns] = self.table.matrix().expect("checked forward");
        let positions = context.inputs[1].shape.elements();
        // Each workgroup that links goes through all positions: cores should be few, a GPU should not wait for one of its.
        let (width, most_owned) = if context.set == KernelSet::Registers { (8, 4096) } else { (64, 16) };
        let owned = rows.div_ceil(width).min(most_owned);
        let vector = columns.is_multiple_of(4);
        let columns = if vector { columns / 4 } else { columns };
        let chunks = columns.div_ceil(width);
        let most = MOST_ITERATIONS - most_owned;
        let parts = (0..positions.max(1)).step_by(most).flat_map(|start| {
            let link = Kernel::new("ops/embedding/link")
                .variable("width", width)
                .rounds(owned + most.min(positions) + 2)
                .parameters([rows, owned, start, (start + most).min(positions)])
                .inputs([1])
                .bind(Binding::Scratch(0))
                .bind(Binding::Scratch(1))
                .invocations(rows.div_ceil(owned), width);
            let sum = Kernel::new("ops/embedding/gradient")
                .variable("width", width)
                .variable("begins", start == 0 && !self.adds)
                .variable("vector", vector)
                .rounds(most.min(positions) + 1)
                .parameters([rows, columns, chunks])
                .inputs([0])
                .bind(Binding::Scratch(0))
                .bind(Binding::Scratch(1))
                .bind(if self.adds { Binding::Input(2) } else { Binding::Output(0) })
                .workgroups(rows * chunks);
            [link, sum]
        });
        parts.collect()
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
