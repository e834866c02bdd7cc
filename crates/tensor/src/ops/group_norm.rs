//! Normalisation within each sample: layer norm (arXiv 1607.06450) and group norm (arXiv 1803.08494). Keeps its input and two
//! numbers for each row, and is the same in training and evaluation.

use crate::ir::{
    AlongBatch, Backward, Binding, Graph, GraphError, Kernel, KernelContext, Need, Operator, Output, RecomputeInput,
    RecomputeRule, Shape, Value, ValueId, want,
};
use crate::ops::launch;
use std::rc::Rc;

/// y = γ·(x − mean)·inv_std + β, with mean and variance (divided by the count, plus ε) of each row of a sample.
///
/// Inputs: x, γ, β. Outputs: y; mean and inv_std of each row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNorm {
    /// Rows are so many groups of channels each, with γ and β per channel; without them rows are the last axes of x, which
    /// are those of γ and β.
    pub groups: Option<usize>,
    /// Added to the variance.
    pub epsilon: f32,
}

/// dx, dγ, dβ from dy, x, γ and the statistics.
#[derive(Debug)]
struct GroupNormGradient {
    norm: GroupNorm,
    /// Whether dγ and dβ are added to the inputs behind these, see [`Operator::adding`].
    adds: bool,
}

/// y again from x, γ, β and the statistics, which were kept.
#[derive(Debug)]
struct GroupNormRecompute(GroupNorm);

/// Rows that are normalised each by itself, one after the other in memory.
#[derive(Clone, Copy)]
struct Layout {
    rows: usize,
    /// Elements of a row.
    size: usize,
    /// Neighbouring elements that share γ and β: the plane of a channel.
    run: usize,
    /// Elements of γ. Element i of x goes with number (i / run) mod this.
    parameters: usize,
}

/// Samples that one invocation adds up for the gradients of γ and β, where neighbours do not share them.
const CHUNK: usize = 64;

impl Layout {
    fn of(norm: GroupNorm, x: &Shape, gamma: &Shape) -> Result<Self, String> {
        want(x.elements() > 0, "the value must not be empty")?;
        let (rows, run) = match norm.groups {
            Some(groups) => {
                let [samples, channels, run] = x.planes().ok_or("a value needs samples and channels")?;
                want(
                    groups > 0 && channels.is_multiple_of(groups),
                    format!("{channels} channels are not {groups} groups"),
                )?;
                want(gamma.extents() == [channels], format!("scale and shift must have shape {channels}"))?;
                (samples * groups, run)
            }
            None => {
                want(
                    gamma.rank() > 0 && x.extents().ends_with(gamma.extents()),
                    "scale and shift must have the last axes",
                )?;
                (x.elements() / gamma.elements(), 1)
            }
        };
        Ok(Self { rows, size: x.elements() / rows, run, parameters: gamma.elements() })
    }

    /// Stretches that a workgroup maps: planes, or rows where neighbours do not share γ.
    fn stretches(self) -> [usize; 3] {
        let size = if self.run > 1 { self.run } else { self.size };
        [1, self.rows * self.size / size, size]
    }

    /// Samples, each with all of γ.
    fn samples(self) -> usize {
        self.rows * self.size / (self.run * self.parameters)
    }

    /// Sums for each element of γ that are added up last.
    fn parts(self) -> usize {
        if self.run > 1 { self.samples() } else { self.samples().div_ceil(CHUNK) }
    }

    /// A kernel over all elements, with what belongs to a stretch at hand.
    fn map(self, shader: &'static str, context: &KernelContext) -> Kernel {
        let [_, count, size] = self.stretches();
        let each = self.run == 1;
        let lanes = if each && size.is_multiple_of(4) { 4 } else { 1 };
        launch::map_planes_of(shader, context, [1, count, size])
            .variable("each", each)
            .parameters([self.size / size, self.parameters / lanes])
    }
}

impl GroupNorm {
    /// Whether samples of x are normalised each by itself: not if γ has an element for each of all.
    fn keeps_to_samples(self, x: &Value, gamma: &Value) -> bool {
        self.groups.is_some() || x.shape.rank() > gamma.shape.rank()
    }

    /// What makes y of x, γ and β goes along the batch as a map.
    fn map(self, inputs: &[&Value]) -> AlongBatch {
        if self.keeps_to_samples(inputs[0], inputs[1]) { AlongBatch::map([1, 2]) } else { AlongBatch::Whole }
    }

    /// Of inputs that `outputs` has checked.
    fn layout(self, x: &Value, gamma: &Value) -> Layout {
        Layout::of(self, &x.shape, &gamma.shape).expect("checked by outputs")
    }
}

fn with_output(kernel: Kernel, context: &KernelContext) -> Kernel {
    if context.in_place { kernel } else { kernel.outputs([0]) }
}

impl Operator for GroupNorm {
    fn name(&self) -> &'static str {
        if self.groups.is_some() { "group norm" } else { "layer norm" }
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let layout = Layout::of(*self, &inputs[0].shape, &inputs[1].shape)?;
        want(inputs[1].shape == inputs[2].shape, "scale and shift must have one shape")?;
        Ok(vec![
            Output::new("normalized", inputs[0].shape.clone()),
            Output::new("statistics", [layout.rows, 2]).always_f32(),
        ])
    }

    fn recompute(&self, _inputs: &[&Value]) -> Option<RecomputeRule> {
        let [x, gamma, beta] = [0, 1, 2].map(RecomputeInput::Input);
        Some(RecomputeRule::pass(GroupNormRecompute(*self), [x, gamma, beta, RecomputeInput::Output(1)]))
    }

    fn along_batch(&self, inputs: &[&Value]) -> AlongBatch {
        self.map(inputs)
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    /// The statistics of each row in one pass over x, then y.
    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let layout = self.layout(context.inputs[0], context.inputs[1]);
        let statistics = launch::reduce_planes("ops/group_norm/statistics", layout.rows, layout.size, context.set)
            .parameter(self.epsilon)
            .inputs([0])
            .outputs([1]);
        let normalize = layout.map("ops/group_norm/normalize", context).inputs([0, 1, 2]).outputs([1]);
        vec![statistics, with_output(normalize, context)]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        let gamma = backward.save(backward.input(1), Need::Values);
        let x = backward.save(backward.input(0), Need::Values);
        let statistics = backward.save(backward.output(1), Need::Exact);
        let gradients =
            backward.apply(GroupNormGradient { norm: *self, adds: false }, &[grad_output, x, gamma, statistics])?;
        for (index, gradient) in gradients.into_iter().enumerate() {
            if backward.wants(index) {
                backward.set_grad_input(index, gradient);
            }
        }
        Ok(())
    }
}

impl Operator for GroupNormRecompute {
    fn name(&self) -> &'static str {
        "sample norm again"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("recomputed", inputs[0].shape.clone())])
    }

    fn along_batch(&self, inputs: &[&Value]) -> AlongBatch {
        self.0.map(inputs)
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let layout = self.0.layout(context.inputs[0], context.inputs[1]);
        let normalize = layout.map("ops/group_norm/normalize", context).inputs([0, 1, 2, 3]);
        vec![with_output(normalize, context)]
    }
}

impl Operator for GroupNormGradient {
    fn name(&self) -> &'static str {
        "sample norm gradient"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let parameters = inputs[2].shape.clone();
        let mut made = vec![Output::new("norm_gradient", inputs[0].shape.clone())];
        if !self.adds {
            made.push(Output::new("gamma_gradient", parameters.clone()));
            made.push(Output::new("beta_gradient", parameters));
        }
        Ok(made)
    }

    fn along_batch(&self, inputs: &[&Value]) -> AlongBatch {
        match self.norm.keeps_to_samples(inputs[1], inputs[2]) {
            true => AlongBatch::Sum { whole: vec![2], mapped: vec![0] },
            false => AlongBatch::Whole,
        }
    }

    fn adding(&self) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self { adds: true, ..*self }))
    }

    fn mutates(&self) -> &'static [usize] {
        if self.adds { &[4, 5] } else { &[] }
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    /// Two sums for each element of γ and each part, and two for each row.
    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        let layout = self.norm.layout(context.inputs[1], context.inputs[2]);
        vec![2 * layout.parts() * layout.parameters, 2 * layout.rows]
    }

    /// Where neighbours share γ, sums over planes serve both rows and parameters; else there is a pass for each.
    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let layout = self.norm.layout(context.inputs[1], context.inputs[2]);
        let Layout { rows, size, run, parameters } = layout;
        let scale = 1.0 / size as f32;
        let sums = if run > 1 {
            let per_row = size / run;
            let planes = launch::reduce_planes("ops/group_norm/plane_gradient", rows * per_row, run, context.set)
                .parameter(per_row)
                .inputs([0, 1, 3])
                .bind(Binding::Scratch(0));
            let rows = Kernel::new("ops/group_norm/row_sums")
                .rounds(per_row + 1)
                .parameters([rows, per_row, parameters])
                .parameter(scale)
                .inputs([2])
                .bind(Binding::Scratch(0))
                .bind(Binding::Scratch(1))
                .invocations(rows, 8);
            [planes, rows]
        } else {
            let lanes = if size.is_multiple_of(4) { 4 } else { 1 };
            let over_rows = launch::reduce_planes("ops/group_norm/row_gradient", rows, size, context.set)
                .parameter(parameters / lanes)
                .parameter(scale)
                .inputs([0, 1, 2, 3])
                .bind(Binding::Scratch(1));
            let columns = Kernel::new("ops/group_norm/column_gradient")
                .parameters([layout.samples(), parameters, size, layout.parts(), CHUNK])
                .inputs([0, 1, 3])
                .bind(Binding::Scratch(0))
                .invocations(layout.parts() * parameters, 8);
            [over_rows, columns]
        };
        let totals = launch::reduce_columns("ops/batch_norm/channel_gradient", layout.parts(), parameters, context.set)
            .variable("gathers", false)
            .bind(Binding::Scratch(0));
        let totals = match self.adds {
            true => totals.variable("adds", true).inputs([4, 5]),
            false => totals.outputs([1, 2]),
        };
        let input = layout.map("ops/group_norm/input_gradient", context).inputs([0, 1, 2, 3]).bind(Binding::Scratch(1));
        sums.into_iter().chain([totals, with_output(input, context)]).collect()
    }
}

impl Graph {
    /// Layer norm: over the last axes of x, which are those of γ and β.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless the last axes of x are those of γ and β.
    pub fn layer_norm(
        &mut self,
        x: ValueId,
        gamma: ValueId,
        beta: ValueId,
        epsilon: f32,
    ) -> Result<ValueId, GraphError> {
        self.apply_one(GroupNorm { groups: None, epsilon }, &[x, gamma, beta])
    }

    /// Group norm: over so many groups of channels, with γ and β per channel. One group for each channel is instance norm.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless the channels of x divide into the groups and γ and β have one element for each.
    pub fn group_norm(
        &mut self,
        x: ValueId,
        groups: usize,
        gamma: ValueId,
        beta: ValueId,
        epsilon: f32,
    ) -> Result<ValueId, GraphError> {
        self.apply_one(GroupNorm { groups: Some(groups), epsilon }, &[x, gamma, beta])
    }
}
