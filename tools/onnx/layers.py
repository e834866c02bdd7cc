"""Writes crates/tensor/tests/fixtures/onnx_layers.json: layers of one operator each with the outputs that PyTorch gave for
them, from the backend tests of the package `onnx` (1.23.2, Apache-2.0). Run at the root of the repository:

    python3 -m venv venv && venv/bin/pip install onnx==1.23.2 && venv/bin/python tools/onnx/layers.py

Each case has its node (operator, attributes, names of inputs) and its values (shape, elements) by name; what comes out is
named `expected`. Of several outputs the first is taken.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

DATA = Path(onnx.__file__).parent / "backend/test/data"
OUT = Path("crates/tensor/tests/fixtures/onnx_layers.json")
CONVERTED = """AvgPool2d AvgPool2d_stride BatchNorm1d_3d_input_eval BatchNorm2d_eval BatchNorm2d_momentum_eval Conv2d
    Conv2d_no_bias Conv2d_padding Conv2d_strided Embedding LeakyReLU LeakyReLU_with_negval Linear LogSoftmax MaxPool2d
    ReLU Sigmoid Softmax Tanh ZeroPad2d""".split()
OPERATORS = ["chunk", "clip", "concat2", "permute2"]


def value(array):
    words = array.dtype.kind in "iu"
    data = array.astype(np.int64 if words else np.float32).ravel().tolist()
    # As many digits as tell singles apart.
    return {"shape": list(array.shape), "data": data if words else [float(f"{x:.9g}") for x in data]}


def attributes(node):
    found = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {name: v.decode() if isinstance(v, bytes) else v for name, v in found.items()}


def case(folder):
    graph = onnx.load(folder / "model.onnx").graph
    (node,) = graph.node
    values = {tensor.name: value(numpy_helper.to_array(tensor)) for tensor in graph.initializer}
    inputs = [entry.name for entry in graph.input if entry.name not in values]
    for index, name in enumerate(inputs):
        values[name] = value(numpy_helper.to_array(onnx.load_tensor(folder / f"test_data_set_0/input_{index}.pb")))
    expected = value(numpy_helper.to_array(onnx.load_tensor(folder / "test_data_set_0/output_0.pb")))
    return {
        "name": folder.name.removeprefix("test_"),
        "operator": node.op_type,
        "attributes": attributes(node),
        "inputs": list(node.input),
        "values": values,
        "expected": expected,
    }


folders = [DATA / f"pytorch-converted/test_{name}" for name in CONVERTED]
folders += [DATA / f"pytorch-operator/test_operator_{name}" for name in OPERATORS]
OUT.write_text("[\n" + ",\n".join(json.dumps(case(folder), sort_keys=True) for folder in folders) + "\n]\n")
print(f"{OUT}: {len(folders)} layers, {OUT.stat().st_size} bytes")
