"""Engines: what is found, and that all of them give the same answers under the options that they report."""

import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime
import pytest
from conftest import BINARY
from onnx import TensorProto, helper

BUILD = pathlib.Path(BINARY).parent.parent
LIBRARIES = BUILD / "lib"
FAKES = BUILD / "fake_engine"
PACKAGES = pathlib.Path(onnxruntime.__file__).parents[1]
ENGINES = {
    "onnxruntime": next((PACKAGES / "onnxruntime/capi").glob("libonnxruntime.so*")),
    "openvino": next((PACKAGES / "openvino/libs").glob("libopenvino_c.so*")),
}
# OpenVINO's thread library opens a library of its own in a way that sanitizers do not bear, unless it is told.
os.environ["TBB_ENABLE_SANITIZERS"] = "1"
# Sums of floats in another order differ in the last digits.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def save(folder, nodes, inputs, outputs, constants=(), domains=()):
    """A model as a file; inputs and outputs are (name, shape) of floats."""
    ports = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in side]
        for side in (inputs, outputs)
    ]
    values = [onnx.numpy_helper.from_array(value, name) for name, value in constants]
    graph = helper.make_graph(nodes, "test", *ports, values)
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.fixture
def network(tmp_path):
    """A small network of convolutions with an open batch."""
    random = numpy.random.default_rng(7)
    constants = [
        ("w1", random.normal(0, 0.3, (8, 3, 3, 3)).astype("f4")),
        ("b1", random.normal(0, 0.1, 8).astype("f4")),
        ("w2", random.normal(0, 0.1, (10, 8 * 4 * 4)).astype("f4")),
        ("b2", random.normal(0, 0.1, 10).astype("f4")),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w2", "b2"], ["g"], transB=1),
        helper.make_node("Softmax", ["g"], ["y"]),
    ]
    return save(tmp_path, nodes, [("x", ["batch", 3, 8, 8])], [("y", ["batch", 10])], constants)


def need_plug_in(*engines):
    """The build goes on without a plug-in whose header can't be had; ./dev setup has said so."""
    for engine in engines:
        if not (LIBRARIES / f"libjoulery_{engine}.so").exists():
            pytest.skip(f"the plug-in for {engine} was not built: its header is missing")


class Answer:
    def __init__(self, process, output):
        self.code = process.returncode
        self.stdout, self.stderr = process.stdout, process.stderr
        self.output = output

    def line(self, start):
        return next(line for line in self.stdout.splitlines() if line.startswith(start))

    def values(self, number=0, suffix=""):
        return numpy.fromfile(f"{self.output}{suffix}.{number}", "f4")


def run(engine, model, values, folder, code=0, **flags):
    """Runs a model through joulery's interface to an engine."""
    need_plug_in(engine)
    # Every run has a folder of its own, so that none is compared with itself.
    own = pathlib.Path(tempfile.mkdtemp(dir=folder))
    raw, output = own / "input.raw", own / "output"
    numpy.ascontiguousarray(values).tofile(raw)
    flags = {"engine": engine, "library": ENGINES[engine], "plugins": LIBRARIES, "model": model, **flags}
    words = [str(word) for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", value)]
    process = subprocess.run(
        [BUILD / "test_bin/run_model", *words, "--input", raw, "--output", output],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert code is None or process.returncode == code, process.stdout + process.stderr
    return Answer(process, output)


def samples(batch):
    return numpy.random.default_rng(3).normal(0, 1, (batch, 3, 8, 8)).astype("f4")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batch", [1, 5])
def test_answers_are_those_of_pythons_onnxruntime(engine, batch, network, tmp_path):
    x = samples(batch)
    expected = onnxruntime.InferenceSession(network).run(None, {"x": x})[0].ravel()
    answer = run(engine, network, x, tmp_path, batch=batch)
    numpy.testing.assert_allclose(answer.values(), expected, **CLOSE)
    # As bytes, with a shape instead of a batch, in a process of its own, with other options.
    for flags in (
        {"bytes": 1, "batch": batch},
        {"shape": f"x:{batch},3,8,8"},
        {"worker": FAKES / "engine_worker", "batch": batch},
        {"worker": FAKES / "engine_worker", "batch": batch, "bytes": 1},
        {"run_shape": f"{batch},3,8,8", "threads": 2, "pin": 1},
        {"batch": batch, "optimisation": "none", "threads": 0, "spin": 1},
    ):
        again = run(engine, network, x, tmp_path, **flags)
        numpy.testing.assert_allclose(again.values(), answer.values(), **CLOSE)


def test_nothing_of_the_libraries_reaches_the_streams(network, tmp_path):
    for engine in ENGINES:
        answer = run(engine, network, samples(1), tmp_path, batch=1)
        assert answer.stderr == ""
        starts = ("version ", "precision ", "effective ", "input ", "output ", "threads_alive ")
        assert all(line.startswith(starts) for line in answer.stdout.splitlines()), answer.stdout


def test_two_engines_share_a_process(network, tmp_path):
    need_plug_in(*ENGINES)
    for first, second in (("onnxruntime", "openvino"), ("openvino", "onnxruntime")):
        answer = run(
            first,
            network,
            samples(1),
            tmp_path,
            batch=1,
            second_engine=second,
            second_library=ENGINES[second],
        )
        numpy.testing.assert_allclose(answer.values(), answer.values(suffix=".second"), **CLOSE)


def test_options_are_read_back_where_the_engine_can_tell(network, tmp_path):
    answer = run("openvino", network, samples(1), tmp_path, batch=1, threads=2, streams=1)
    assert answer.line("effective precision") == "effective precision=f32 (read back)"
    assert answer.line("effective threads") == "effective threads=2 (read back)"
    assert answer.line("effective streams") == "effective streams=1 (read back)"
    assert answer.line("effective flush_denormals") == "effective flush_denormals=true (read back)"
    assert answer.line("effective spin").endswith("(unsupported)")
    answer = run("openvino", network, samples(1), tmp_path, batch=1, pin=1, flush=0)
    assert answer.line("effective pin_threads") == "effective pin_threads=true (read back)"
    assert answer.line("effective flush_denormals") == "effective flush_denormals=false (read back)"
    # It says what the rest is computed in, not whether what the model holds as int8 is.
    answer = run("openvino", network, samples(1), tmp_path, batch=1, precision="i8")
    assert answer.line("effective precision") == "effective precision=i8 (requested)"
    answer = run("onnxruntime", network, samples(1), tmp_path, batch=1, threads=2)
    assert answer.line("effective threads") == "effective threads=2 (requested)"
    assert answer.line("effective streams") == "effective streams=1 (unsupported)"


def test_the_threads_that_were_asked_for_are_there(network, tmp_path):
    alive = {
        threads: int(
            run("onnxruntime", network, samples(1), tmp_path, batch=1, threads=threads).line("threads_alive").split()[1]
        )
        for threads in (1, 2, 4)
    }
    # The calling thread is one of them.
    assert alive[2] == alive[1] + 1
    assert alive[4] == alive[1] + 3


def test_low_precision_is_used_where_it_is_asked_for_and_refused_where_there_is_none(network, tmp_path):
    answer = run("onnxruntime", network, samples(1), tmp_path, batch=1, precision="bf16", code=3)
    assert "can't be told to use bf16" in answer.stderr
    answer = run("openvino", network, samples(1), tmp_path, batch=1, precision="bf16")
    known = answer.stdout.splitlines()
    # Without the instructions the engine takes f32, and says so.
    expected = "bf16" if "precision bf16" in known else "f32"
    assert answer.line("effective precision") == f"effective precision={expected} (read back)"
    exact = run("openvino", network, samples(1), tmp_path, batch=1).values()
    difference = numpy.abs(answer.values() - exact).max()
    assert difference < 0.02
    assert (difference > 1e-5) == (expected == "bf16")


@pytest.mark.parametrize("engine", ENGINES)
def test_denormals_are_flushed_unless_they_are_wanted(engine, tmp_path):
    halves = [("half", numpy.full((1, 64), 0.5, "f4"))]
    node = helper.make_node("Mul", ["x", "half"], ["y"])
    model = save(tmp_path, [node], [("x", [1, 64])], [("y", [1, 64])], halves)
    # A denormal number, and a normal one whose half is none.
    for value in (1e-39, 1.5e-38):
        x = numpy.full((1, 64), value, "f4")
        assert not run(engine, model, x, tmp_path).values().any()
        kept = run(engine, model, x, tmp_path, flush=0).values()
        numpy.testing.assert_allclose(kept, x.ravel() / 2, rtol=1e-5)


def test_threads_that_do_not_spin_cost_nothing_between_calls(tmp_path):
    size = 512
    weights = [("w", numpy.random.default_rng(1).normal(0, 0.05, (size, size)).astype("f4"))]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])]
    model = save(tmp_path, nodes, [("x", [size, size])], [("y", [size, size])], weights)
    x = numpy.ones((size, size), "f4")

    def cpu_seconds(spin):
        flags = {"threads": 2, "spin": spin, "calls": 20, "pause_ms": 100}
        return float(run("onnxruntime", model, x, tmp_path, **flags).line("cpu_seconds").split()[1])

    # Over two seconds of pauses; spinning burns about all of them.
    assert cpu_seconds(spin=1) > 1.5 * cpu_seconds(spin=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_operator_that_nobody_knows_is_no_fault_of_the_file(engine, tmp_path):
    node = helper.make_node("Frobnicate", ["x"], ["y"], domain="org.example")
    model = save(tmp_path, [node], [("x", [1, 4])], [("y", [1, 4])], domains=["org.example"])
    for flags in ({}, {"worker": FAKES / "engine_worker"}):
        answer = run(engine, model, numpy.ones((1, 4), "f4"), tmp_path, code=3, **flags)
        assert "Frobnicate" in answer.stderr
        assert "hint: it lacks an operator of the model: try another engine" in answer.stderr


def test_a_model_from_the_future_wants_a_newer_engine(network, tmp_path):
    model = onnx.load(network)
    model.ir_version = 99
    onnx.save(model, network)
    answer = run("onnxruntime", network, samples(1), tmp_path, code=3)
    assert "pip install --upgrade onnxruntime" in answer.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_a_damaged_model_is_the_users(engine, network, tmp_path):
    whole = network.read_bytes()
    broken = tmp_path / "broken.onnx"
    for content in (whole[: len(whole) // 2], b"", b"a text, and no model\n"):
        broken.write_bytes(content)
        answer = run(engine, broken, samples(1), tmp_path, code=None, batch=1, worker=FAKES / "engine_worker")
        assert answer.code in (2, 3), answer.stderr
        assert answer.stderr.startswith("error: "), answer.stderr
    answer = run(engine, tmp_path / "missing.onnx", samples(1), tmp_path, code=None)
    assert answer.code == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_shapes_that_the_model_forbids_are_the_users(engine, network, tmp_path):
    answer = run(engine, network, samples(1), tmp_path, code=2, shape="x:1,4,8,8")
    assert "the model says [?, 3, 8, 8]" in answer.stderr
    answer = run(engine, network, samples(1), tmp_path, code=2, shape="X:1,3,8,8")
    assert "did you mean 'x'?" in answer.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_memory_that_an_output_does_not_fill_is_no_answer(engine, tmp_path):
    # Which samples are kept, and so how many, is known only when it runs.
    nodes = [
        helper.make_node("Greater", ["x", "zero"], ["keep"]),
        helper.make_node("Compress", ["x", "keep"], ["y"], axis=0),
    ]
    model = save(tmp_path, nodes, [("x", [6])], [("y", ["kept"])], [("zero", numpy.zeros(1, "f4"))])
    x = numpy.array([1, 0, 3, 0, 5, 0], "f4")
    for flags in ({}, {"bind_output": "3"}):
        assert list(run(engine, model, x, tmp_path, **flags).values()) == [1, 3, 5]
    for size in (2, 6):
        answer = run(engine, model, x, tmp_path, code=2, bind_output=size)
        assert "3" in answer.stderr and str(size) in answer.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_ports_are_called_what_the_model_calls_them(engine, tmp_path):
    # Merged away, these leave OpenVINO with their inner names.
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Identity", ["b"], ["y"]),
    ]
    model = save(tmp_path, nodes, [("x", ["n"])], [("y", ["n"])])
    for flags in ({}, {"worker": FAKES / "engine_worker"}):
        answer = run(
            engine, model, numpy.ones(2, "f4"), tmp_path, input_name="x", output_name="y", shape="x:2", **flags
        )
        assert answer.line("input") == "input x [2]"
        assert answer.line("output y")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_without_inputs_runs(engine, tmp_path):
    node = helper.make_node("Add", ["one", "one"], ["y"])
    model = save(tmp_path, [node], [], [("y", [2])], [("one", numpy.ones(2, "f4"))])
    assert list(run(engine, model, [], tmp_path).values()) == [2, 2]


def test_engines_lists_what_the_environment_has(joulery):
    need_plug_in(*ENGINES)
    document = joulery.json("engines", schema="engines", env={"VIRTUAL_ENV": sys.prefix, "TBB_ENABLE_SANITIZERS": "1"})
    assert document["usable"]
    for name in ENGINES:
        engine = next(one for one in document["engines"] if one["name"] == name)
        assert engine["in_use"]
        assert engine["found_in"] == "the active Python environment"
        assert engine["version"] == importlib.metadata.version(name)
        assert os.path.realpath(ENGINES[name]) == engine["library"]
        assert engine["devices"][0]["name"] == "CPU"
        assert "f32" in [precision["name"] for precision in engine["precisions"]]
    assert document["missing"] == []
    result = joulery("engines", env={"VIRTUAL_ENV": sys.prefix, "TBB_ENABLE_SANITIZERS": "1"})
    assert result.stderr == ""
    assert f"OpenVINO {importlib.metadata.version('openvino')}" in result.stdout


@pytest.fixture
def alone(joulery, tmp_path):
    """The program outside of its source tree, and a folder of a user's own engines."""
    home = tmp_path / "installed"
    (home / "bin").mkdir(parents=True)
    shutil.copy(BINARY, home / "bin")
    shutil.copytree(LIBRARIES, home / "lib", symlinks=True, ignore=shutil.ignore_patterns("*.a"))
    joulery.binary = str(home / "bin/joulery")
    folder = tmp_path / "engines"
    folder.mkdir(mode=0o755)
    return joulery, folder


def test_without_an_engine_it_says_how_to_get_one(alone):
    joulery, _ = alone
    document = joulery.json("engines", schema="engines", code=None)
    if document["engines"]:
        pytest.skip("this system has an engine of its own")
    assert not document["usable"]
    assert [engine["install"] for engine in document["missing"]] == [
        "pip install onnxruntime",
        "pip install openvino",
    ]
    assert "pip install onnxruntime" in joulery("engines", code=3).stdout


def test_libraries_that_are_none_are_told_with_the_reason(alone):
    need_plug_in(*ENGINES)
    joulery, folder = alone

    def problem(code=None):
        # A sanitizer would make an exit with a report of what is a crash.
        plain = {"ASAN_OPTIONS": "handle_segv=0", "TSAN_OPTIONS": "handle_segv=0"}
        document = joulery.json("engines", "--engine-path", folder, schema="engines", code=code, env=plain)
        engine = document["engines"][0]
        assert engine["found_in"] == "--engine-path"
        assert not engine["usable"] and not engine["in_use"]
        return engine["problem"]

    library = folder / "libonnxruntime.so.1.2.3"
    library.write_text("no library\n")
    assert "can't load" in problem()["message"]
    shutil.copy(FAKES / "libjoulery_foreign.so", library)
    assert "is not ONNX Runtime" in problem()["message"]
    shutil.copy(FAKES / "old_onnxruntime.so", library)
    assert "ONNX Runtime 1.8.2" in problem()["message"] and "too old" in problem()["message"]
    assert problem()["hint"] == "pip install --upgrade onnxruntime"
    shutil.copy(FAKES / "crashing_library.so", library)
    assert "SIGSEGV" in problem()["message"] and "loading failed badly" in problem()["message"]
    library.chmod(0o666)
    assert "everybody may write it" in problem()["message"]
    library.rename(folder / "libopenvino_c.so.1")
    shutil.copy(FAKES / "libjoulery_foreign.so", folder / "libopenvino_c.so.1")
    (folder / "libopenvino_c.so.1").chmod(0o644)
    assert "is not OpenVINO" in problem()["message"]
    result = joulery("engines", "--engine-path", folder, code=None)
    assert result.stderr == ""
    assert "✗ OpenVINO can't be used" in result.stdout


def test_a_package_without_its_library_is_told_as_such(alone):
    joulery, folder = alone
    (folder / "onnxruntime").mkdir()
    (folder / "onnxruntime/__init__.py").touch()
    document = joulery.json("engines", "--engine-path", folder, schema="engines", code=None)
    assert document["engines"][0]["problem"]["hint"] == "pip install --force-reinstall onnxruntime"


def test_without_its_plug_in_an_engine_is_named_with_the_remedy(alone):
    need_plug_in("onnxruntime")
    joulery, folder = alone
    (pathlib.Path(joulery.binary).parents[1] / "lib/libjoulery_onnxruntime.so").unlink()
    (folder / "libonnxruntime.so.1").write_text("x")
    document = joulery.json("engines", "--engine-path", folder, schema="engines", code=None)
    assert "plug-in for onnxruntime is not there" in document["engines"][0]["problem"]["message"]


def test_an_engine_path_must_be_trustworthy(joulery, tmp_path):
    assert "not absolute" in joulery("engines", "--engine-path", "lib", code=2).stderr
    assert "is no folder" in joulery("engines", "--engine-path", tmp_path / "absent", code=2).stderr
    assert "is empty" in joulery("engines", "--engine-path", "", code=2).stderr
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, 12345)
        assert "belongs to another user" in joulery("engines", "--engine-path", tmp_path, code=2).stderr
        os.chown(tmp_path, 0, 0)
    tmp_path.chmod(0o777)
    assert "everybody may write it" in joulery("engines", "--engine-path", tmp_path, code=2).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a program privileges")
@pytest.mark.skipif(not (shutil.which("setcap") and shutil.which("setpriv")), reason="needs setcap and setpriv")
def test_privileges_of_the_program_are_not_lent_to_the_users_library():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        program = shutil.copy(BUILD / "test_bin/run_model", folder)
        if subprocess.run(["setcap", "cap_net_raw+ep", program], check=False).returncode != 0:
            pytest.skip("this file system keeps no capabilities")
        library = folder / "own/libfake.tell_privileges_open.crash_open.so"
        library.parent.mkdir()
        library.write_text("x")
        for path in (library.parent, library):
            os.chown(path, 12345, 12345)

        def stderr(*worker):
            words = ["--engine", "fake", "--library", library, "--plugins", FAKES, *worker]
            user = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
            return subprocess.run([*user, program, *words], capture_output=True, text=True, timeout=60).stderr

        if "cannot open shared object" in stderr() or "Permission denied" in stderr():
            pytest.skip("the build folder is closed to other users")
        assert "privileges that you lack" in stderr()
        assert "CapPrm:?0000000000000000" in stderr("--worker", "/proc/self/exe")


def test_the_worker_is_nothing_for_people(joulery):
    assert joulery("engine-worker", code=2).stdout == ""
    assert "engine-worker" not in joulery("--help").stdout + joulery("man").stdout
