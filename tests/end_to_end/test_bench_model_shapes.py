"""Shapes and sizes: what a model leaves open or fixes, calls that are too large, threads, and how many operations graphs in
operators are. Where a hint names a flag, the flag works."""

import re
import shlex
import sys
import time

import numpy
import pytest
from conftest import PROJECT
from onnx import TensorProto, helper

sys.path.append(str(PROJECT / "tests/models"))

from benched import bench, metrics
from small import QUICK, refused, small_classifier, small_samples
from trained import save


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def classifier(folder):
    return small_classifier(folder / "classifier.onnx")


@pytest.fixture(scope="module")
def samples():
    return small_samples()


# Shapes that the model leaves open.


def shape_flags(message):
    """The flags that a hint shows, as a shell takes them."""
    return shlex.split(" ".join(re.findall(r"--shape \S+", message.split("hint: ")[1])))


def test_the_hint_on_open_shapes_works_when_it_is_followed(joulery, tmp_path):
    path = tmp_path / "model.onnx"
    shape = ["N", 3, "height", "width"]
    save(path, [helper.make_node("Relu", ["x y:0"], ["y"])], [("x y:0", shape)], [("y", shape)])
    message = refused(joulery, path)
    assert "'x y:0'" in message
    flags = shlex.split(re.search(r"--shape '[^']*'", message).group())
    document = bench(joulery, path, *flags, budget="0.3s")
    (given,) = document["model"]["inputs"]
    assert given["shape"][:2] == [1, 3] and all(given["shape"])


def test_a_state_whose_first_dimension_is_no_batch(joulery, tmp_path):
    """As recurrent models have it: [layers, batch, width]."""
    path = tmp_path / "model.onnx"
    nodes = [
        helper.make_node("ReduceSum", ["state"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    ports = [("x", ["batch", 4]), ("state", [2, "batch", 8])]
    save(path, nodes, ports, [("y", ["batch", 4])])
    message = refused(joulery, path)
    assert "'state'" in message
    flags = shape_flags(message)
    document = bench(joulery, path, *flags, "--constant", "state=0", budget="0.3s")
    assert document["batch"] == 1
    assert [port["shape"] for port in document["model"]["inputs"]] == [[1, 4], [2, 1, 8]]


def test_a_shape_tells_the_batch(joulery, classifier, samples, tmp_path):
    x, y = samples
    numpy.savez(tmp_path / "data.npz", x=x, y=y)
    flags = ("--data", tmp_path / "data.npz", "--task", "classify")
    plain = bench(joulery, classifier, *flags, budget="0.3s")
    batched = bench(joulery, classifier, *flags, "--shape", "x:8,4", budget="0.3s")
    assert plain["batch"] == 1 and batched["batch"] == 8
    assert batched["inferences"] == 8 * batched["calls"]
    # 50 samples are no multiple of 8: what fills up the last batch does not count.
    assert batched["quality"]["samples"] == 50
    assert metrics(batched) == pytest.approx(metrics(plain), rel=1e-5)


def test_a_model_of_one_batch_size(joulery, samples, tmp_path):
    path = tmp_path / "fixed.onnx"
    small_classifier(path, 8)
    message = refused(joulery, path)
    assert "[8, 4]" in message
    flags = re.search(r"--batch \d+", message.split("hint: ")[1]).group().split()
    assert bench(joulery, path, *flags, budget="0.3s")["batch"] == 8
    assert "8" in refused(joulery, path, "--batch", "5")
    refused(joulery, path, "--shape", "x:5,4")
    # Said to be one inference, it is one.
    whole = bench(joulery, path, "--shape", "x:8,4", budget="0.3s")
    batched = bench(joulery, path, *flags, budget="0.3s")
    assert whole["batch"] == 1
    assert whole["model"]["macs_per_inference"] == 8 * batched["model"]["macs_per_inference"] == 8 * 12


def steps_model(path):
    """x [10, 1, 4]: ten steps of one sequence, and no batch in front."""
    generator = numpy.random.default_rng(4)
    weights = [
        ("w", generator.normal(0, 1, (1, 32, 4)).astype("f4")),
        ("r", generator.normal(0, 1, (1, 32, 8)).astype("f4")),
    ]
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["", "y"], hidden_size=8)]
    return save(path, nodes, [("x", [10, 1, 4])], [("y", [1, 1, 8])], weights)


def test_a_first_dimension_that_is_no_batch(joulery, tmp_path):
    """What is counted and what is timed are one call in every case."""
    path = steps_model(tmp_path / "steps.onnx")
    message = refused(joulery, path)
    assert "[10, 1, 4]" in message and "--batch 10" in message
    asked = bench(joulery, path, *shape_flags(message), budget="0.3s")
    assert asked["batch"] == 1 and asked["inferences"] == asked["calls"]
    assert asked["model"]["macs_per_inference"] == 10 * 32 * (4 + 8)
    numpy.savez(tmp_path / "data.npz", x=numpy.zeros((20, 10, 1, 4), "f4"))
    for flags in ((), shape_flags(message)):
        read = bench(joulery, path, "--data", tmp_path / "data.npz", *flags, budget="0.3s")
        assert read["batch"] == 1
        assert read["model"]["macs_per_inference"] == asked["model"]["macs_per_inference"]


def test_the_hint_on_a_state_of_fixed_shape_works_when_it_is_followed(joulery, tmp_path):
    path = tmp_path / "model.onnx"
    nodes = [
        helper.make_node("ReduceSum", ["state"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    save(path, nodes, [("x", ["batch", 4]), ("state", [2, 1, 8])], [("y", ["batch", 4])])
    message = refused(joulery, path)
    assert "'state'" in message and "--batch" not in message and "--constant 'state=0'" in message
    document = bench(joulery, path, *shape_flags(message), budget="0.3s")
    assert [port["shape"] for port in document["model"]["inputs"]] == [[1, 4], [2, 1, 8]]


# Sizes that no machine has room for.


def test_a_call_that_is_too_large_is_refused_before_there_is_memory_for_it(joulery, classifier, tmp_path):
    before = time.monotonic()
    path = tmp_path / "open.onnx"
    save(path, [helper.make_node("Relu", ["x"], ["y"])], [("x", ["N", "C"])], [("y", ["N", 3])])
    wide = tmp_path / "wide.onnx"
    save(wide, [helper.make_node("Relu", ["x"], ["y"])], [("x", ["N", 1000])], [("y", ["N", 1000])])
    message = refused(joulery, wide, "--batch", "1048576")
    assert "7.81 GiB" in message and "1.00 GiB" in message
    largest = int(re.search(r"--batch (\d+)", message.split("hint: ")[1]).group(1))
    assert 8000 * largest <= 1 << 30 < 8000 * (largest + 2)
    refused(joulery, wide, "--batch", str(largest + 1))
    numpy.savez(tmp_path / "data.npz", x=numpy.zeros((5, 1000), "f4"))
    assert "3.92 GiB" in refused(joulery, path, "--data", tmp_path / "data.npz", "--batch", "1048576")
    assert "--shape" in refused(joulery, path, "--shape", "x:1,4000000000000000000").split("hint: ")[1]
    assert time.monotonic() - before < 60, "as long as a call would take"


def test_macs_of_a_large_batch_are_those_of_one(joulery, classifier):
    plain = bench(joulery, classifier, budget="0.3s")
    large = bench(joulery, classifier, "--batch", "100000", budget="0.3s")
    assert plain["model"]["macs_per_inference"] == large["model"]["macs_per_inference"] == 12


def test_more_threads_than_the_machine_has_a_use_for(joulery, classifier):
    for flags in (("--threads", "4096"), ("--versus-threads", "4096")):
        message = refused(joulery, classifier, *flags)
        assert "4096 threads" in message and "are possible here" in message


# Models whose operators hold graphs.

SQUARE = numpy.random.default_rng(5).normal(0, 1, (8, 8)).astype("f4")
FLOAT, WHOLE, TRUTH = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def graph(nodes, inputs, outputs):
    def ports(side):
        return [helper.make_tensor_value_info(name, type, shape) for name, type, shape in side]

    return helper.make_graph(nodes, "body", ports(inputs), ports(outputs))


def loop_model(path, *, trips, condition, shape=(1, 8), work="MatMul"):
    """x goes through w in each trip; `condition` makes "again" of what the body has."""
    work = {
        "MatMul": [helper.make_node("MatMul", ["h", "w"], ["next"])],
        "growing": [
            helper.make_node("MatMul", ["h", "w"], ["m"]),
            helper.make_node("Concat", ["m", "h"], ["next"], axis=0),
        ],
        "nothing": [helper.make_node("Relu", ["h"], ["next"])],
    }[work]
    inputs = [("i", WHOLE, []), ("go", TRUTH, []), ("h", FLOAT, None)]
    body = graph([*work, condition], inputs, [("again", TRUTH, []), ("next", FLOAT, None)])
    nodes = [helper.make_node("Loop", ["trips", "truth", "x"], ["y"], body=body)]
    constants = [("w", SQUARE), ("truth", numpy.array(True)), ("limit", numpy.array(5, "i8"))]
    ports = [("x", list(shape))]
    if trips is None:
        ports.append(("trips", [], WHOLE))
    else:
        constants.append(("trips", numpy.array(trips, "i8")))
    return save(path, nodes, ports, [("y", [None, 8])], constants)


ALWAYS = helper.make_node("Identity", ["go"], ["again"])
UNTIL_FIVE = helper.make_node("Less", ["i", "limit"], ["again"])


def scan_model(path, steps):
    """A state that meets the weights once for each step of x [1, steps, 8]."""
    nodes = [
        helper.make_node("MatMul", ["state", "w"], ["m"]),
        helper.make_node("Add", ["m", "frame"], ["next"]),
        helper.make_node("Identity", ["next"], ["out"]),
    ]
    state = [("state", FLOAT, [1, 8]), ("frame", FLOAT, [1, 8])]
    body = graph(nodes, state, [("next", FLOAT, [1, 8]), ("out", FLOAT, [1, 8])])
    scan = helper.make_node(
        "Scan", ["zero", "x"], ["last", "y"], body=body, num_scan_inputs=1, scan_input_axes=[1], scan_output_axes=[1]
    )
    zero = ("zero", numpy.zeros((1, 8), "f4"))
    return save(path, [scan], [("x", [1, steps, 8])], [("y", [1, steps, 8])], [("w", SQUARE), zero])


def branch_model(path, *widths):
    """As many products in each branch as its number says; which is taken is up to the input."""

    def branch(width):
        nodes, last = [], "x"
        for i in range(width):
            nodes.append(helper.make_node("MatMul", [last, "w"], [f"m{i}"]))
            last = f"m{i}"
        nodes.append(helper.make_node("Relu", [last], ["r"]))
        return graph(nodes, [], [("r", FLOAT, None)])

    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Greater", ["s", "half"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branch(widths[0]), else_branch=branch(widths[1])),
    ]
    return save(path, nodes, [("x", [1, 8])], [("y", [1, 8])], [("w", SQUARE), ("half", numpy.array(0.5, "f4"))])


def test_macs_of_bodies_are_counted_by_trip_or_are_unknown(joulery, tmp_path):
    path = tmp_path / "model.onnx"
    flags = ("--constant", "trips=3")
    cases = {
        "loop": (lambda: loop_model(path, trips=10, condition=ALWAYS), (), 640),
        "no trip": (lambda: loop_model(path, trips=0, condition=ALWAYS), (), 0),
        "ends early": (lambda: loop_model(path, trips=10, condition=UNTIL_FIVE), (), None),
        "open trips": (lambda: loop_model(path, trips=None, condition=ALWAYS), flags, None),
        "growing": (lambda: loop_model(path, trips=4, condition=ALWAYS, work="growing"), (), None),
        "no product": (lambda: loop_model(path, trips=None, condition=UNTIL_FIVE, work="nothing"), flags, 0),
        "scan": (lambda: scan_model(path, 25), (), 25 * 64),
        "equal branches": (lambda: branch_model(path, 2, 2), (), 128),
        "other branch": (lambda: branch_model(path, 2, 1), (), None),
    }
    for name, (make, flags, macs) in cases.items():
        make()
        document = bench(joulery, path, *flags, budget="0.2s")
        assert document["model"]["macs_per_inference"] == macs, name
        assert document["model"]["uncounted_operators"] == (1 if macs is None else 0), name
        told = [warning["text"] for warning in document["warnings"] if "MACs" in warning["text"]]
        assert bool(told) == (macs is None) and all("at least 0, without" in text for text in told), name
    text = joulery("bench", path, *QUICK).stdout
    assert "unknown: at least 0, without those of 1 of 3 operators (If)" in " ".join(text.split())
