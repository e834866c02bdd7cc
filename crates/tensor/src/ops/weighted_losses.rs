//! A weighted sum of losses: one loss, one backward pass.

use crate::ir::step::Scalar;
use crate::ir::{Backward, Graph, GraphError, Kernel, KernelContext, Operator, Output, Value, ValueId, want};

/// What a loss is multiplied by.
#[derive(Clone, Debug, PartialEq)]
pub enum LossWeight {
    /// The same factor in all steps.
    Fixed(f32),
    /// The scalar of this name, which the host gives each step ([`crate::step::Control::scalar`]).
    Scheduled(String),
}

/// A factor as kernels read it.
#[derive(Clone, Copy, Debug)]
enum Factor {
    Fixed(f32),
    /// A word of the control upload.
    Word(u32),
}

/// (Σ weight · loss, correct predictions and samples counted of the first loss, 0). Inputs: losses, and the control words if a
/// weight is scheduled.
#[derive(Debug)]
struct WeightedLosses(Vec<Factor>);

/// weight · seed, with which the backward pass of one of the losses begins. Inputs: the seed of the sum, if there is one; the
/// control words if the weight is scheduled.
#[derive(Debug)]
struct WeightedSeed {
    factor: Factor,
    seeded: bool,
}

impl Factor {
    fn is_scheduled(self) -> bool {
        matches!(self, Self::Word(_))
    }

    /// The factor and the word of the control upload, as `Params` have them.
    fn parameters(self, kernel: Kernel) -> Kernel {
        match self {
            Self::Fixed(factor) => kernel.parameter(factor).parameter(u32::MAX),
            Self::Word(word) => kernel.parameter(0.0f32).parameter(word),
        }
    }
}

impl Operator for WeightedLosses {
    fn name(&self) -> &'static str {
        "weighted losses"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        want(!self.0.is_empty(), "there must be losses")?;
        let losses = inputs.iter().take(self.0.len());
        want(losses.clone().all(|loss| loss.shape.extents() == [4]), "each must be the output of a loss")?;
        Ok(vec![Output::new("loss", [4]).always_f32()])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let kernel = Kernel::new("ops/loss/weighted_sum")
            .variable("losses", self.0.len())
            .variable("scheduled", self.0.iter().any(|factor| factor.is_scheduled()))
            .inputs(0..context.inputs.len())
            .outputs([0])
            .workgroups(1);
        vec![self.0.iter().fold(kernel, |kernel, factor| factor.parameters(kernel))]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let seed = backward.seed();
        let control = self.0.iter().any(|factor| factor.is_scheduled()).then(|| backward.input(self.0.len()));
        let control = control.map(|control| backward.save(control, crate::ir::Need::Exact));
        for (index, &factor) in
            self.0.iter().enumerate().filter(|(index, _)| backward.wants(*index)).collect::<Vec<_>>()
        {
            let inputs: Vec<ValueId> = seed.into_iter().chain(control.filter(|_| factor.is_scheduled())).collect();
            let seed = backward.apply(WeightedSeed { factor, seeded: seed.is_some() }, &inputs)?[0];
            backward.set_grad_input(index, seed);
        }
        Ok(())
    }
}

impl Operator for WeightedSeed {
    fn name(&self) -> &'static str {
        "weighted seed"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("seed", [1]).always_f32()])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let kernel = Kernel::new("ops/loss/weighted_seed")
            .variable("seeded", self.seeded)
            .variable("scheduled", self.factor.is_scheduled())
            .inputs(0..context.inputs.len())
            .outputs([0])
            .workgroups(1);
        vec![self.factor.parameters(kernel)]
    }
}

impl Graph {
    /// The sum of losses, each times its weight, as one loss with one backward pass. Correct predictions and samples counted are
    /// those of the first. The result is read back after each step like that of [`Graph::loss`].
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless there are losses.
    pub fn add_losses(&mut self, losses: &[(ValueId, LossWeight)]) -> Result<ValueId, GraphError> {
        let mut inputs: Vec<ValueId> = losses.iter().map(|(loss, _)| *loss).collect();
        let mut control = None;
        let factors = losses.iter().map(|(_, weight)| match weight {
            LossWeight::Fixed(factor) => Factor::Fixed(*factor),
            LossWeight::Scheduled(name) => {
                let scalar: Scalar = self.scalar(name);
                control = Some(scalar.control);
                Factor::Word(scalar.word)
            }
        });
        let factors = factors.collect();
        inputs.extend(control);
        let sum = self.apply_one(WeightedLosses(factors), &inputs)?;
        self.mark_metric(sum);
        Ok(sum)
    }
}
