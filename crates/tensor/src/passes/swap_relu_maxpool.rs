//! The order of rectifiers and max pooling, which is free.

use super::counted;
use crate::ir::{Graph, OperatorKind, Phase, Readers, Role, ValueId};

impl Graph {
    /// Puts max pooling before the rectifier whose output it alone reads: max(f(x)) = f(max(x)) for all f that never
    /// decrease. The results are the same to the bit and so are the gradients, but the rectifier works on the pooled
    /// elements, and its mask, a quarter as large or less, is that of the value which the next layer reads: codecs may
    /// share it.
    ///
    /// Values of which somebody else knows (`known`: roots of the backward pass) stay what they are.
    pub(super) fn swap_relu_maxpool(&mut self, known: &[ValueId]) -> String {
        let mut swapped = 0;
        let readers = Readers::of(self.nodes.iter().enumerate());
        for rectifier in 0..self.nodes.len() {
            let node = &self.nodes[rectifier];
            let (&[input], &[between]) = (&node.inputs[..], &node.outputs[..]) else { continue };
            let &[pool] = readers.of_value(between) else { continue };
            let never_decreases = match node.operator.kind() {
                OperatorKind::Activation(activation) => activation.never_decreases(),
                _ => false,
            };
            let fits = never_decreases
                && self.nodes[pool].operator.kind() == OperatorKind::MaxPool
                && [rectifier, pool].iter().all(|&index| self.nodes[index].phase == Phase::Forward)
                && self.value(between).role == Role::Activation
                && !self.value(between).is_metric()
                && !known.contains(&between);
            if !fits {
                continue;
            }
            // The value between them is now the pooled one, the last one the rectified: names and shape go with them.
            let last = self.nodes[pool].outputs[0];
            self.nodes[pool].inputs[0] = input;
            self.nodes[pool].outputs[0] = between;
            self.nodes[rectifier].inputs[0] = between;
            self.nodes[rectifier].outputs[0] = last;
            let (shape, rectified) = (self.shape(last).clone(), self.value(between).name.clone());
            let pooled = std::mem::replace(&mut self.value_mut(last).name, rectified);
            let between = self.value_mut(between);
            (between.name, between.shape) = (pooled, shape);
            // Nothing between them in the order reads either, so they may change places; who reads what by its place in
            // the order is then as before.
            self.nodes.swap(rectifier, pool);
            swapped += 1;
        }
        format!("moved {} before their activations", counted(swapped, "max pooling"))
    }
}
