"""Bad models, bad data, bad flags and bad days: bench says what failed, on what and why, what to do about it, and ends
with the exit code that the design gives it. Where a hint names a command, the command works."""

import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import numpy
import onnx
import pytest
from conftest import BINARY, PROJECT
from onnx import TensorProto, helper
from test_full_disks import as_root, mounted

sys.path.append(str(PROJECT / "tests/models"))

from benched import bench, metrics
from small import QUICK, WEIGHTS, refused, small_classifier, small_samples
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


# Files that are no models.


def test_files_that_are_no_models(joulery, classifier, tmp_path):
    good = classifier.read_bytes()
    flipped = bytearray(good)
    for i in range(20, len(flipped), 37):
        flipped[i] ^= 0xFF
    cases = {
        b"": "an empty file",
        b"weights will follow by mail\n" * 9: "a text file",
        good[: len(good) // 2]: "runs past the end",
        numpy.random.default_rng(1).integers(0, 256, 4096, "u1").tobytes(): "no valid ONNX model",
        bytes(flipped): "no valid ONNX model",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 64: "",
    }
    for content, said in cases.items():
        path = tmp_path / "model.onnx"
        path.write_bytes(content)
        message = refused(joulery, path)
        assert str(path) in message and said in message


def test_every_cut_of_a_model_is_refused(joulery, classifier, tmp_path):
    good = classifier.read_bytes()
    for end in range(1, len(good), len(good) // 6):
        path = tmp_path / "cut.onnx"
        path.write_bytes(good[:end])
        result = joulery("bench", path, *QUICK, code=2)
        assert result.stdout == "" and "error: " in result.stderr


def test_models_that_are_not_there(joulery, tmp_path):
    assert "nothere.onnx" in refused(joulery, tmp_path / "nothere.onnx")
    assert "without a model.onnx" in refused(joulery, tmp_path)
    (tmp_path / "model.onnx").mkdir()
    refused(joulery, tmp_path)
    refused(joulery, "/dev/null")


# Models that mean harm, or that nothing can run.


def with_external(model, location, **fields):
    """The model with its weights said to lie in a file."""
    copy = onnx.load(model)
    tensor = copy.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": 0, "length": 48, **fields}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    return copy.SerializeToString()


def test_models_that_reach_out_of_their_folder_reach_no_engine(joulery, classifier, tmp_path):
    (tmp_path / "short.bin").write_bytes(b"x" * 10)
    (tmp_path / "whole.bin").write_bytes(WEIGHTS.tobytes())
    os.symlink("/etc/passwd", tmp_path / "link.bin")
    path = tmp_path / "model.onnx"
    cases = {
        "../../../../etc/passwd": "leads out of the folder",
        "/etc/passwd": "is absolute",
        "link.bin": "a link",
        "missing.bin": "not in the model's folder",
        "short.bin": "which has 10",
    }
    for location, said in cases.items():
        path.write_bytes(with_external(classifier, location))
        message = refused(joulery, path)
        assert location in message and said in message and "root:" not in message
    path.write_bytes(with_external(classifier, "whole.bin", offset=2**62, length=2**62))
    refused(joulery, path)
    path.write_bytes(with_external(classifier, "whole.bin"))
    whole = bench(joulery, path, budget="0.3s")
    assert whole["model"]["size_bytes"] == path.stat().st_size + 48


def test_dimensions_that_no_machine_has(joulery, classifier, tmp_path):
    path = tmp_path / "model.onnx"
    copy = onnx.load(classifier)
    copy.graph.initializer[0].dims[0] = 1 << 40
    path.write_bytes(copy.SerializeToString())
    assert "its type and shape need" in refused(joulery, path)
    sizes = numpy.array([1 << 20, 1 << 20], "i8")
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["c"]),
        helper.make_node("ReduceSum", ["c"], ["r"], keepdims=0),
        helper.make_node("Add", ["x", "r"], ["y"]),
    ]
    save(path, nodes, [("x", ["N", 4])], [("y", ["N", 4])], [("s", sizes)])
    assert "more elements than a machine holds" in refused(joulery, path)
    # Only the shape that is asked for is too much.
    save(path, [helper.make_node("Relu", ["x"], ["y"])], [("x", ["N", "C"])], [("y", ["N", "C"])])
    assert "1.00 GiB" in refused(joulery, path, "--shape", "x:1000000,100000000")


def test_operators_that_no_engine_has(joulery, tmp_path):
    path = tmp_path / "model.onnx"
    node = helper.make_node("Frobnicate", ["x"], ["y"], domain="org.example")
    save(path, [node], [("x", ["N", 4])], [("y", ["N", 4])], domains=["org.example"])
    assert "org.example" in refused(joulery, path)
    save(path, [helper.make_node("Frobnicate", ["x"], ["y"])], [("x", ["N", 4])], [("y", ["N", 4])])
    for engine in ("onnxruntime", "openvino"):
        message = refused(joulery, path, "--engine", engine, code=3)
        assert "Frobnicate" in message and "operator" in message.split("hint: ")[1]


def test_inputs_that_are_no_tensors_of_known_rank(joulery, tmp_path):
    path = tmp_path / "model.onnx"
    identity = [helper.make_node("Identity", ["x"], ["y"])]
    save(path, identity, [("x", ["N"], TensorProto.STRING)], [("y", ["N"], TensorProto.STRING)])
    assert "'x'" in refused(joulery, path)
    save(path, identity, [("x", None)], [("y", None)])
    assert "how many dimensions" in refused(joulery, path)


# Data that do not fit.


def test_data_that_do_not_fit_the_model(joulery, classifier, samples, tmp_path):
    x, y = samples
    cases = {
        "no column 'y'": {"x": x},
        "holds no samples": {"x": x[:0], "y": y[:0]},
        "do not fit the input 'x'": {"x": numpy.zeros((50, 5), "f4"), "y": y},
        "holds text": {"x": numpy.array(["a"] * 50), "y": y},
        "neither a class nor one-hot": {"x": x, "y": y + 0.5},
        "50 samples, but": {"x": x, "y": y[:40]},
        "which models don't take": {"x": x.astype("c8"), "y": y},
        "holds Python objects": {"x": numpy.array([{}] * 50, dtype=object), "y": y},
        "the model's classes have no names": {"x": x, "y": y.astype("U1")},
        "does not fit": {"z": x, "w": x, "y": y},
    }
    for said, columns in cases.items():
        path = tmp_path / "data.npz"
        numpy.savez(path, **columns)
        message = refused(joulery, classifier, "--data", path, "--task", "classify")
        assert said in message or said == "does not fit"


def test_labels_that_the_model_has_no_class_for_are_told_before_minutes_of_measuring(
    joulery, classifier, samples, tmp_path
):
    x, y = samples
    numpy.savez(tmp_path / "data.npz", x=x, y=y + 7)
    before = time.monotonic()
    message = refused(joulery, classifier, "--data", tmp_path / "data.npz", "--task", "classify", "--budget", "100s")
    assert time.monotonic() - before < 60
    assert "classes are 0 to 2" in message


def test_files_that_are_no_data(joulery, classifier, samples, tmp_path):
    x, y = samples
    numpy.savez(tmp_path / "whole.npz", x=x, y=y)
    files = {
        "cut.npz": (tmp_path / "whole.npz").read_bytes()[:200],
        "text.npz": b"hello",
        "empty.csv": b"",
        "heading.csv": b"a,b,c,d,y\n",
        "word.csv": b"a,b,c,d,y\n1,2,3,4,0\n1,x,3,4,1\n",
        "short.jsonl": b'{"x":[1,2,3,4],"y":0}\n{"x":[1,2,3],"y":0}\n',
        "cut.jsonl": b'{"x":[1,2,3,4],"y":0}\n{"x":[1,2',
        "unknown": b"\x01\x02\x03",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert name in refused(joulery, classifier, "--data", path, "--task", "classify"), name
    for missing in (tmp_path / "nothere.npz", tmp_path / "models", "/dev/null"):
        refused(joulery, classifier, "--data", missing, "--task", "classify")


def test_a_hint_on_formats_names_a_flag_that_works(joulery, classifier, samples, tmp_path):
    x, y = samples
    rows = "".join(",".join(map(str, [*row, label])) + "\n" for row, label in zip(x.tolist(), y.tolist(), strict=True))
    for name in ("unknown", "table.npz"):
        path = tmp_path / name
        path.write_text("a,b,c,d,y\n" + rows)
        hint = refused(joulery, classifier, "--data", path, "--task", "classify").split("hint: ")[1]
        flag = re.search(r"--[a-z-]*format\b", hint).group()
        document = bench(joulery, classifier, "--data", path, "--task", "classify", flag, "csv", budget="0.3s")
        assert document["quality"]["samples"] == 50


def test_made_up_data_tell_of_no_quality(joulery, classifier):
    for task in ("classify", "regress"):
        message = refused(joulery, classifier, "--task", task)
        assert "made-up" in message and "--data" in message
    # Engines can agree about anything.
    assert bench(joulery, classifier, "--task", "agree", budget="0.3s")["quality"]["task"] == "agree"


def test_what_goes_wrong_after_measuring_costs_no_figures(joulery, classifier, samples, tmp_path):
    """Which metrics there are depends on all answers; and a label may be wrong in the last row only."""
    x, y = samples
    y = y.copy()
    y[-1] = 9
    numpy.savez(tmp_path / "last.npz", x=x, y=y)
    late = ("--data", tmp_path / "last.npz", "--task", "classify")
    for flags, said in ((("--task", "agree", "--metric", "nope"), "'nope'"), (late, "sample 49 is class 9")):
        result = joulery("bench", classifier, *QUICK, *flags, "--json", code=2)
        assert said in result.stderr and "hint: " in result.stderr
        document = json.loads(result.stdout)
        assert document["cpu_seconds_per_inference"]["value"] > 0 and document["quality"] is None
        assert joulery.json("show", document["run_id"], schema="show")["run"]["status"] == "FAILED"


@pytest.mark.parametrize("count", [1, 2, 8])
def test_few_samples_tell_little_and_bench_says_so(joulery, classifier, samples, tmp_path, count):
    x, y = samples
    numpy.savez(tmp_path / "data.npz", x=x[:count], y=y[:count])
    document = bench(joulery, classifier, "--data", tmp_path / "data.npz", "--task", "classify", budget="0.3s")
    primary = document["quality"]["primary"]
    assert document["quality"]["samples"] == count
    # Clopper and Pearson's interval of none or all of n samples right.
    assert primary["high"] - primary["low"] > 0.3
    assert any(re.search(r"about \d+ samples would", warning) for warning in document["quality"]["warnings"])


@pytest.fixture(scope="module")
def logarithm(folder):
    """NaN for negative numbers."""
    nodes = [helper.make_node("Log", ["x"], ["l"]), helper.make_node("Softmax", ["l"], ["p"])]
    return save(folder / "logarithm.onnx", nodes, [("x", ["N", 4])], [("p", ["N", 4])])


@pytest.mark.parametrize("spoiled", [50, 20])
def test_answers_that_are_no_numbers_count_as_wrong(joulery, logarithm, samples, tmp_path, spoiled):
    x, y = numpy.abs(samples[0]), samples[1]
    x[:spoiled] *= -1
    numpy.savez(tmp_path / "data.npz", x=x, y=y)
    document = bench(joulery, logarithm, "--data", tmp_path / "data.npz", "--task", "classify", budget="0.3s")
    quality, found = document["quality"], metrics(document)
    assert quality["non_finite_samples"] == spoiled
    right = (x[spoiled:].argmax(1) == y[spoiled:]).sum()
    assert found["accuracy"] == pytest.approx(right / 50)
    assert any("NaN" in warning for warning in quality["warnings"])
    # Without any confidence nobody can tell how well confidences are calibrated.
    assert ("ece" in found) == (spoiled < 50)
    assert (quality["calibration"] is not None) == (spoiled < 50)
    agree = bench(joulery, logarithm, "--data", tmp_path / "data.npz", "--task", "agree", budget="0.3s")
    assert agree["quality"]["non_finite_samples"] == spoiled


# Flags.


@pytest.mark.parametrize(
    "flags",
    [
        "--threads 0",
        "--threads many",
        "--batch 0",
        "--batch 99999999",
        "--precision f64",
        "--optimisation fast",
        "--engine onnxrt",
        "--engine-path relative",
        "--engine-path /nowhere/at/all",
        "--shape x",
        "--shape x:1,four",
        "--shape z:1,4",
        "--shape x:1,5",
        "--shape x:1,4 --shape x:2,4",
        "--target 0",
        "--target much",
        "--budget never",
        "--rate -1",
        "--arrivals poisson",
        "--arrivals constant",
        "--arrivals trace:/nowhere",
        "--rate 10 --arrivals trace:/nowhere",
        "--seed -5",
        "--synthetic-range 1",
        "--synthetic-range 3:1",
        "--data x --synthetic-range 0:1",
        "--data-format xls",
        "--task segment",
        "--samples 0",
        "--versus nothere.onnx",
        "--versus-threads 0",
        "--constant sr",
        "--constant sr=16000",
        "--image resize",
        "--image sharpen=2",
        "--raw-type f99",
        "--raw-shape 1,x",
        "--class-names nothere",
        "--format yaml",
        "--output /nowhere/bench.json",
        "--concurrency 4",
        "--slo ttft:1s",
        "--prompts prompts.jsonl",
        "--tasks agree",
    ],
)
def test_flags_that_can_not_be(joulery, classifier, flags):
    message = refused(joulery, classifier, *flags.split())
    names = [word for word in flags.split() if word.startswith("--")]
    values = [part for word in flags.split() if not word.startswith("--") for part in re.split("[:=,]", word) if part]
    assert any(word in message for word in [*names, *values])


def test_flags_of_a_model_on_a_server(joulery):
    for flags in ("--task agree", "--data x.npz", "--threads 2", "--versus other.onnx"):
        message = refused(joulery, "http://localhost:1/v1", *flags.split())
        assert flags.split()[0] in message and "server" in message


# The machine.


def test_without_an_engine_it_says_how_to_get_one(joulery, classifier, tmp_path):
    """Outside of the source tree, with an environment and a folder in which there is none."""
    home = tmp_path / "installed"
    (home / "bin").mkdir(parents=True)
    shutil.copy(BINARY, home / "bin")
    libraries = pathlib.Path(BINARY).parent.parent / "lib"
    shutil.copytree(libraries, home / "lib", symlinks=True, ignore=shutil.ignore_patterns("*.a"))
    joulery.binary = str(home / "bin/joulery")
    if json.loads(joulery("engines", "--json", code=None).stdout)["engines"]:
        pytest.skip("this system has an engine of its own")
    (tmp_path / "none").mkdir(mode=0o755)
    for flags, env in (((), {"VIRTUAL_ENV": str(tmp_path / "none")}), (("--engine-path", tmp_path / "none"), {})):
        message = refused(joulery, classifier, *flags, code=3, env=env)
        assert "pip install" in message.split("hint: ")[1]
    # With an engine in reach again all is well.
    there = bench(joulery, classifier, "--engine-path", sys.prefix, budget="0.3s")
    assert there["engine"]["name"] in ("onnxruntime", "openvino")


def interrupted(joulery, model, *flags, after):
    """Sends Ctrl-C to the program and all that it started, as a terminal does, once `after` is seen on stderr or
    in time."""
    process = joulery.start("bench", model, *flags, "--json", start_new_session=True)
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()


def test_ctrl_c_ends_it_with_the_figures_so_far(joulery, classifier):
    code, out, err = interrupted(joulery, classifier, "--budget", "100s", "--target", "0.001", after=4)
    assert code == 130, err
    document = json.loads(out)
    assert document["protocol"]["ending"] == "interrupted"
    assert document["blocks"] >= 1 and document["cpu_seconds_per_inference"]["value"] > 0
    shown = joulery.json("show", document["run_id"], schema="show")
    assert shown["run"]["status"] == "KILLED"
    assert shown["run"]["metrics"]["joulery/cpu_seconds_per_inference"] > 0
    left = subprocess.run(["pgrep", "-f", str(joulery.home)], capture_output=True, text=True, check=False)
    assert left.stdout == "", "no process of it lives on"


def test_ctrl_c_while_answers_are_judged(joulery, tmp_path):
    """The costs are known by then, and are not lost."""
    weights = numpy.random.default_rng(0).normal(0, 0.02, (1500, 1500)).astype("f4")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Softmax", ["h"], ["p"])]
    model = save(tmp_path / "wide.onnx", nodes, [("x", ["N", 1500])], [("p", ["N", 1500])], [("w", weights)])
    x = numpy.zeros((40_000, 1500), "u1")
    numpy.savez_compressed(tmp_path / "many.npz", x=x, y=numpy.zeros(len(x), int))
    flags = ("--data", tmp_path / "many.npz", "--task", "classify", "--budget", "0.3s")
    code, out, err = interrupted(joulery, model, *flags, after=5)
    assert code == 130, err
    document = json.loads(out)
    assert document["cpu_seconds_per_inference"]["value"] > 0
    assert joulery.json("show", document["run_id"], schema="show")["run"]["status"] == "KILLED"


@as_root
def test_a_store_without_room_costs_no_figures(joulery, classifier):
    with mounted(joulery.home / "disk", "size=64k") as disk:
        (disk / "filler").write_bytes(b"x" * 60_000)
        result = joulery("bench", classifier, *QUICK, "--store", disk / "j.db", "--json", code=3)
        document = json.loads(result.stdout)
        assert document["cpu_seconds_per_inference"]["value"] > 0
        assert "not in the store yet" in result.stderr
        (waiting,) = (joulery.home / "spool").glob("*.spool")
        assert str(waiting) in result.stderr and "the next joulery command on the store" in result.stderr
        subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
        shown = joulery.json("show", document["run_id"], "--store", disk / "j.db", schema="show")
        assert shown["run"]["status"] == "FINISHED"
        metric = shown["run"]["metrics"]["joulery/cpu_seconds_per_inference"]
        assert metric == document["cpu_seconds_per_inference"]["value"]
        assert not waiting.exists()


def test_a_store_that_is_none_is_told_first(joulery, classifier, tmp_path):
    (tmp_path / "text.db").write_text("no database\n" * 99)
    message = refused(joulery, classifier, "--store", "/proc/nowhere/x.db")
    assert "--store" in message
    message = refused(joulery, classifier, "--store", tmp_path / "text.db", code=None)
    assert "text.db" in message


def test_a_damaged_store_costs_no_figures(joulery, classifier, tmp_path):
    store = tmp_path / "j.db"
    joulery("bench", classifier, *QUICK, "--store", store)
    with sqlite3.connect(store) as database:
        assert database.execute("select count(*) from runs").fetchone() == (1,)
