"""`joulery bench` of a model, and what holds for every figure that it gives."""

import json

import pytest
from conftest import check_schema


def bench(joulery, model, *flags, budget="1s"):
    """The document of a quick bench, with its figures checked for what must hold among them."""
    document = json.loads(joulery("bench", model, "--budget", budget, *flags, "--json").stdout)
    check_schema(document, "bench")
    check_side(document)
    check_core(document)
    if document["versus"] is None:
        assert document["energy_machine_per_inference_joules"] is not None
    else:
        check_side(document["versus"])
    return document


def check_core(document):
    """Times per inference are given at the usual clock, so that they are derived; under arrivals as they were."""
    core = document["core"]
    figures = [document[f"{name}_seconds_per_inference"] for name in ("cpu", "wall")]
    if document["protocol"]["arrivals"] != "closed loop":
        assert core is None and document["undisturbed_blocks"] == document["blocks"]
        assert figures == [document[f"{name}_seconds_per_inference_as_run"] for name in ("cpu", "wall")]
        return
    assert 1e8 < core["hertz"] < 2e10 and core["quiet_work_cycles"] <= core["work_cycles"]
    assert abs(core["usual_hertz"] / core["hertz"] - 1) < 0.11
    assert document["undisturbed_blocks"] == document["blocks"] - core["disturbed_blocks"]
    for figure in figures:
        assert figure["provenance"] == "derived" and "at a clock of" in figure["basis"]


def check_side(side):
    for name in ("cpu_seconds_per_inference_as_run", "wall_seconds_per_inference_as_run"):
        assert side[name]["value"] > 0 and side[name]["provenance"] == "measured"
    for name in ("cpu_seconds_per_inference", "wall_seconds_per_inference"):
        figure = side[name]
        assert figure["value"] > 0 and figure["provenance"] in ("measured", "derived")
        if figure["interval"] == "confidence":
            assert figure["low"] <= figure["value"] <= figure["high"]
        else:
            assert figure["low"] is None and figure["high"] is None
    total = side["energy_per_inference_joules"]
    active = side["energy_active_per_inference_joules"]
    idle = side["energy_idle_share_per_inference_joules"]
    for figure in (total, active, idle):
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert figure["provenance"] in ("measured", "derived", "modelled", "assumed") and figure["basis"]
    assert total["value"] == pytest.approx(active["value"] + idle["value"], rel=1e-6)
    # Of two that were measured in turn nobody can tell whose the machine was.
    machine = side["energy_machine_per_inference_joules"]
    assert machine is None or machine["value"] >= active["value"]
    assert 0 < side["latency_p50_seconds"] <= side["latency_p90_seconds"] <= side["latency_p99_seconds"]
    assert side["throughput_per_second"] == pytest.approx(1 / side["wall_seconds_per_inference"]["value"])
    assert side["inferences"] == side["calls"] * side["batch"] and side["blocks"] >= side["processes"] >= 1
    start = side["cold_start"]
    assert start["starts"] == side["processes"]
    # To the first answer is longer than the first answer.
    assert start["wall_seconds"]["value"] > start["first_call_seconds"]["value"] > 0
    assert side["peak_resident_bytes"] >= side["resident_bytes"] > 1e6


def metrics(document):
    """Name → value of all figures of quality; each lies in its interval."""
    quality = document["quality"]
    for metric in quality["metrics"]:
        if metric["method"] != "none":
            assert metric["low"] <= metric["value"] <= metric["high"], metric
    return {metric["name"]: metric["value"] for metric in quality["metrics"]}


def top_class_error(confidence, right, bins=15):
    """Expected calibration error by hand: bins of equal width, open below and closed above."""
    error = 0
    for i in range(bins):
        inside = (confidence > i / bins) & (confidence <= (i + 1) / bins)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return error
