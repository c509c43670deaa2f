#!/usr/bin/env python3
"""Makes the small network of convolutions that model_bench.py measures: make_network.py FOLDER.

13 layers, 25 million multiply-adds, weights of a fixed seed; with the config.json that optimum's loader asks for.
"""

import json
import pathlib
import sys

import numpy
import onnx
from onnx import TensorProto, helper

random = numpy.random.default_rng(3)
nodes, weights = [], []


def convolve(source, name, inputs, outputs, stride=1):
    scale = (2 / (inputs * 9)) ** 0.5
    weights.append(onnx.numpy_helper.from_array(random.normal(0, scale, (outputs, inputs, 3, 3)).astype("f4"), name))
    nodes.append(helper.make_node("Conv", [source, name], [f"{name}_c"], pads=[1, 1, 1, 1], strides=[stride] * 2))
    nodes.append(helper.make_node("Relu", [f"{name}_c"], [f"{name}_r"]))
    return f"{name}_r"


source, width = convolve("pixel_values", "stem", 3, 16, 2), 16
for stage, wider in enumerate((16, 32, 64)):
    source, width = convolve(source, f"s{stage}", width, wider, 1 if stage == 0 else 2), wider
    for block in range(2):
        first = convolve(source, f"s{stage}b{block}a", width, width)
        second = convolve(first, f"s{stage}b{block}b", width, width)
        nodes.append(helper.make_node("Add", [second, source], [f"s{stage}b{block}"]))
        source = f"s{stage}b{block}"
weights.append(onnx.numpy_helper.from_array(random.normal(0, 0.1, (64, 10)).astype("f4"), "head"))
nodes.append(helper.make_node("GlobalAveragePool", [source], ["pooled"]))
nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
nodes.append(helper.make_node("MatMul", ["flat", "head"], ["logits"]))
graph = helper.make_graph(
    nodes,
    "network",
    [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [1, 3, 64, 64])],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])],
    weights,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
onnx.save(model, folder / "model.onnx")
config = {"model_type": "resnet", "architectures": ["ResNetForImageClassification"], "num_channels": 3}
(folder / "config.json").write_text(json.dumps(config))
processor = {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 64}, "crop_pct": 1.0}
(folder / "preprocessor_config.json").write_text(json.dumps(processor))
