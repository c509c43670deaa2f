"""Models that other programs made: what we read and write is what the `onnx` package reads and writes."""

import os
import pathlib
import subprocess
import warnings

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper, shape_inference

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("JOULERY_BINARY", PROJECT / "build/dev/bin/joulery")).resolve().parents[1]
TOOL = BUILD / "test_bin/onnx_tool"
PACKAGE = pathlib.Path(onnx.__file__).parent

# Fields whose presence means something also if they are empty or 0.
KEPT_WHEN_EMPTY = {("AttributeProto", name) for name in ("f", "i", "s")} | {
    ("TensorProto", "raw_data"),
    ("NodeDeviceConfigurationProto", "pipeline_stage"),
    ("Dimension", "dim_value"),
    ("Dimension", "dim_param"),
    ("SimpleShardedDimProto", "dim_value"),
    ("SimpleShardedDimProto", "dim_param"),
}


def tool(*arguments, code=0):
    result = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert result.returncode == code, f"exit {result.returncode}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
    return result.stdout


def normalise(message):
    """Drops what is set to the value that it has when it is absent."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for item in value if field.is_repeated else [value]:
                normalise(item)
        elif not field.is_repeated and not value and (message.DESCRIPTOR.name, field.name) not in KEPT_WHEN_EMPTY:
            message.ClearField(field.name)
    return message


def normal_bytes(model):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return normalise(copy).SerializeToString(deterministic=True)


def round_trip(models, folder):
    """Each model of {name: ModelProto} through our reader and writer, and back from a side file too."""
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    (folder / "side").mkdir()
    for name, model in models.items():
        (folder / "in" / f"{name}.onnx").write_bytes(model.SerializeToString())
    tool("copy", folder / "in", folder / "out", "in_model")
    tool("copy", folder / "in", folder / "side", "side_file")
    for name, model in models.items():
        expected = normal_bytes(model)
        written = onnx.load(folder / "out" / f"{name}.onnx")
        assert normal_bytes(written) == expected, name
        assert written.SerializeToString(deterministic=True) == expected, f"{name} is not in canonical form"
        beside = onnx.load(folder / "side" / f"{name}.onnx")
        for ours, theirs in zip(beside.graph.initializer, model.graph.initializer, strict=True):
            assert ours.name == theirs.name
            np.testing.assert_array_equal(as_array(ours), as_array(theirs), err_msg=name)


def is_supported(model):
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    return model.ir_version >= 3 and opsets.get("", 7) >= 7


def as_array(tensor):
    array = numpy_helper.to_array(tensor)
    return array if array.dtype == object else array.view(np.uint8) if array.ndim else array


def make(nodes, inputs, outputs, initializers=(), opset=21, ir=10, **more):
    graph = helper.make_graph(nodes, "main", inputs, outputs, initializers, **more.pop("graph", {}))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir, **more)


def value(name, shape=(1,), element=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, element, shape)


def loop_model():
    body = helper.make_graph(
        [
            helper.make_node("Add", ["state", "x"], ["next"]),
            helper.make_node("Identity", ["go"], ["go_on"]),
        ],
        "body",
        [value("i", (), TensorProto.INT64), value("go", (), TensorProto.BOOL), value("state")],
        [value("go_on", (), TensorProto.BOOL), value("next")],
    )
    trips = helper.make_tensor("trips", TensorProto.INT64, [], [3])
    return make([helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body)], [value("x")], [value("y")], [trips])


def if_model():
    def branch(name, op):
        return helper.make_graph([helper.make_node(op, ["h"], [name])], name, [], [value(name)])

    nodes = [
        helper.make_node("Abs", ["x"], ["h"]),
        helper.make_node(
            "If", ["c"], ["y"], then_branch=branch("yes", "Neg"), else_branch=branch("no", "Sqrt"), name="choice"
        ),
    ]
    return make(nodes, [value("x"), value("c", (), TensorProto.BOOL)], [value("y")])


def scan_model():
    body = helper.make_graph(
        [helper.make_node("Add", ["sum", "row"], ["total"]), helper.make_node("Identity", ["total"], ["out"])],
        "body",
        [value("sum", (2,)), value("row", (2,))],
        [value("total", (2,)), value("out", (2,))],
    )
    node = helper.make_node("Scan", ["start", "x"], ["end", "y"], body=body, num_scan_inputs=1)
    return make([node], [value("start", (2,)), value("x", ("n", 2))], [value("end", (2,)), value("y", ("n", 2))])


def function_model():
    slope = onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    body = helper.make_node("LeakyRelu", ["a"], ["b"])
    body.attribute.append(slope)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    with_default = helper.make_function(
        "local", "Leaky", ["a"], ["b"], [body], imports, [], [helper.make_attribute("slope", 0.25)]
    )
    with_attribute = helper.make_function(
        "local", "Leaky", ["a"], ["b"], [body], imports, ["slope"], overload="steep", doc_string="steeper"
    )
    nodes = [
        helper.make_node("Leaky", ["x"], ["h"], domain="local"),
        helper.make_node("Leaky", ["h"], ["y"], domain="local", overload="steep", slope=0.5),
    ]
    graph = helper.make_graph(nodes, "main", [value("x")], [value("y")])
    return helper.make_model(graph, opset_imports=imports, functions=[with_default, with_attribute], ir_version=10)


def sparse_model():
    values = helper.make_tensor("s", TensorProto.FLOAT, [2], [1.0, 2.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [2], [1, 4])
    sparse = helper.make_sparse_tensor(values, indices, [2, 3])
    constant = helper.make_node("Constant", [], ["c"], sparse_value=sparse)
    nodes = [constant, helper.make_node("Add", ["c", "s"], ["y"])]
    return make(nodes, [], [value("y", (2, 3))], graph={"sparse_initializer": [sparse]})


def types_model():
    """Every type of a value, and every field of the model that describes something."""
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, ["batch", 3, None])
    inputs = [
        helper.make_value_info("t", tensor, "documented"),
        helper.make_value_info("seq", helper.make_sequence_type_proto(tensor)),
        helper.make_value_info("opt", helper.make_optional_type_proto(helper.make_sequence_type_proto(tensor))),
        helper.make_value_info("map", helper.make_map_type_proto(TensorProto.STRING, tensor)),
        helper.make_value_info("sparse", helper.make_sparse_tensor_type_proto(TensorProto.FLOAT, [2, 2])),
        helper.make_value_info("scalar", helper.make_tensor_type_proto(TensorProto.INT64, [])),
        helper.make_value_info("unranked", helper.make_tensor_type_proto(TensorProto.INT64, None)),
    ]
    inputs[0].type.denotation = "IMAGE"
    inputs[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    inputs[0].type.tensor_type.shape.dim[1].dim_value = 0
    model = make(
        [helper.make_node("Identity", ["t"], ["y"], name="ä/漢")], inputs, [helper.make_value_info("y", tensor)]
    )
    model.producer_name = "tests"
    model.domain = "org.example"
    model.model_version = 7
    model.doc_string = "Umlaute: äöü"
    helper.set_model_props(model, {"key": "value", "empty": ""})
    graph = model.graph
    graph.node[0].metadata_props.add(key="namespace", value="a.b")
    graph.metadata_props.add(key="k", value="v")
    annotation = graph.quantization_annotation.add(tensor_name="y")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="t")
    configuration = graph.node[0].device_configurations.add(configuration_id="c", pipeline_stage=0)
    sharding = configuration.sharding_spec.add(tensor_name="y", device=[0, 1])
    sharding.index_to_device_group_map.add(key=0, value=[1, 2])
    sharding.sharded_dim.add(axis=-1).simple_sharding.add(dim_value=4, num_shards=2)
    model.configuration.add(name="c", num_devices=2, device=["a", "b"])
    training = model.training_info.add()
    training.algorithm.name = "step"
    training.algorithm.node.add(op_type="Neg", input=["y"], output=["g"])
    training.algorithm.output.add(name="g")
    training.update_binding.add(key="y", value="g")
    return model


def attributes_model():
    node = helper.make_node("Custom", ["x"], ["y"], domain="com.microsoft")
    tensor = helper.make_tensor("", TensorProto.FLOAT, [1], [1.0])
    graph = helper.make_graph([], "empty", [], [])
    kinds = {
        "f": 0.0,
        "i": 0,
        "s": b"\xff\x00",
        "t": tensor,
        "g": graph,
        "floats": [1.5, -2.0],
        "ints": [2**63 - 1, -(2**63), 0],
        "strings": ["a", ""],
        "tensors": [tensor, tensor],
        "graphs": [graph],
        "tp": helper.make_tensor_type_proto(TensorProto.INT4, [1]),
        "type_protos": [helper.make_tensor_type_proto(TensorProto.INT4, [1])],
    }
    for name, kind in kinds.items():
        node.attribute.append(helper.make_attribute(name, kind))
    node.attribute.append(helper.make_attribute("none", [], attr_type=onnx.AttributeProto.INTS))
    model = make([node], [value("x")], [value("y")])
    model.opset_import.add(domain="com.microsoft", version=1)
    return model


MADE = {
    "loop": loop_model,
    "if": if_model,
    "scan": scan_model,
    "function": function_model,
    "sparse": sparse_model,
    "types": types_model,
    "attributes": attributes_model,
}


def test_made_by_hand(tmp_path):
    models = {name: build() for name, build in MADE.items()}
    for name in ("loop", "if", "scan", "function", "sparse"):
        onnx.checker.check_model(models[name])
    round_trip(models, tmp_path)


def test_what_we_write_passes_the_checker_and_runs(tmp_path):
    models = {name: MADE[name]() for name in ("loop", "if", "scan", "function")}
    round_trip(models, tmp_path)
    feeds = {
        "loop": {"x": np.ones(1, np.float32)},
        "if": {"x": -np.ones(1, np.float32), "c": np.array(True)},
        "scan": {"start": np.zeros(2, np.float32), "x": np.ones((5, 2), np.float32)},
        "function": {"x": -np.ones(1, np.float32)},
    }
    for name, feed in feeds.items():
        written = tmp_path / "out" / f"{name}.onnx"
        onnx.checker.check_model(written)
        expected = ort.InferenceSession(models[name].SerializeToString()).run(None, feed)
        for path in (written, tmp_path / "side" / f"{name}.onnx"):
            got = ort.InferenceSession(path).run(None, feed)
            for ours, theirs in zip(got, expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_the_standards_own_cases(tmp_path):
    """A model for each operator in each of its forms, about 1900."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    assert len(cases) > 1000
    models = {case.name: case.model for case in cases if is_supported(case.model)}
    assert len(models) > 1000
    round_trip(models, tmp_path)


def test_the_standards_model_files(tmp_path):
    files = sorted((PACKAGE / "backend/test/data").rglob("model.onnx"))
    assert len(files) > 50
    models = {}
    for file in files:
        model = onnx.load(file)
        if is_supported(model):
            models[f"{file.parent.parent.name}_{file.parent.name}"] = model
    assert models
    round_trip(models, tmp_path)


def element_types():
    return [
        number
        for name, number in TensorProto.DataType.items()
        if number not in (TensorProto.UNDEFINED, TensorProto.STRING)
    ]


def test_every_type_of_element(tmp_path):
    """Raw and typed data of the same elements are the same raw bytes."""
    generator = np.random.default_rng(1)
    tensors = []
    for element in element_types():
        name = TensorProto.DataType.Name(element)
        dtype = helper.tensor_dtype_to_np_dtype(element)
        values = (generator.random(7) * 3).astype(np.float32)
        array = (values + 1j * values if "COMPLEX" in name else values).astype(dtype)
        raw = numpy_helper.from_array(array, f"{name}_raw")
        assert raw.data_type == element
        tensors.append(raw)
        typed = helper.make_tensor(f"{name}_typed", element, [7], array.tolist())
        assert not typed.HasField("raw_data")
        tensors.append(typed)
    model = make([helper.make_node("Relu", ["x"], ["y"])], [value("x")], [value("y")], tensors, ir=14)
    round_trip({"types": model}, tmp_path)
    lines = [line.split(" ") for line in tool("raw", tmp_path / "in/types.onnx").splitlines()]
    raw = {name: data for name, _, data in lines}
    for tensor in tensors:
        kind = tensor.name.rsplit("_", 1)[0]
        expected = next(t for t in tensors if t.name == f"{kind}_raw").raw_data.hex()
        assert raw[tensor.name] == expected, tensor.name


def test_strings(tmp_path):
    tensor = helper.make_tensor("s", TensorProto.STRING, [3], ["a", "", "ä"])
    model = make([helper.make_node("Identity", ["s"], ["y"])], [], [value("y", (3,), TensorProto.STRING)], [tensor])
    round_trip({"strings": model}, tmp_path)


def test_external_data_of_the_onnx_package(tmp_path):
    generator = np.random.default_rng(2)
    weights = [numpy_helper.from_array(generator.random((64, 64), np.float32), f"w{i}") for i in range(3)]
    nodes = [helper.make_node("MatMul", [f"h{i}" if i else "x", f"w{i}"], [f"h{i + 1}"]) for i in range(3)]
    model = make(nodes, [value("x", (1, 64))], [value("h3", (1, 64))], weights)
    for one_file in (True, False):
        folder = tmp_path / f"theirs_{one_file}"
        folder.mkdir()
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        onnx.save(
            copy,
            folder / "m.onnx",
            save_as_external_data=True,
            all_tensors_to_one_file=one_file,
            location="w.bin" if one_file else None,
            size_threshold=0,
        )
        assert tool("inspect", folder / "m.onnx") == ""
        out = tmp_path / f"ours_{one_file}"
        out.mkdir()
        tool("copy", folder, out, "in_model")
        assert normal_bytes(onnx.load(out / "m.onnx")) == normal_bytes(model)


def test_trained_models(tmp_path):
    from skl2onnx import to_onnx
    from sklearn.cluster import KMeans
    from sklearn.datasets import load_digits, load_iris
    from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    iris, digits = load_iris(), load_digits()
    trained = {
        "logistic": (LogisticRegression(max_iter=500), iris),
        "forest": (RandomForestClassifier(10, random_state=1), digits),
        "network": (make_pipeline(StandardScaler(), MLPClassifier((32,), max_iter=30, random_state=1)), digits),
        "boosting": (GradientBoostingRegressor(n_estimators=10, random_state=1), iris),
        "clusters": (KMeans(3, n_init=1, random_state=1), iris),
    }
    models = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (estimator, data) in trained.items():
            estimator.fit(data.data, data.target)
            models[name] = to_onnx(
                estimator,
                data.data[:1].astype(np.float32),
                options={"zipmap": False} if hasattr(estimator, "predict_proba") else None,
            )
    round_trip(models, tmp_path)
    for name, (_, data) in trained.items():
        onnx.checker.check_model(tmp_path / "out" / f"{name}.onnx")
        assert tool("inspect", tmp_path / "out" / f"{name}.onnx") == ""
        feed = {"X": data.data.astype(np.float32)}
        expected = ort.InferenceSession(models[name].SerializeToString()).run(None, feed)
        for path in (tmp_path / "out" / f"{name}.onnx", tmp_path / "side" / f"{name}.onnx"):
            for ours, theirs in zip(ort.InferenceSession(path).run(None, feed), expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_inferred_shapes_stay(tmp_path):
    model = shape_inference.infer_shapes(if_model())
    assert model.graph.value_info
    round_trip({"inferred": model}, tmp_path)
