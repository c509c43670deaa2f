"""Each pass against what it promises: ONNX Runtime gets the same from the model before and after, its own
optimisations turned off, on random and on real input."""

import os
import pathlib
import subprocess
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("JOULERY_BINARY", PROJECT / "build/dev/bin/joulery")).resolve().parents[1]
EXACT = ["identity removal", "dead removal", "duplicate removal", "activation folding"]
ROUNDED = ["Gemm fusion", "batch norm folding", "bias folding"]


def apply(name, model, folder):
    """How much the pass changed, and the new model."""
    before, after = folder / "before.onnx", folder / "after.onnx"
    before.write_bytes(model.SerializeToString())
    result = subprocess.run(
        [BUILD / "test_bin/onnx_tool", "passes", name, before, after], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    changed = onnx.load(after)
    onnx.checker.check_model(changed)
    return int(result.stdout), changed


def outputs(model, feed):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options).run(None, feed)


def expect_same(model, changed, feeds, is_exact):
    assert [o.name for o in changed.graph.output] == [o.name for o in model.graph.output]
    assert [i.name for i in changed.graph.input] == [i.name for i in model.graph.input]
    for feed in feeds:
        for new, old in zip(outputs(changed, feed), outputs(model, feed), strict=True):
            if is_exact or not np.issubdtype(old.dtype, np.floating):
                np.testing.assert_array_equal(new, old)
            else:
                np.testing.assert_allclose(new, old, rtol=2e-5, atol=2e-5)


def digits():
    from sklearn.datasets import load_digits

    return load_digits()


def convolutional_network(generator, bias):
    """Conv, BatchNormalization, Relu twice, then a mean and a classifier of MatMul and Add, with things to remove."""

    def constant(name, *shape):
        return numpy_helper.from_array(generator.normal(0, 0.5, shape).astype(np.float32), name)

    nodes, constants, channels, last = [], [], 1, "x"
    for i, width in enumerate((4, 6)):
        constants.append(constant(f"w{i}", width, channels, 3, 3))
        inputs = [last, f"w{i}"]
        if bias:
            constants.append(constant(f"b{i}", width))
            inputs.append(f"b{i}")
        for kind in ("scale", "shift", "mean"):
            constants.append(constant(f"{kind}{i}", width))
        variance = generator.uniform(0.1, 2, width).astype(np.float32)
        constants.append(numpy_helper.from_array(variance, f"variance{i}"))
        nodes += [
            helper.make_node("Conv", inputs, [f"c{i}"], pads=[1, 1, 1, 1]),
            helper.make_node(
                "BatchNormalization",
                [f"c{i}", *(f"{kind}{i}" for kind in ("scale", "shift", "mean", "variance"))],
                [f"n{i}"],
            ),
            helper.make_node("Identity", [f"n{i}"], [f"i{i}"]),
            helper.make_node("Relu", [f"i{i}"], [f"u{i}"]),
            helper.make_node("Clip", [f"u{i}", "", "six"], [f"r{i}"]),
        ]
        channels, last = width, f"r{i}"
    constants.append(numpy_helper.from_array(np.float32(1.5), "six"))
    constants += [constant("classes", 6, 10), constant("offset", 10), constant("unused", 3)]
    constants.append(numpy_helper.from_array(numpy_helper.to_array(constants[-2]), "offset_again"))
    nodes += [
        helper.make_node("GlobalAveragePool", ["r1"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "classes"], ["product"]),
        helper.make_node("Add", ["offset", "product"], ["logits"]),
        helper.make_node("Add", ["logits", "offset_again"], ["shifted"]),
        helper.make_node("Softmax", ["shifted"], ["y"]),
        helper.make_node("Softmax", ["shifted"], ["z"]),
        helper.make_node("Identity", ["z"], ["again"]),
        helper.make_node("Exp", ["z"], ["nobody"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "network",
        [value("x", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [value("y", TensorProto.FLOAT, ["n", 10]), value("again", TensorProto.FLOAT, ["n", 10])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return shape_inference.infer_shapes(model)


@pytest.mark.parametrize("name", [*EXACT, *ROUNDED, "all"])
@pytest.mark.parametrize("bias", [True, False])
def test_a_network_of_convolutions(name, bias, tmp_path):
    generator = np.random.default_rng(3)
    model = convolutional_network(generator, bias)
    images = digits().images[:200, None].astype(np.float32) / 16
    feeds = [{"x": images}, {"x": generator.normal(0, 2, (16, 1, 8, 8)).astype(np.float32)}]
    count, changed = apply(name, model, tmp_path)
    assert count > 0
    smaller = len(changed.graph.node) < len(model.graph.node) or len(changed.graph.initializer) < len(
        model.graph.initializer
    )
    assert smaller
    expect_same(model, changed, feeds, name in EXACT)
    if name == "all":
        kinds = [node.op_type for node in changed.graph.node]
        assert kinds == ["Conv", "Clip"] * 2 + ["GlobalAveragePool", "Flatten", "Gemm", "Softmax", "Softmax"]


@pytest.mark.parametrize("name", [*EXACT, *ROUNDED, "all"])
def test_trained_models(name, tmp_path):
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = digits()
    inputs = data.data.astype(np.float32)
    for number, estimator in enumerate(
        [
            make_pipeline(StandardScaler(), MLPClassifier((32, 16), max_iter=40, random_state=1)),
            RandomForestClassifier(10, random_state=1),
        ]
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(data.data[:1000], data.target[:1000])
            model = to_onnx(estimator, inputs[:1], options={"zipmap": False})
        folder = tmp_path / str(number)
        folder.mkdir()
        _, changed = apply(name, model, folder)
        expect_same(model, changed, [{"X": inputs[1000:]}], name in EXACT)


def test_the_standards_own_cases(tmp_path):
    """All passes on models of the standard's tests that ONNX Runtime runs: their outputs stay exactly the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    compared = 0
    for case in cases[::2]:
        model = case.model
        inputs = case.data_sets[0][0]
        # A node alone leaves nothing to do.
        if len(model.graph.node) < 2 or not all(isinstance(array, np.ndarray) for array in inputs):
            continue
        feed = {info.name: array for info, array in zip(model.graph.input, inputs, strict=False)}
        try:
            expected = outputs(model, feed)
        except Exception:
            continue  # ONNX Runtime has not got this operator or type
        count, changed = apply("all", model, tmp_path)
        if count == 0:
            continue
        compared += 1
        for new, old in zip(outputs(changed, feed), expected, strict=True):
            np.testing.assert_array_equal(new, old, err_msg=case.name)
    assert compared > 60


def library():
    (path,) = pathlib.Path(ort.__file__).parent.glob("capi/libonnxruntime.so*")
    return path


def fold(model, folder):
    before, after = folder / "before.onnx", folder / "after.onnx"
    before.write_bytes(model.SerializeToString())
    result = subprocess.run(
        [BUILD / "test_bin/onnx_tool", "fold", before, after, "onnxruntime", library(), BUILD / "lib"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return int(result.stdout), onnx.load(after)


def test_constants_are_computed_once(tmp_path):
    """A weight that is transposed and scaled, shape arithmetic, and int8 weights that must stay int8."""
    generator = np.random.default_rng(7)

    def constant(name, array):
        return numpy_helper.from_array(np.asarray(array), name)

    nodes = [
        helper.make_node("Transpose", ["w"], ["wt"]),
        helper.make_node("Mul", ["wt", "two"], ["w2"]),
        helper.make_node("MatMul", ["x", "w2"], ["h"]),
        helper.make_node("Shape", ["w"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["size"]),
        helper.make_node("Unsqueeze", ["size", "axes"], ["sizes"]),
        helper.make_node("Constant", [], ["minus"], value_ints=[-1]),
        helper.make_node("Concat", ["minus", "sizes"], ["target"], axis=0),
        helper.make_node("Reshape", ["h", "target"], ["r"]),
        helper.make_node("DequantizeLinear", ["q", "scale"], ["d"]),
        helper.make_node("MatMul", ["r", "d"], ["m"]),
        helper.make_node("RandomNormalLike", ["two"], ["chance"]),
        helper.make_node("Mul", ["chance", "nothing"], ["none"]),
        helper.make_node("Add", ["m", "none"], ["y"]),
    ]
    constants = [
        constant("w", generator.normal(size=(40, 30)).astype(np.float32)),
        constant("two", np.float32(2)),
        constant("nothing", np.float32(0)),
        constant("zero", np.int64(0)),
        constant("axes", np.array([0])),
        constant("q", generator.integers(-128, 127, (40, 5)).astype(np.int8)),
        constant("scale", np.float32(0.01)),
    ]
    value = helper.make_tensor_value_info
    ends = [value("x", TensorProto.FLOAT, ["n", 30])], [value("y", TensorProto.FLOAT, ["n", 5])]
    graph = helper.make_graph(nodes, "constants", *ends, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    count, changed = fold(model, tmp_path)
    assert count > 7
    onnx.checker.check_model(changed)
    kinds = [node.op_type for node in changed.graph.node]
    assert kinds == ["MatMul", "Reshape", "DequantizeLinear", "MatMul", "RandomNormalLike", "Mul", "Add"]
    expect_same(model, changed, [{"x": generator.normal(size=(7, 30)).astype(np.float32)}], True)

    def size(of):
        return sum(numpy_helper.to_array(tensor).nbytes for tensor in of.graph.initializer)

    assert size(changed) <= size(model) + 64


def test_standard_models_with_constants(tmp_path):
    """Models of the standard's tests, their inputs made constants: all of them can be computed beforehand."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    compared = 0
    for case in cases[::5]:
        inputs = case.data_sets[0][0]
        if len(inputs) < 2 or not all(isinstance(array, np.ndarray) for array in inputs):
            continue
        if any(each.domain for each in case.model.opset_import):
            continue
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        names = [info.name for info in model.graph.input]
        for name, array in zip(names, inputs, strict=False):
            model.graph.initializer.append(numpy_helper.from_array(array, name))
        del model.graph.input[:]
        try:
            expected = outputs(model, {})
        except Exception:
            continue  # ONNX Runtime has not got this operator or type
        # Outputs stay nodes: an Identity takes what is computed.
        for info in model.graph.output:
            for node in model.graph.node:
                node.output[:] = [f"{name}_" if name == info.name else name for name in node.output]
                node.input[:] = [f"{name}_" if name == info.name else name for name in node.input]
            model.graph.node.append(helper.make_node("Identity", [f"{info.name}_"], [info.name]))
        count, changed = fold(model, tmp_path)
        if count == 0:
            continue
        compared += 1
        for new, old in zip(outputs(changed, {}), expected, strict=True):
            np.testing.assert_array_equal(new, old, err_msg=case.name)
    assert compared > 60
