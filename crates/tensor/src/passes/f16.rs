//! Which values memory holds in f16.
//!
//! Activations and the gradients that come back along them: all that grows with the batch. Everything else stays in f32:
//! inputs, which the host uploads; parameters, what is made of them alone, and their gradients; what operators
//! [always](crate::ir::Output::always_f32) have in f32; metrics; and all that updates work with.

use super::counted;
use crate::ir::{Graph, OperatorKind, Precision, Value, ValueId};
use std::collections::HashMap;

impl Graph {
    /// Lets memory hold in f16 what may be, of the nodes that are there and of those to come. For a graph whose gradients and
    /// metrics are known and whose stores are not.
    pub(crate) fn hold_in_f16(&mut self) -> String {
        self.precision = Precision::F16;
        let mut decoded: HashMap<ValueId, Vec<ValueId>> = HashMap::new();
        for saved in &self.saved_tensors {
            decoded.entry(saved.source).or_default().push(saved.decoded);
        }
        let nodes = std::mem::take(&mut self.nodes);
        for node in &nodes {
            let inputs: Vec<&Value> = node.inputs.iter().map(|&v| self.value(v)).collect();
            let made = node.operator.outputs(&inputs).expect("it took them before");
            for (&output, made) in node.outputs.iter().zip(&made) {
                let Value { role, read_back, .. } = *self.value(output);
                let precision = self.precision_of(&*node.operator, &node.inputs, node.phase, made, role, read_back);
                self.value_mut(output).precision = precision;
                for &decoded in decoded.get(&output).into_iter().flatten() {
                    self.value_mut(decoded).precision = precision;
                }
            }
        }
        self.nodes = nodes;
        self.agree();
        let halves = self.values().iter().filter(|value| value.precision == Precision::F16).count();
        format!("{} of {} held in f16", counted(halves, "value"), self.values().len())
    }

    /// Views share their memory, and kept values are read as they are, so both ends have one precision: f32 where one of them
    /// must. In f32 is also what adds up to something in f32, such as a parameter's gradient.
    fn agree(&mut self) {
        let views = self
            .nodes
            .iter()
            .filter(|node| node.operator.kind() == OperatorKind::View)
            .map(|node| (node.inputs[0], node.outputs[0]));
        let same: Vec<_> = views.chain(self.saved_tensors.iter().map(|saved| (saved.source, saved.decoded))).collect();
        let sums = self.nodes.iter().filter(|node| node.operator.kind() == OperatorKind::Add);
        let terms: Vec<_> = sums.flat_map(|node| node.inputs.iter().map(|&term| (node.outputs[0], term))).collect();
        loop {
            let single = |v: ValueId| self.value(v).precision == Precision::F32;
            let apart = same.iter().filter(|(a, b)| single(*a) != single(*b)).flat_map(|&(a, b)| [a, b]);
            let parts = terms.iter().filter(|(sum, term)| single(*sum) && !single(*term)).map(|(_, term)| *term);
            let must: Vec<ValueId> = apart.chain(parts).collect();
            if must.is_empty() {
                return;
            }
            must.into_iter().for_each(|v| self.value_mut(v).precision = Precision::F32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Element, Init, Need};
    use crate::ops::batch_norm::{BatchNorm, BatchNormState};

    /// The names of the values that memory holds in f16.
    fn halves(graph: &Graph) -> Vec<&str> {
        let halves = graph.values().iter().filter(|value| value.precision == Precision::F16);
        halves.map(|value| value.name.as_str()).collect()
    }

    #[test]
    fn activations_and_their_gradients_are_held_in_f16_and_nothing_else() {
        let mut g = Graph::new();
        let x = g.input("x", [4, 2, 3, 3], Element::F32);
        let w = g.parameter("w", [2, 2, 1, 1], Init::Constant(0.0)).unwrap();
        let y = g.conv2d(x, w, [1, 1], [0, 0]).unwrap();
        let norm = BatchNormState::new(&mut g, 2).unwrap();
        let y = g.apply(BatchNorm { epsilon: 1e-5, momentum: 0.1 }, &norm.inputs(y)).unwrap()[0];
        let arriving = g.input("arriving", [4, 2, 3, 3], Element::F32);
        g.differentiate(&[(y, Some(arriving))]).unwrap();
        g.hold_in_f16();
        // What the norm keeps of its input, too, but not the batch's statistics.
        assert_eq!(halves(&g), [".convolved", ".normalized", ".convolved", ".norm_gradient"]);
        let kept = g.saved_tensors().iter().filter(|saved| saved.need == Need::Exact);
        assert!(
            kept.clone().count() > 0
                && kept.into_iter().all(|saved| g.value(saved.decoded).precision == Precision::F32)
        );
        assert_eq!(g.value(x).bytes(), 4 * 72);
    }

    /// Weights that go through a view and are used twice: their gradients stay in f32 to the end.
    #[test]
    fn what_is_made_of_parameters_alone_stays_in_f32() {
        let mut g = Graph::new();
        let x = g.input("x", [3, 5], Element::F32);
        let w = g.parameter("w", [25], Init::Constant(0.0)).unwrap();
        let square = g.reshape(w, [5, 5]).unwrap();
        let y = g.matmul(x, square).unwrap();
        let z = g.matmul(y, square).unwrap();
        let arriving = g.input("arriving", [3, 5], Element::F32);
        let gradients = g.differentiate(&[(z, Some(arriving))]).unwrap();
        g.hold_in_f16();
        let precision = |v: ValueId| g.value(v).precision;
        assert_eq!([precision(square), precision(gradients[&w]), precision(gradients[&square])], [Precision::F32; 3]);
        assert_eq!([precision(y), precision(z), precision(gradients[&y])], [Precision::F16; 3]);
        assert_eq!(g.value(y).bytes(), 2 * 16);
    }

    #[test]
    fn a_metric_is_read_back_in_f32_and_so_is_what_it_is_a_view_of() {
        let mut g = Graph::new();
        let x = g.input("x", [3, 4], Element::F32);
        let y = g.relu(x).unwrap();
        let flat = g.reshape(y, [12]).unwrap();
        g.mark_metric(flat);
        let z = g.relu(y).unwrap();
        g.hold_in_f16();
        assert_eq!([y, flat, z].map(|v| g.value(v).precision), [Precision::F32, Precision::F32, Precision::F16]);
    }
}
