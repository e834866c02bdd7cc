//! The matrix product, each side as it is or transposed.

use super::epilogue::{Addend, Epilogue, TakesEpilogue, epilogue};
use super::gemm::{self, Gemm};
use crate::ir::{
    Backward, ErrorRole, Graph, GraphError, Kernel, KernelContext, KernelSet, MOST_ROUNDS, Need, Operands, Operator,
    OperatorKind, Output, Value, ValueId, WeightGradientRole, tiles::Choice, tiles::PRODUCT, tiles::Registers,
    tiles::Tunable, tiles::Work, want,
};
use std::rc::Rc;

/// C = op(A)·op(B), where op transposes or not.
///
/// It is not run in slices along the batch: each would read all weights anew, and what stands before a classifier is small. A large
/// gradient of weights that added up over slices would exist in full, where its blocks are used up one by one otherwise
/// ([`crate::passes`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatMul {
    /// Whether A is given as K×M.
    pub transpose_a: bool,
    /// Whether B is given as N×K.
    pub transpose_b: bool,
}

impl MatMul {
    /// M, N and K.
    fn extents(&self, inputs: &[&Value]) -> Result<[usize; 3], String> {
        let pair = |value: &Value, transposed: bool| {
            let [rows, columns] = value.shape.matrix().ok_or("both must be matrices")?;
            Ok::<_, String>(if transposed { [columns, rows] } else { [rows, columns] })
        };
        let [m, k] = pair(inputs[0], self.transpose_a)?;
        let [k_b, n] = pair(inputs[1], self.transpose_b)?;
        want(k == k_b, format!("the inner extents must be equal, not {k} and {k_b}"))?;
        Ok([m, n, k])
    }
}

impl MatMul {
    /// What tiles are chosen for. Which of its extents is a batch's is not to be seen.
    fn work(&self, extents: [usize; 3]) -> Work {
        let [m, n, k] = extents.map(usize::next_power_of_two);
        let side = |name: &str, transposed| if transposed { format!("{name}ᵀ") } else { name.to_owned() };
        Work {
            operator: PRODUCT.to_owned(),
            direction: format!("{}·{}", side("a", self.transpose_a), side("b", self.transpose_b)),
            shape: format!("{m}x{n}x{k}"),
        }
    }

    /// For drivers that run on CPU cores, see `docs/kernels-cpu.md`.
    fn registers_kernel(&self, [m, n, k]: [usize; 3], context: &KernelContext) -> Kernel {
        let (lanes, subgroups) = context.lanes();
        let Registers { rows, columns } = match context.chosen(&self.work([m, n, k])) {
            Some(Choice::Registers(chosen)) => chosen,
            _ => Registers { rows: if m * n * k >= 1 << 24 { 32 } else { 16 }, columns: 4 },
        };
        let along_a = if self.transpose_a { m } else { k };
        let along_b = if self.transpose_b { k } else { n };
        let vector = |extent: usize| if extent.is_multiple_of(4) { 4u32 } else { 1 };
        let tiles = n.div_ceil(columns * lanes);
        let groups = m.div_ceil(rows) * tiles;
        Kernel::new("ops/matmul/registers")
            .variable("rows", rows)
            .variable("cols", columns)
            .variable("vec_a", vector(along_a))
            .variable("vec_b", vector(along_b))
            .variable("lanes", lanes)
            .variable("subgroups", subgroups)
            .parameters([m, n, k, tiles, groups])
            .rounds(k.div_ceil(4) + 1)
            .workgroups(groups)
    }
}

impl Operator for MatMul {
    fn name(&self) -> &'static str {
        "matrix product"
    }

    fn kind(&self) -> OperatorKind {
        OperatorKind::MatrixProduct { transpose_a: self.transpose_a, transpose_b: self.transpose_b }
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let [m, n, _] = self.extents(inputs)?;
        Ok(vec![Output::new("product", [m, n])])
    }

    /// Transposed A: a sum over samples. What stands beside the input has the output channels for columns.
    fn error_role(&self, input: usize, _inputs: &[&Value]) -> ErrorRole {
        if !self.transpose_a {
            return ErrorRole::Unknown;
        }
        let with = 1 - input;
        ErrorRole::WeightGradient(WeightGradientRole { with, scale: None, gradient: 0, coverage: 1.0 })
    }

    fn multiply_adds(&self, inputs: &[&Value], _outputs: &[&Value]) -> u64 {
        self.extents(inputs).map_or(0, |extents| extents.iter().map(|&e| e as u64).product())
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        self.launch(context, Epilogue::default())
    }

    fn fused(&self, next: &dyn Operator) -> Option<Rc<dyn Operator>> {
        epilogue(*self, next)
    }

    fn tunable(&self, context: &KernelContext) -> Option<Tunable> {
        let candidates = match context.set {
            KernelSet::Naive => return None,
            KernelSet::Tiles => gemm::CANDIDATES.map(Choice::Tile).to_vec(),
            KernelSet::Registers => [(16, 4), (32, 4), (16, 8)]
                .map(|(rows, columns)| Choice::Registers(Registers { rows, columns }))
                .to_vec(),
        };
        Some(Tunable { work: self.work(self.extents(&context.inputs).ok()?), candidates })
    }

    /// With C = op(A)·op(B) and D the arriving gradient: dA is D·op(B)ᵀ, dB is op(A)ᵀ·D, each transposed back if its
    /// side was.
    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        if backward.wants(1) {
            let a = backward.save(backward.input(0), Need::Values);
            let gradient = match self.transpose_b {
                false => backward.apply(product(!self.transpose_a, false), &[a, grad_output])?,
                true => backward.apply(product(true, self.transpose_a), &[grad_output, a])?,
            };
            backward.set_grad_input(1, gradient[0]);
        }
        if backward.wants(0) {
            let b = backward.save(backward.input(1), Need::Values);
            let gradient = match self.transpose_a {
                false => backward.apply(product(false, !self.transpose_b), &[grad_output, b])?,
                true => backward.apply(product(self.transpose_b, true), &[b, grad_output])?,
            };
            backward.set_grad_input(0, gradient[0]);
        }
        Ok(())
    }
}

impl TakesEpilogue for MatMul {
    const INPUTS: usize = 2;
    const ADDS: Addend = Addend::Bias;

    fn launch(&self, context: &KernelContext, epilogue: Epilogue) -> Vec<Kernel> {
        let [m, n, k] = self.extents(&context.inputs).expect("checked by outputs");
        let kernel = match (context.set, context.operands) {
            // Beyond that its loop is longer than drivers on CPU cores run.
            (KernelSet::Registers, Operands::F32) if k / 4 + 2 <= MOST_ROUNDS => {
                self.registers_kernel([m, n, k], context)
            }
            _ => {
                let chosen = gemm::chosen(context, &self.work([m, n, k]));
                Gemm::new(context, [m, n, k], chosen).kernel("ops/matmul/matmul", context)
            }
        };
        let kernel = kernel
            .variable("transpose_a", self.transpose_a)
            .variable("transpose_b", self.transpose_b)
            .inputs([0, 1])
            .outputs([0]);
        vec![epilogue.behind(kernel, Self::INPUTS)]
    }
}

fn product(transpose_a: bool, transpose_b: bool) -> MatMul {
    MatMul { transpose_a, transpose_b }
}

impl Graph {
    /// a·b.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless both are matrices with one inner extent.
    pub fn matmul(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.apply_one(MatMul::default(), &[a, b])
    }

    /// x·wᵀ: a fully connected layer with weights of shape outputs × inputs.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless both are matrices with equally many columns.
    pub fn linear(&mut self, x: ValueId, w: ValueId) -> Result<ValueId, GraphError> {
        self.apply_one(product(false, true), &[x, w])
    }
}
