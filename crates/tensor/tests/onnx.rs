//! Layers of one operator with the outputs that PyTorch gave for them, as the package `onnx` ships them
//! (`tools/onnx/layers.py`): an oracle that nobody here has written.

use frugal_tensor::ir::{Element, Graph, ValueId};
use frugal_tensor::ops::activation::Activation;
use frugal_tensor::ops::batch_norm::BatchNormInference;
use frugal_tensor::ops::conv2d::Conv2d;
use frugal_tensor::ops::pool::{AveragePool, MaxPool, Windows};
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{SETS, Tensor, compare, gpu, options};
use serde_json::Value;

struct Layer(Value);

impl Layer {
    fn tensor(value: &Value) -> Tensor {
        let list = |key: &str| value[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap());
        Tensor::new(&list("shape").map(|x| x as usize).collect::<Vec<_>>(), list("data").collect())
    }

    fn number(&self, name: &str) -> f32 {
        self.0["attributes"][name].as_f64().unwrap() as f32
    }

    fn numbers(&self, name: &str) -> Vec<usize> {
        self.0["attributes"][name].as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as usize).collect()
    }

    fn pair(&self, name: &str) -> [usize; 2] {
        [self.numbers(name)[0], self.numbers(name)[1]]
    }

    fn windows(&self) -> Windows {
        Windows { kernel: self.pair("kernel_shape"), stride: self.pair("strides"), padding: self.pair("pads") }
    }

    /// Adds the layer; `None` for what is only part of a loss.
    fn add(&self, g: &mut Graph, v: &[ValueId]) -> Option<ValueId> {
        let y = match self.0["operator"].as_str().unwrap() {
            "AveragePool" => g.apply_one(AveragePool::Sliding(self.windows()), v),
            "BatchNormalization" => g.apply_one(BatchNormInference { epsilon: self.number("epsilon") }, v),
            "Clip" => g.activate(v[0], Activation::Clamp { low: self.number("min"), high: self.number("max") }),
            "Concat" => g.concat(v),
            "Conv" => {
                let (stride, padding, dilation) = (self.pair("strides"), self.pair("pads"), self.pair("dilations"));
                let groups = self.number("group") as usize;
                let operator = Conv2d { stride, padding, dilation, groups, ..Conv2d::default() };
                let y = g.apply_one(operator, &v[..2]).unwrap();
                v.get(2).map_or(Ok(y), |&b| g.bias(y, b))
            }
            "Gather" => g.embedding(v[1], v[0]),
            "Gemm" => {
                let y = g.linear(v[0], v[1]).unwrap();
                g.bias(y, v[2])
            }
            "LeakyRelu" => g.activate(v[0], Activation::LeakyRelu { slope: self.number("alpha") }),
            "LogSoftmax" | "Softmax" => return None,
            "MaxPool" => {
                let Windows { kernel, stride, padding } = self.windows();
                g.apply_one(MaxPool { kernel, stride, padding }, v)
            }
            "Pad" => {
                let pads = self.numbers("pads");
                let (before, after) = pads.split_at(pads.len() / 2);
                let around: Vec<[usize; 2]> = before.iter().zip(after).map(|(b, a)| [*b, *a]).collect();
                g.pad(v[0], &around)
            }
            "Relu" => g.relu(v[0]),
            "Sigmoid" => g.activate(v[0], Activation::Sigmoid),
            "Split" => g.slice(v[0], 0, 0..self.numbers("split")[0]),
            "Tanh" => g.activate(v[0], Activation::Tanh),
            "Transpose" => g.transpose(v[0], &self.numbers("perm")),
            other => panic!("there is no {other} here"),
        };
        Some(y.unwrap())
    }
}

fn layers() -> Vec<Layer> {
    let text = include_str!("fixtures/onnx_layers.json");
    serde_json::from_str::<Vec<Value>>(text).unwrap().into_iter().map(Layer).collect()
}

#[test]
fn layers_give_what_they_gave_in_pytorch() {
    let gpu = gpu();
    let mut checked = 0;
    for layer in layers() {
        let name = layer.0["name"].as_str().unwrap();
        let expected = Layer::tensor(&layer.0["expected"]);
        for set in SETS {
            let mut g = Graph::new();
            let (mut ids, mut uploads) = (Vec::new(), Vec::new());
            for (place, input) in layer.0["inputs"].as_array().unwrap().iter().enumerate() {
                let tensor = Layer::tensor(&layer.0["values"][input.as_str().unwrap()]);
                let words = layer.0["operator"] == "Gather" && place == 1;
                let element = if words { Element::U32 } else { Element::F32 };
                ids.push(g.input(&format!("x{place}"), tensor.shape.as_slice(), element));
                uploads.push(match words {
                    true => tensor.data.iter().map(|&x| x as u32).collect::<Vec<_>>(),
                    false => tensor.f32().into_iter().map(f32::to_bits).collect(),
                });
            }
            let Some(y) = layer.add(&mut g, &ids) else { continue };
            // An output of its own, where the layer is its input.
            let zero = g.input("zero", [1], Element::F32);
            uploads.push(vec![0]);
            let shape = g.shape(y).clone();
            assert_eq!(shape.extents(), expected.shape, "{name}");
            let flat = g.reshape(y, [1, shape.elements()]).unwrap();
            let y = g.bias(flat, zero).unwrap();
            g.mark_metric(y);
            let plan = Plan::new(g, &Policy::raw(), options(&gpu, set)).unwrap();
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
            session.step(0, &uploads.iter().map(|words| bytemuck::cast_slice(words)).collect::<Vec<_>>()).unwrap();
            let done = session.finished().unwrap().pop().unwrap();
            let got: Vec<f64> = (0..done.words.len()).map(|i| f64::from(done.f32(i))).collect();
            compare(&format!("{name} on {set:?}"), &got, &expected.data, 1e-5);
            checked += 1;
        }
    }
    assert_eq!(checked, 22 * SETS.len());
}

/// The loss is the mean of −log softmax at the labels, its gradient (softmax − 1 at the label) / samples.
#[test]
fn cross_entropy_gives_what_softmax_gave_in_pytorch() {
    let gpu = gpu();
    for layer in layers() {
        let log = match layer.0["operator"].as_str().unwrap() {
            "LogSoftmax" => true,
            "Softmax" => false,
            _ => continue,
        };
        let x = Layer::tensor(&layer.0["values"]["0"]);
        let expected = Layer::tensor(&layer.0["expected"]);
        let (samples, classes) = (x.shape[0], x.shape[1]);
        for set in SETS {
            let mut g = Graph::new();
            let logits = g.parameter("logits", [samples, classes], frugal_tensor::ir::Init::Constant(0.0)).unwrap();
            let labels = g.input("labels", [samples], Element::U32);
            let mask = g.input("mask", [samples], Element::F32);
            let loss = g.cross_entropy(logits, labels, mask).unwrap();
            let gradient = g.differentiate(&[(loss, None)]).unwrap()[&logits];
            g.mark_metric(gradient);
            let plan = Plan::new(g, &Policy::raw(), options(&gpu, set)).unwrap();
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
            session.write("logits", &x.f32()).unwrap();
            for first in 0..classes {
                let labels: Vec<u32> = (0..samples).map(|n| ((n + first) % classes) as u32).collect();
                session
                    .step(0, &[bytemuck::cast_slice(&labels), bytemuck::cast_slice(&vec![1.0f32; samples])])
                    .unwrap();
                let done = session.finished().unwrap().pop().unwrap();
                let hit = |i: usize| i % classes == labels[i / classes] as usize;
                if log {
                    let mean = (0..samples * classes).filter(|&i| hit(i)).map(|i| -expected.data[i]).sum::<f64>();
                    compare("log softmax", &[f64::from(done.f32(0))], &[mean / samples as f64], 1e-5);
                } else {
                    let one = |i: usize| f64::from(u8::from(hit(i)));
                    let softmax = |i| samples as f64 * f64::from(done.f32(4 + i)) + one(i);
                    let got: Vec<f64> = (0..samples * classes).map(softmax).collect();
                    compare("softmax", &got, &expected.data, 1e-5);
                }
            }
        }
    }
}
