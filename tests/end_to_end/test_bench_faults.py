"""`joulery bench` when something goes wrong on the way: nothing that was measured is lost."""

import itertools
import json
import signal
import time

import numpy as np
import onnx
import pytest
from conftest import check_schema
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(5)


def save(path, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(initializers))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def linear(path, classes=4):
    weights = numpy_helper.from_array(RANDOM.standard_normal((16, classes), np.float32), "w")
    return save(
        path,
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", classes])],
        [weights],
    )


def logarithm(path):
    return save(
        path,
        [helper.make_node("Log", ["x"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 16])],
    )


@pytest.fixture
def data(joulery):
    path = joulery.home / "data.npz"
    np.savez(
        path,
        x=RANDOM.standard_normal((60, 16)).astype(np.float32),
        y=RANDOM.integers(0, 4, 60),
        g=np.array([f"group {i // 10}" for i in range(60)]),
    )
    return path


def test_answers_that_can_not_be_judged_lose_no_figure(joulery):
    model = logarithm(joulery.home / "log.onnx")
    np.savez(joulery.home / "d.npz", x=-np.ones((40, 16), np.float32), y=np.ones((40, 16), np.float32))
    result = joulery(
        "bench", model, "--data", "d.npz", "--task", "regress", "--budget", "500ms", "--explain", "--json", code=2
    )
    document = json.loads(result.stdout)
    check_schema(document, "bench")
    assert document["cpu_seconds_per_inference"]["value"] > 0
    assert document["quality"] is None
    assert document["problems"][0]["doing"] == "judging the answers of log.onnx"
    assert "judging the answers of log.onnx: " in result.stderr
    # What comes after does not rest on it.
    assert document["explain"]["operators"]
    run = joulery.json("show", document["run_id"], schema="show")
    assert run["run"]["status"] == "FAILED"


def test_models_that_can_not_agree_are_told_before_measuring(joulery, data):
    first = linear(joulery.home / "a.onnx", 4)
    second = linear(joulery.home / "b.onnx", 5)
    begin = time.monotonic()
    result = joulery("bench", first, "--versus", second, "--data", data, "--task", "agree", "--budget", "5min", code=2)
    assert "only models with the same outputs can agree" in result.stderr
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize("wait", [0.02, 0.4, 1.2, 2.6])
def test_ctrl_c_ends_it_with_what_there_is(joulery, data, wait):
    model = linear(joulery.home / "a.onnx")
    output = joulery.home / "out.json"
    process = joulery.start(
        "bench", model, "--data", data, "--task", "classify", "--robustness", "--robustness-samples", "60",
        "--explain", "--budget", "2s", "--json", "--output", output,
        env={"TMPDIR": str(joulery.home)},
    )  # fmt: skip
    time.sleep(wait)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    # It may not have got as far as noting signals, or be through already.
    assert process.returncode in (130, -signal.SIGINT, 0), err.decode()
    assert not list(joulery.home.glob("joulery-*")), "temporary folders are gone"
    if output.exists() and process.returncode == 130:
        document = json.loads(output.read_text())
        assert any("interrupted" in warning["text"] for warning in document["warnings"])
        assert joulery.json("show", document["run_id"], schema="show")["run"]["status"] == "KILLED"
    else:
        assert process.returncode != 130 or "before anything was measured" in err.decode()


def test_groups_count_as_one_in_robustness(joulery, data):
    model = linear(joulery.home / "a.onnx")
    flags = ["bench", model, "--data", data, "--task", "classify", "--robustness", "--budget", "200ms", "--json"]
    alone = json.loads(joulery(*flags).stdout)["robustness"]
    grouped = json.loads(joulery(*flags, "--group", "g").stdout)["robustness"]
    assert alone["mean_loss"]["value"] == grouped["mean_loss"]["value"]
    assert (alone["mean_loss"]["low"], alone["mean_loss"]["high"]) != (
        grouped["mean_loss"]["low"],
        grouped["mean_loss"]["high"],
    )


def test_what_spoiled_inputs_cost_is_never_nothing(joulery, data):
    model = linear(joulery.home / "a.onnx")
    document = json.loads(
        joulery(
            "bench", model, "--data", data, "--task", "classify", "--robustness", "--budget", "200ms", "--json"
        ).stdout
    )
    assert document["robustness"]["clean_cpu_seconds_per_inference"] > 0
    assert all(row["cpu_seconds_per_inference"] > 0 for row in document["robustness"]["rows"])


def test_the_whole_machine_is_told_of_a_single_model_only(joulery):
    model = linear(joulery.home / "a.onnx")
    alone = json.loads(joulery("bench", model, "--budget", "300ms", "--json").stdout)
    pair = json.loads(joulery("bench", model, "--versus", model, "--budget", "300ms", "--json").stdout)
    assert pair["energy_machine_per_inference_joules"] is None
    if alone["energy_per_inference_joules"] is not None:
        assert alone["energy_machine_per_inference_joules"]["value"] > 0


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--rate", "1e-6"], "hardly one comes"),
        (["--samples", "5"], "--samples needs --task"),
        (["--boxes", "xyxy"], "--boxes needs --task"),
        (["--robustness-samples", "5"], "--robustness-samples needs --robustness"),
        (["--group", "g"], "--group needs --data"),
        (["--image", "resize=8x8"], "--image needs --data"),
    ],
)
def test_flags_that_nothing_comes_of_are_told(joulery, flags, words):
    model = linear(joulery.home / "a.onnx")
    assert words in joulery("bench", model, *flags, code=2).stderr


def test_a_trace_longer_than_the_budget_is_refused(joulery):
    model = linear(joulery.home / "a.onnx")
    (joulery.home / "trace").write_text("0\n1000\n")
    result = joulery("bench", model, "--arrivals", "trace:trace", "--budget", "2s", code=2)
    assert "the trace lasts" in result.stderr


def test_a_model_that_can_not_keep_up_says_so(joulery):
    # 40 multiplications of 400 x 400 take longer than the millionth of a second between two calls.
    names = ["x", *(f"h{i}" for i in range(39)), "y"]
    weights = numpy_helper.from_array(RANDOM.standard_normal((400, 400), np.float32), "w")
    model = save(
        joulery.home / "slow.onnx",
        [helper.make_node("MatMul", [a, "w"], [b]) for a, b in itertools.pairwise(names)],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 400])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 400])],
        [weights],
    )
    result = joulery("bench", model, "--rate", "1e6", "--budget", "2s", "--json")
    texts = [warning["text"] for warning in json.loads(result.stdout)["warnings"]]
    assert any("can't keep up" in text for text in texts), texts
