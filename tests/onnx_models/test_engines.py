"""What engines tell of a model: shapes from a run, time and precision of operators, several calls at once."""

import pathlib
import subprocess
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import openvino
import pytest
from onnx import TensorProto, helper, numpy_helper
from test_passes import BUILD, convolutional_network, digits, outputs

LIBRARIES = {
    "onnxruntime": next(pathlib.Path(ort.__file__).parent.glob("capi/libonnxruntime.so*")),
    "openvino": next(pathlib.Path(openvino.__file__).parent.glob("libs/libopenvino_c.so*")),
}


def cost(model, folder, engine, *shapes):
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    command = [BUILD / "test_bin/onnx_tool", "cost", path, engine, LIBRARIES[engine], BUILD / "lib", *shapes]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    facts, values = {}, {}
    for line in result.stdout.splitlines():
        key, rest = line.split(" ", 1)
        if key == "value":
            name, kind, dims = rest.rsplit(" ", 2)
            values[name] = (kind, [int(size) for size in dims[1:-1].split(",") if size])
        else:
            facts[key] = int(rest)
    return facts, values


def run(model, folder, engine, *arguments, inputs):
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    flags = []
    for i, array in enumerate(inputs):
        array.tofile(folder / f"{i}.bin")
        flags += ["--input", folder / f"{i}.bin"]
    profile = folder / "profile"
    profile.mkdir(exist_ok=True)
    command = [BUILD / "test_bin/run_model", "--engine", engine, "--library", LIBRARIES[engine]]
    command += ["--plugins", BUILD / "lib", "--model", path, "--output", folder / "out", "--profile", profile]
    result = subprocess.run(
        [*command, *flags, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not list(profile.iterdir())
    return result.stdout.splitlines()


@pytest.mark.parametrize("engine", LIBRARIES)
def test_shapes_are_those_of_a_run(engine, tmp_path):
    """Every value's shape, compared with the values themselves."""
    model = convolutional_network(np.random.default_rng(3), True)
    del model.graph.value_info[:]
    facts, values = cost(model, tmp_path, engine, "x=5,1,8,8")
    everything = onnx.ModelProto()
    everything.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output]
    del everything.graph.output[:]
    everything.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    arrays = outputs(everything, {"x": np.zeros((5, 1, 8, 8), np.float32)})
    for name, array in zip(names, arrays, strict=True):
        assert values[name] == (str(array.dtype), list(array.shape)), name
    # Two convolutions with a padding of 1, then a matrix.
    assert facts["macs"] == 5 * (4 * 64 * 9 + 6 * 64 * 4 * 9 + 6 * 10)
    used = {name for node in model.graph.node for name in node.input}
    sizes = [numpy_helper.to_array(tensor).size for tensor in model.graph.initializer if tensor.name in used]
    assert facts["parameters"] == sum(sizes)
    assert facts["unknown"] == 0


def test_values_that_are_no_tensors_spoil_no_others(tmp_path):
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    data = digits()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = to_onnx(LogisticRegression(max_iter=20).fit(data.data, data.target), data.data[:1].astype(np.float32))
    assert "ZipMap" in [node.op_type for node in model.graph.node]
    facts, values = cost(model, tmp_path, "onnxruntime", "X=7,64")
    assert facts["unknown"] == 1
    assert values["probabilities"] == ("float32", [7, 10])


def quantised_network():
    """A convolution between pairs, one that lacks the pair behind it, and a Softmax."""
    generator = np.random.default_rng(11)

    def constant(name, array):
        return numpy_helper.from_array(np.asarray(array), name)

    nodes = []

    def pair(value, name):
        nodes.append(helper.make_node("QuantizeLinear", [value, "s", "z"], [f"{name}_q"], name=f"{name}_q"))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", "s", "z"], [name], name=f"{name}_d"))

    pair("x", "xd")
    for weight in ("w1", "w2"):
        nodes.append(helper.make_node("DequantizeLinear", [weight, "ws"], [f"{weight}d"], name=f"{weight}_d"))
    nodes.append(helper.make_node("Conv", ["xd", "w1d"], ["a"], name="low", pads=[1] * 4))
    pair("a", "ad")
    nodes.append(helper.make_node("Conv", ["ad", "w2d"], ["b"], name="high", pads=[1] * 4))
    nodes.append(helper.make_node("Tanh", ["b"], ["y"], name="tanh"))
    constants = [
        constant("s", np.float32(0.05)),
        constant("z", np.uint8(128)),
        constant("ws", np.float32(0.01)),
        constant("w1", generator.integers(-127, 127, (32, 16, 3, 3)).astype(np.int8)),
        constant("w2", generator.integers(-127, 127, (16, 32, 3, 3)).astype(np.int8)),
    ]
    value = helper.make_tensor_value_info
    shape = [1, 16, 24, 24]
    graph = helper.make_graph(
        nodes,
        "quantised",
        [value("x", TensorProto.FLOAT, shape)],
        [value("y", TensorProto.FLOAT, shape)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("engine", LIBRARIES)
def test_what_is_asked_for_and_what_runs(engine, tmp_path):
    model = quantised_network()
    image = np.random.default_rng(1).normal(0, 2, (1, 16, 24, 24)).astype(np.float32)
    lines = run(model, tmp_path, engine, "--precision", "i8", "--calls", "20", "--forks", "3", inputs=[image])
    asked = {line.split("|")[1]: line.split("|")[4] for line in lines if line.startswith("requested|")}
    assert asked["low"] == "low"
    # ONNX Runtime wants a pair behind a convolution, OpenVINO does not.
    assert asked["high"] == {"onnxruntime": "not low", "openvino": "low"}[engine]
    assert set(asked) == {"low", "high"}
    operators = [line.split("|")[1:] for line in lines if line.startswith("operator|")]
    convolutions = [each for each in operators if "Conv" in each[1]]
    assert len(convolutions) == 2
    assert all(int(each[4]) > 20 and float(each[5]) > 0 for each in convolutions)
    # Three threads of 50 calls each.
    assert [line for line in lines if line.startswith("fork_same")] == ["fork_same 50"] * 3
