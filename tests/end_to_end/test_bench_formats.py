"""What `joulery bench MODEL` writes: its JSON against the schema, its page in a browser, and other tools' files."""

import json

import numpy
import onnx
import pytest
from browser import browser  # noqa: F401
from conftest import Joulery, check_schema
from onnx import TensorProto, helper
from test_report import CONTRAST, check_page

SIDE = 16
CLASSES = 4
HOSTILE = "</title></style><script>alert(1)</script>\"'><svg onload=alert(2)> \u202e"


def make_model(path, width=8):
    """A small network of convolutions whose last layer looks at the four quarters of an image."""
    random = numpy.random.default_rng(7)
    half = SIDE // 2
    quarters = numpy.zeros((width * SIDE * SIDE, CLASSES), "f4")
    for quarter in range(CLASSES):
        mask = numpy.zeros((width, SIDE, SIDE), "f4")
        top, left = half * (quarter // 2), half * (quarter % 2)
        mask[:, top : top + half, left : left + half] = 1
        quarters[:, quarter] = mask.ravel()
    constants = {
        "w": numpy.abs(random.normal(0, 0.01, (width, 1, 3, 3))).astype("f4"),
        "b": numpy.zeros(width, "f4"),
        "q": quarters,
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "q"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "quarters",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", CLASSES])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def make_data(path, samples=240):
    """Images with one bright quarter, which is the label; noise makes some of them hard."""
    random = numpy.random.default_rng(11)
    labels = numpy.arange(samples) % CLASSES
    images = random.normal(0, 1.5, (samples, 1, SIDE, SIDE)).astype("f4")
    half = SIDE // 2
    for image, label in zip(images, labels, strict=True):
        image[0, half * (label // 2) :, half * (label % 2) :][:half, :half] += 0.4
    groups = numpy.array([f"{HOSTILE} {i % 3}" for i in range(samples)])
    numpy.savez(path, x=images, y=labels.astype("i8"), camera=groups)
    return path


def bench(joulery, *arguments, **options):
    return joulery("bench", *arguments, "--budget", "2s", "--engine", "onnxruntime", **options)


class Benched:
    """One bench with quality and two sides in every format, of files with hostile names."""

    def __init__(self, home):
        self.joulery = Joulery(home)
        name = HOSTILE.replace("/", "\u2215")
        model = make_model(home / f"{name}.onnx")
        other = make_model(home / "other.onnx", width=12)
        data = make_data(home / "data.npz")
        judged = ("--data", data, "--task", "classify", "--group", "camera")
        self.json = self.run("one.json", model, *judged, "--format", "json")
        self.page = self.run("one.html", model, *judged, "--format", "html")
        self.versus_page = self.run("two.html", model, "--versus", other, *judged, "--format", "html")
        self.bare_page = self.run("bare.html", other, "--format", "html")
        self.optimum = self.run("benchmark_report.json", model, *judged, "--format", "optimum")
        self.score = self.run("GPU_ENERGY_SUMMARY.json", model, *judged, "--format", "aienergyscore")
        self.versus_json = self.run("two.json", model, "--versus", other, *judged, "--format", "json")

    def run(self, name, *arguments):
        path = self.joulery.home / name
        bench(self.joulery, *arguments, "--output", path)
        return path


@pytest.fixture(scope="module")
def benched(tmp_path_factory):
    return Benched(tmp_path_factory.mktemp("benched"))


def test_the_schema_holds_for_real_output(benched):
    for path in (benched.json, benched.versus_json):
        check_schema(json.loads(path.read_text()), "bench")
    one = json.loads(benched.json.read_text())
    assert one["quality"]["calibration"]["bins"] and one["quality"]["slices"]
    assert one["versus"] is None and one["comparison"] is None
    two = json.loads(benched.versus_json.read_text())
    assert two["versus"]["quality"] and two["comparison"]["cpu_seconds_ratio"]


def test_the_schema_holds_without_data_and_in_the_record(benched):
    joulery = benched.joulery
    document = json.loads(bench(joulery, joulery.home / "other.onnx", "--json").stdout)
    check_schema(document, "bench")
    assert document["data"]["synthetic"] and document["quality"] is None
    evidence = joulery.json("show", document["run_id"], schema="show")["evidence"]
    kept = [each["content"] for each in evidence if each["type"] == "joulery/bench-model"]
    assert kept == [document]


def test_the_page_has_the_figures(benched):
    page = check_page(benched.page)
    for key in (
        "energy_per_inference_joules",
        "energy_active_per_inference_joules",
        "energy_machine_per_inference_joules",
        "carbon_per_inference_gco2e",
        "cpu_seconds_per_inference",
        "wall_seconds_per_inference",
        "throughput_per_second",
        "latency_p50_seconds",
        "latency_p99_seconds",
        "peak_resident_bytes",
        "accuracy",
        "ece",
    ):
        assert page.figures[key] > 0, key
    assert page.figures["latency_p50_seconds"] <= page.figures["latency_p99_seconds"]
    for words in ("Latency of a call", "Over time", "Is it as sure as it should be?", "Parts of the data"):
        assert words in page.words, words
    assert "(95 % confidence interval)" in page.words and "The chart as a table" in page.words
    assert not any(key.startswith("versus_") for key in page.figures)


def test_the_page_of_two_has_their_ratio(benched):
    page = check_page(benched.versus_page)
    assert page.figures["cpu_seconds_ratio"] > 0
    assert page.figures["versus_cpu_seconds_per_inference"] > 0 and page.figures["versus_accuracy"] > 0
    assert "B against A" in page.words


def test_a_page_without_quality_says_what_its_inputs_are(benched):
    page = check_page(benched.bare_page)
    assert "made up" in page.words and "Quality" not in page.words


def test_hostile_names_stay_text(benched):
    words = check_page(benched.page).words
    assert "<script>alert(1)<\u2215script>" in words and "<script>alert(1)</script>" in words
    assert "<U+202E>" in words


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser(browser, benched, width, scheme):  # noqa: F811
    for path in (benched.page, benched.versus_page, benched.bare_page):
        browser.show(path, width, scheme)
        browser.ask("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert browser.ask("document.scrollingElement.scrollWidth") <= width
        assert browser.complaints == []
        assert browser.requests == [path.as_uri()]
        assert browser.ask(CONTRAST) == []
        plots = browser.ask(
            "[...document.querySelectorAll('.plot > svg')].map(each => each.getBoundingClientRect().width)"
        )
        assert len(plots) >= 3 and all(each > width / 2 for each in plots)


def test_a_server_has_no_page(joulery):
    said = joulery("bench", "http://127.0.0.1:9/v1", "--format", "html", code=2).stderr
    assert "--format html is for a model" in said


# Keys of every part, as optimum-benchmark's own classes have them: it reads with them and knows no other.
OPTIMUM_PARTS = {
    "memory": ("unit", "max_ram", "max_global_vram", "max_process_vram", "max_reserved", "max_allocated"),
    "latency": ("unit", "values", "count", "total", "mean", "p50", "p90", "p95", "p99", "stdev", "stdev_"),
    "throughput": ("unit", "value"),
    "energy": ("unit", "cpu", "ram", "gpu", "total"),
    "efficiency": ("unit", "value"),
}


def test_what_optimum_benchmark_reads(benched):
    report = json.loads(benched.optimum.read_text())
    assert list(report) == ["load_model", "first_forward", "forward"]
    for phase in report.values():
        assert set(phase) == set(OPTIMUM_PARTS)
        for part, keys in OPTIMUM_PARTS.items():
            assert phase[part] is None or set(phase[part]) == set(keys)
        latency = phase["latency"]
        assert latency["count"] == len(latency["values"])
        assert latency["mean"] == pytest.approx(numpy.mean(latency["values"]))
        assert latency["stdev"] == pytest.approx(numpy.std(latency["values"]))
        for percent in (50, 90, 95, 99):
            assert latency[f"p{percent}"] == pytest.approx(numpy.percentile(latency["values"], percent))
    forward = report["forward"]
    beside = json.loads((benched.optimum.parent / "benchmark_report.ranges.json").read_text())
    check_schema(beside, "bench")
    joules = beside["energy_per_inference_joules"]["value"]
    assert forward["energy"]["total"] * 3.6e6 == pytest.approx(joules)
    parts = sum(forward["energy"][key] for key in ("cpu", "ram", "gpu"))
    assert parts == pytest.approx(forward["energy"]["total"])
    assert forward["efficiency"]["value"] == pytest.approx(3.6e6 / joules)
    assert forward["latency"]["p50"] == pytest.approx(beside["latency_p50_seconds"], rel=0.05)
    assert forward["memory"]["max_ram"] * 1e6 == beside["peak_resident_bytes"]


def test_what_ai_energy_score_reads(benched):
    score = json.loads(benched.score.read_text())
    beside = json.loads((benched.score.parent / "GPU_ENERGY_SUMMARY.ranges.json").read_text())
    assert score["units"] == "Wh" and score["total"] == score["energy"]["gpu_energy_wh"] == score["decode_wh"]
    # No GPU takes part in this bench, and nobody is to think that this is a score.
    assert score["total"] == 0 and "no score" in score["joulery"]["note"]
    own = score["joulery"]["energy_per_1000_queries_watt_hours"]
    for key in ("value", "low", "high"):
        assert own[key] * 3.6 == pytest.approx(beside["energy_per_inference_joules"][key])
    assert own["provenance"] == beside["energy_per_inference_joules"]["provenance"]


@pytest.mark.parametrize("flags", [("--rate", "50"), ("--streams", "2", "--batch", "4"), ()])
def test_other_formats_do_not_contradict_ours(benched, flags):
    joulery = benched.joulery
    model = joulery.home / "other.onnx"
    bench(joulery, model, *flags, "--format", "optimum", "--output", "o.json")
    ours = json.loads((joulery.home / "o.ranges.json").read_text())
    forward = json.loads((joulery.home / "o.json").read_text())["forward"]
    assert forward["throughput"]["value"] == pytest.approx(ours["throughput_per_second"])
    assert forward["latency"]["p50"] == pytest.approx(ours["latency_p50_seconds"], rel=0.05)
    bench(joulery, model, *flags, "--format", "aienergyscore", "--output", "a.json")
    ours = json.loads((joulery.home / "a.ranges.json").read_text())
    summary = json.loads((joulery.home / "a.json").read_text())["summary"]
    rate = summary["total_prompts"] / summary["total_duration_seconds"]
    assert rate == pytest.approx(ours["throughput_per_second"])
    # A mean lies among the quantiles, but for a few calls that took very long.
    assert summary["avg_latency_seconds"] < 5 * ours["latency_p99_seconds"]
    if "--rate" in flags:
        assert ours["throughput_per_second"] == pytest.approx(50, rel=0.3)
        # Calls of this model are much shorter than the time between two.
        assert summary["avg_latency_seconds"] < 0.5 / 50


def test_what_two_draw_together_is_in_no_format(benched):
    both = json.loads(benched.versus_json.read_text())
    assert both["energy_machine_per_inference_joules"] is None
    assert not any("energy_machine" in key for key in check_page(benched.versus_page).figures)
    joulery = benched.joulery
    other = joulery.home / "other.onnx"
    score = json.loads(bench(joulery, other, "--versus", other, "--format", "aienergyscore").stdout)["joulery"]
    assert score["energy_machine_per_1000_queries_watt_hours"] is None
    assert score["energy_per_1000_queries_watt_hours"]["value"] > 0


@pytest.mark.parametrize("flags", [(), ("--rate", "50")])
def test_every_format_says_the_same_of_how_a_figure_is_known(benched, flags):
    joulery = benched.joulery
    text = bench(joulery, joulery.home / "other.onnx", *flags).stdout
    markdown = bench(joulery, joulery.home / "other.onnx", *flags, "--format", "markdown").stdout
    ours = json.loads(bench(joulery, joulery.home / "other.onnx", *flags, "--json").stdout)
    rows = {
        "CPU time": "cpu_seconds_per_inference",
        "wall time": "wall_seconds_per_inference",
        "energy": "energy_per_inference_joules",
        "without idle": "energy_active_per_inference_joules",
        "whole machine": "energy_machine_per_inference_joules",
        "carbon": "carbon_per_inference_gco2e",
    }
    for shown in (text, markdown):
        lines = [line.strip(" |") for line in shown.splitlines()]
        for row, key in rows.items():
            line = next(line for line in lines if line.startswith(row + " "))
            assert line.endswith(" " + ours[key]["provenance"]), row
    page = joulery.home / "known.html"
    bench(joulery, joulery.home / "other.onnx", *flags, "--format", "html", "--output", page)
    assert f"Times are {ours['cpu_seconds_per_inference']['provenance']}" in check_page(page).words


def metrics_of(joulery, run):
    metrics = joulery.json("show", run, schema="show")["run"]["metrics"]
    return {key.removeprefix("joulery/"): value for key, value in metrics.items()}


def test_what_is_written_can_be_read(benched, joulery):
    done = joulery.json("import", benched.optimum, benched.score, schema="import")["files"]
    assert [each["added"] for each in done] == [1, 1]
    optimum = metrics_of(joulery, done[0]["run_ids"][0])
    beside = json.loads((benched.optimum.parent / "benchmark_report.ranges.json").read_text())
    assert optimum["energy_per_inference_joules"] == pytest.approx(beside["energy_per_inference_joules"]["value"])
    assert optimum["peak_memory_bytes"] == beside["peak_resident_bytes"]
    score = metrics_of(joulery, done[1]["run_ids"][0])
    beside = json.loads((benched.score.parent / "GPU_ENERGY_SUMMARY.ranges.json").read_text())
    for key, ours in (("", "value"), ("_low", "low"), ("_high", "high")):
        expected = beside["energy_per_inference_joules"][ours]
        assert score["energy_per_inference_joules" + key] == pytest.approx(expected)
    again = joulery.json("import", benched.optimum, schema="import")["files"][0]
    assert (again["added"], again["unchanged"]) == (0, 1)


def test_an_imported_benchmark_is_no_measurement_of_ours(benched, joulery):
    said = joulery("import", benched.optimum).stderr
    assert "counts as assumed, without a range" in said
    runs = joulery.json("runs", schema="runs")["runs"]
    assert len(runs) == 1 and runs[0]["experiment"] == "optimum-benchmark"


def test_an_unknown_unit_is_not_guessed(benched, joulery, tmp_path):
    path = tmp_path / "report.json"
    path.write_text(benched.optimum.read_text().replace('"kWh"', '"mWh"'))
    said = joulery("import", path, code=2).stderr
    assert "unit is 'mWh', which is not known" in said and "hint:" in said
    # All or nothing: the good file before it is not stored either.
    joulery("import", benched.optimum, path, code=2)
    assert "there are no runs yet" in joulery("runs", code=2).stderr


def test_foreign_formats_say_what_they_lose(benched):
    joulery = benched.joulery
    said = bench(joulery, joulery.home / "other.onnx", "--format", "aienergyscore").stderr
    assert "is no score" in said and "joulery show" in said
