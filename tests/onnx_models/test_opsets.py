"""The upgrade of opsets against what it promises: ONNX Runtime gets the same from the model before and after, its
own optimisations turned off."""

import subprocess
import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from test_passes import BUILD, digits, outputs

TOOL = BUILD / "test_bin/onnx_tool"
TARGET = 21
NEWEST = 25


def upgrade(model, folder, target=TARGET):
    before, after = folder / "before.onnx", folder / "after.onnx"
    before.write_bytes(model.SerializeToString())
    command = [TOOL, "upgrade", before, after, str(target)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        return None, result.stderr
    return onnx.load(after), result.stdout


def compare(new, old, name):
    # ONNX Runtime's kernels for these add up in another order in newer versions.
    if "AveragePool" in name or "averagepool" in name:
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-6, err_msg=name)
    else:
        np.testing.assert_array_equal(new, old, err_msg=name)


def expect_same(model, feed, folder, name="", target=TARGET):
    expected = outputs(model, feed)
    changed, said = upgrade(model, folder, target)
    assert changed is not None, f"{name}: {said}"
    assert changed.opset_import[0].version == target
    for new, old in zip(outputs(changed, feed), expected, strict=True):
        compare(new, old, name)
    for info, array in zip(changed.graph.output, expected, strict=True):
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        info.CopyFrom(helper.make_tensor_value_info(info.name, kind, array.shape))
    onnx.checker.check_model(changed, full_check=True)


def make(nodes, inputs, opset, constants=(), n_outputs=1):
    """A model of nodes in a row whose last gives "y"."""
    value = helper.make_tensor_value_info
    types = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float16): TensorProto.FLOAT16}
    types |= {np.dtype(np.float64): TensorProto.DOUBLE, np.dtype(np.int64): TensorProto.INT64}
    graph = helper.make_graph(
        nodes,
        "old",
        [value(name, types[array.dtype], array.shape) for name, array in inputs.items()],
        [onnx.ValueInfoProto(name="y" if i == 0 else f"y{i}") for i in range(n_outputs)],
        [numpy_helper.from_array(array, name) for name, array in dict(constants).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


GENERATOR = np.random.default_rng(5)


def random(*shape, dtype=np.float32):
    return GENERATOR.normal(0, 2, shape).astype(dtype)


IMAGE = {"x": random(2, 3, 6, 8)}
CUBE = {"x": random(2, 3, 4)}
ONES = {"x": random(1, 3, 1, 4)}


def node(op, **attributes):
    return helper.make_node(op, ["x"], ["y"], **attributes)


CASES = [
    # Slice, TopK, Dropout, Upsample and Resize: 10 and 11
    (node("Slice", starts=[0, 1], ends=[2, -1], axes=[0, 2]), CUBE, range(7, 10)),
    (node("Slice", starts=[0, 1], ends=[1, 9223372036854775807]), CUBE, range(7, 10)),
    (helper.make_node("TopK", ["x"], ["y", "y1"], k=2, axis=1), CUBE, range(7, 10)),
    (node("Dropout", ratio=0.3), CUBE, range(7, 12)),
    (node("Upsample", scales=[1.0, 1.0, 2.0, 3.0], mode="nearest"), IMAGE, [7, 8]),
    (node("Upsample", scales=[1.0, 1.0, 1.5, 2.5], mode="nearest"), IMAGE, [7, 8]),
    (node("Upsample", scales=[1.0, 1.0, 1.7, 3.0], mode="linear"), IMAGE, [7, 8]),
    # Pad, Clip
    (node("Pad", pads=[0, 1, 2, 0, 3, 1]), CUBE, range(7, 11)),
    (node("Pad", pads=[0, 1, 2, 0, 0, 1], value=1.5, mode="constant"), CUBE, range(7, 11)),
    (node("Pad", pads=[0, 1, 2, 0, 0, 1], mode="reflect"), CUBE, range(7, 11)),
    (node("Clip", min=-1.0, max=0.5), CUBE, range(7, 11)),
    (node("Clip", max=0.5), CUBE, range(7, 11)),
    (node("Clip"), CUBE, range(7, 11)),
    (node("Pad", pads=[1, 2], value=1.5), {"x": random(5, dtype=np.float64)}, range(7, 11)),
    # Softmax and its kin
    *[(node(op, axis=axis), CUBE, range(7, 13)) for op in ("Softmax", "LogSoftmax", "Hardmax") for axis in (0, 1, 2)],
    (node("Softmax"), {"x": random(4, 5)}, range(7, 13)),
    (node("Softmax"), IMAGE, range(7, 13)),
    (node("Softmax", axis=-2), CUBE, [11, 12]),
    # Axes
    (node("Squeeze", axes=[0, 2]), ONES, range(7, 13)),
    (node("Squeeze"), ONES, range(7, 13)),
    (node("Unsqueeze", axes=[0, 3]), CUBE, range(7, 13)),
    *[
        (
            node(op, axes=[0, 2], keepdims=keep),
            {"x": np.abs(random(2, 3, 4)) + 0.1},
            range(7, 13 if "Sum" in op else 18),
        )
        for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2")
        for keep in (0, 1)
    ],
    *[
        (node(op), {"x": np.abs(random(2, 3, 4)) + 0.1}, range(7, 18))
        for op in ("ReduceSum", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare", "ReduceMax")
    ],
    (helper.make_node("Split", ["x"], ["y", "y1"], axis=2, split=[1, 3]), CUBE, range(7, 13)),
    (helper.make_node("Split", ["x"], ["y", "y1"], axis=2), CUBE, range(7, 18)),
    (node("DFT", onesided=1), {"x": random(2, 8, 1)}, range(17, 20)),
    # What stays as it is
    (node("Flatten", axis=2), IMAGE, range(7, 13)),
    (node("MaxPool", kernel_shape=[2, 2], strides=[2, 2]), IMAGE, range(7, 13)),
    (node("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), IMAGE, range(7, 20)),
    (node("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), IMAGE, range(10, 20)),
    (node("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), IMAGE, range(10, 20)),
    (node("ArgMax", axis=1), CUBE, range(7, 13)),
    (node("DepthToSpace", blocksize=2), {"x": random(1, 8, 2, 3)}, range(7, 13)),
    (node("Cast", to=TensorProto.INT64), CUBE, range(7, 19)),
    (node("LpPool", kernel_shape=[2, 2]), IMAGE, range(11, 18)),
]


@pytest.mark.parametrize("index", range(len(CASES)))
def test_operators(index, tmp_path):
    case, feed, versions = CASES[index]
    for opset in versions:
        model = make([case], feed, opset, n_outputs=len(case.output))
        expect_same(model, feed, tmp_path, f"{case.op_type} of {opset}")
    expect_same(model, feed, tmp_path, f"{case.op_type} of {opset}", target=23)


def several_inputs():
    statistics = {"s": random(3), "b": random(3), "m": random(3), "v": np.abs(random(3)) + 0.1}
    resize = {"mode": "nearest"}
    scales = {"up": np.array([1, 1, 2, 2.5], np.float32), "down": np.array([1, 1, 0.5, 0.7], np.float32)}
    sizes = {"roi": np.zeros(0, np.float32), "none": np.zeros(0, np.float32), "sizes": np.array([2, 3, 9, 4])}
    grid = GENERATOR.uniform(-1, 1, (2, 4, 5, 2)).astype(np.float32)
    boxes = {"r": np.array([[0, 0, 4, 4], [1, 2, 5, 5]], np.float32), "i": np.array([0, 1])}
    kinds = {"nearest": "nearest", "bilinear": "bilinear", "bicubic": "bicubic"}
    yield (
        helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], epsilon=1e-3),
        IMAGE,
        statistics,
        range(7, 16),
    )
    yield helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], spatial=1), IMAGE, statistics, [7, 8]
    for name in scales:
        yield helper.make_node("Resize", ["x", name], ["y"], **resize), IMAGE, scales, [10]
        yield helper.make_node("Resize", ["x", name], ["y"], mode="linear"), IMAGE, scales, [10]
    yield helper.make_node("Upsample", ["x", "up"], ["y"], **resize), IMAGE, scales, [9]
    yield helper.make_node("Resize", ["x", "roi", "none", "sizes"], ["y"], **resize), IMAGE, sizes, [11, 12]
    yield helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="cubic"), IMAGE, sizes, range(13, 20)
    scatter = {"at": np.array([[0, 2]]), "new": random(1, 2)}
    yield helper.make_node("Scatter", ["x", "at", "new"], ["y"], axis=1), {"x": random(3, 4)}, scatter, [9, 10]
    for mode in kinds:
        grids = {"g": grid}
        yield helper.make_node("GridSample", ["x", "g"], ["y"], mode=mode), IMAGE, grids, range(16, 20)
    yield (
        helper.make_node("RoiAlign", ["x", "r", "i"], ["y"], output_height=2, output_width=2),
        IMAGE,
        boxes,
        range(10, 16),
    )
    groups = {"gs": random(2), "gb": random(2)}
    yield (
        helper.make_node("GroupNormalization", ["x", "gs", "gb"], ["y"], num_groups=2),
        {"x": random(2, 4, 3, 3)},
        groups,
        range(18, 21),
    )


SEVERAL = list(several_inputs())


@pytest.mark.parametrize("index", range(len(SEVERAL)))
def test_operators_with_constants(index, tmp_path):
    case, feed, constants, versions = SEVERAL[index]
    for opset in versions:
        used = {name: array for name, array in constants.items() if name in case.input}
        expect_same(make([case], feed, opset, used), feed, tmp_path, f"{case.op_type} of {opset}")


def test_softmax_of_a_shape_that_is_not_known(tmp_path):
    """The rank shows only in a run."""
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["h"]), helper.make_node("Softmax", ["h"], ["y"])]
    for shape in ([2, 12], [2, 3, 4], [2, 3, 2, 2]):
        model = make(nodes, CUBE | {"shape": np.array(shape)}, 9)
        expect_same(model, CUBE | {"shape": np.array(shape)}, tmp_path)


def test_the_standards_own_cases_as_older_ones(tmp_path):
    """Every model of the standard's tests at the oldest opset at which ONNX Runtime takes it as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    compared, seen = 0, {}
    for case in cases:
        model, inputs = case.model, case.data_sets[0][0]
        kinds = {each.op_type for each in model.graph.node}
        if len(kinds) > 1 or not all(isinstance(array, np.ndarray) for array in inputs):
            continue
        kind = next(iter(kinds))
        if seen.get(kind, 0) >= 4 or any(each.domain for each in model.opset_import) or "training" in case.name:
            continue
        feed = {info.name: array for info, array in zip(model.graph.input, inputs, strict=False)}
        for opset in (7, 9, 10, 11, 12, 13, 15, 17, 18, 19, 20):
            old = onnx.ModelProto()
            old.CopyFrom(model)
            old.opset_import[0].version = opset
            old.ir_version = 8
            try:
                onnx.checker.check_model(old)
                expected = [np.asarray(array) for array in outputs(old, feed)]
            except Exception:
                continue  # it is not of this opset, or ONNX Runtime has not got it
            changed, said = upgrade(old, tmp_path)
            assert changed is not None, f"{case.name} of {opset}: {said}"
            for new, was in zip(outputs(changed, feed), expected, strict=True):
                compare(new, was, f"{case.name} of {opset}")
            seen[kind] = seen.get(kind, 0) + 1
            compared += 1
            break
    assert compared > 250
    assert len(seen) > 100


@pytest.mark.parametrize("opset", [9, 10, 11, 13, 17])
def test_trained_models(opset, tmp_path):
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neural_network import MLPClassifier

    data = digits()
    inputs = data.data.astype(np.float32)
    for estimator in (MLPClassifier((32, 16), max_iter=20, random_state=1), RandomForestClassifier(5, random_state=1)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(data.data[:500], data.target[:500])
            model = to_onnx(estimator, inputs[:1], target_opset={"": opset, "ai.onnx.ml": 1}, options={"zipmap": False})
        assert next(each.version for each in model.opset_import if not each.domain) <= opset
        expected = outputs(model, {"X": inputs[500:]})
        changed, said = upgrade(model, tmp_path)
        assert changed is not None, said
        for new, old in zip(outputs(changed, {"X": inputs[500:]}), expected, strict=True):
            np.testing.assert_array_equal(new, old)


def test_the_table_of_changes_is_that_of_the_standard():
    known = set()
    lines = subprocess.run([TOOL, "versions"], capture_output=True, text=True, check=True).stdout.splitlines()
    for line in lines:
        name, version = line.split()
        known.add((name, int(version)))
    first = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.since_version <= NEWEST:
            first[schema.name] = min(first.get(schema.name, 99), schema.since_version)
    expected = {(name, max(version, 7)) for name, version in first.items()}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "" and 7 < schema.since_version <= NEWEST:
            expected.add((schema.name, schema.since_version))
    assert known == expected


def test_what_is_refused_says_so(tmp_path):
    changed, said = upgrade(make([node("Affine")], CUBE, 7), tmp_path)
    assert changed is None and "'Affine' is no operator of opset 7" in said
    scan = helper.make_node("Dropout", ["x"], ["y", "y1"])
    changed, said = upgrade(make([scan], CUBE, 7, n_outputs=2), tmp_path)
    assert changed is None and "its mask is used" in said
