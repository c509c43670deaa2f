"""Comparisons: pairs that run in turn, groups that did not, and what may be said of them."""

import importlib.util
import json
import pathlib
import shlex
import sys

import pytest
from conftest import PROJECT, check_schema

LESS = f"{sys.executable} -c 'sum(range(2_000_000))'"
MORE = f"{sys.executable} -c 'sum(range(12_000_000))'"
FRAMEWORKS = PROJECT / "examples/frameworks"


def versus(joulery, a, b, *flags, code=0, **options):
    """The document of `run --versus`, and what went to stderr."""
    output = joulery.home / "versus.json"
    output.unlink(missing_ok=True)
    result = joulery("run", "--json", "--output", output, *flags, "--versus", a, b, code=code, **options)
    if not output.exists():
        return None, result
    document = json.loads(output.read_text())
    check_schema(document, "compare")
    return document["comparisons"][0], result


def runs(joulery, *arguments):
    return joulery.json("runs", *arguments, schema="runs")["runs"]


def test_versus_runs_both_in_turn_and_finds_the_cheaper(joulery):
    comparison, _ = versus(joulery, MORE, LESS, "--repeat", 4, "--seed", 5)
    assert comparison["paired"]
    assert len(comparison["a"]["run_ids"]) == len(comparison["b"]["run_ids"]) == 4
    cpu = comparison["figures"]["cpu_seconds"]
    assert cpu["verdict"] == "less"
    assert cpu["ratio"]["value"] < 0.8
    assert "less CPU time" in cpu["text"]
    # A model that both share cancels: the range is that of the runs and of the sharing, not ×0.35 to ×2.1.
    energy = comparison["figures"]["energy_joules"]
    if energy["mean_a"]["provenance"] == "modelled":
        assert energy["mean_a"]["high"] > 1.5 * energy["mean_a"]["value"]
    assert energy["systematic_high"] < 1.4
    assert energy["ratio"]["provenance"] == energy["mean_a"]["provenance"]

    recorded = runs(joulery)
    assert len(recorded) == 8
    orders = {run["tags"]["joulery.versus_pair"]: run["tags"]["joulery.versus_order"] for run in recorded}
    # In every two pairs each goes first once.
    assert {orders["1"], orders["2"]} == {orders["3"], orders["4"]} == {"AB", "BA"}
    assert {run["tags"]["joulery.versus_seed"] for run in recorded} == {"5"}
    by_start = sorted(recorded, key=lambda run: run["start_utc_ns"])
    for pair in range(4):
        sides = [run["tags"]["joulery.versus_side"] for run in by_start[2 * pair : 2 * pair + 2]]
        assert "".join(sides) == orders[str(pair + 1)]


def test_the_same_seed_gives_the_same_order_and_the_record_the_same_figures(joulery):
    first, _ = versus(joulery, LESS, LESS, "--repeat", 4, "--seed", 5)
    versus(joulery, MORE, LESS, "--repeat", 4, "--seed", 5)
    orders = [run["tags"]["joulery.versus_order"] for run in sorted(runs(joulery), key=lambda run: run["start_utc_ns"])]
    assert orders[:8] == orders[8:]
    again = joulery.json("compare", first["a"]["run_ids"][2], schema="compare")["comparisons"][0]
    assert again["figures"] == first["figures"]
    last = joulery.json("compare", schema="compare")["comparisons"][0]
    assert last["figures"] != first["figures"]


def test_a_failing_command_is_named_and_its_pair_left_out(joulery):
    # Fails in its third run.
    script = joulery.home / "sometimes.sh"
    script.write_text('#!/bin/sh\necho >> "$0.log"\n[ "$(wc -l < "$0.log")" -ne 3 ] || exit 9\n')
    script.chmod(0o755)
    comparison, result = versus(joulery, "true", str(script), "--repeat", 4, "--seed", 1, code=9)
    assert "B ended with exit 9 in pair 3; the pair is left out" in result.stderr
    assert len(comparison["a"]["run_ids"]) == 3
    again = joulery.json("compare", "last", schema="compare")["comparisons"][0]
    assert again["a"]["run_ids"] == comparison["a"]["run_ids"]
    assert [run["reason"] for run in again["b"]["left_out"]] == ["failed"]


def test_what_fails_at_once_ends_it(joulery):
    document, result = versus(joulery, "true", "false", "--repeat", 5, code=1)
    assert document is None
    assert "B ended with exit 1 in pair 1; the pair is left out; no more pairs are run" in result.stderr
    assert "hint: see what it says: joulery run -- false" in result.stderr
    document, result = versus(joulery, "false", "true", "--warmup", 1, code=1)
    assert "A ended with exit 1 in a warm-up" in result.stderr
    document, result = versus(joulery, "true", "no-such-program-here", code=127)
    assert "no-such-program-here" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--versus", "a | b", "c"], "needs a shell"),
        (["--versus", "a 'b", "c"], "without its partner"),
        (["--versus", "a", ""], "is empty"),
        (["--versus", "a"], "needs 2 values"),
        (["--versus", "a", "b", "--", "c"], "one too many"),
        (["--versus", "a", "b", "--seed", "x"], "whole number"),
        (["--versus", "a", "b", "--margin", "0"], "above 0"),
        (["--margin", "5", "--", "a"], "--versus"),
    ],
)
def test_wrong_command_lines_are_refused(joulery, arguments, words):
    assert words in joulery("run", *arguments, code=2).stderr


def test_quoted_words_arrive_as_they_are(joulery):
    print_it = f"""{sys.executable} -c 'import sys; print(sys.argv[1:])' "a b" c\\ d '' '$HOME'"""
    result = joulery("run", "-q", "--repeat", 1, "--versus", print_it, "true")
    assert result.stdout == "['a b', 'c d', '', '$HOME']\n"


def test_groups_by_name_tag_and_series(joulery):
    for framework, command in (("x", MORE), ("y", LESS)):
        joulery(
            "run", "-q", "-r", 3, "--name", framework, "--tag", f"framework={framework}", "--", *shlex.split(command)
        )
    by_name = joulery.json("compare", "x", "y", schema="compare")["comparisons"][0]
    assert not by_name["paired"]
    assert by_name["figures"]["cpu_seconds"]["ratio"]["value"] < 0.8
    assert any("not interleaved" in warning["text"] for warning in by_name["warnings"])
    by_tag = joulery.json("compare", "--by", "framework", schema="compare")["comparisons"]
    assert len(by_tag) == 1
    assert by_tag[0]["figures"] == by_name["figures"]
    turned = joulery.json("compare", "--by", "framework", "--baseline", "y", schema="compare")["comparisons"][0]
    assert turned["figures"]["cpu_seconds"]["ratio"]["value"] > 1.2
    ids = [run["run_id"] for run in runs(joulery)]
    whole = joulery.json("compare", ids[5], ids[0], schema="compare")["comparisons"][0]
    assert len(whole["a"]["run_ids"]) == 3
    single = joulery.json("compare", ids[5], ids[0], "--single", schema="compare")["comparisons"][0]
    assert len(single["a"]["run_ids"]) == 1
    for figure in single["figures"].values():
        assert figure["verdict"] == "single_runs"
        assert "no range: one run each" in figure["text"]
        assert figure["ratio"]["low"] is None and figure["ratio"]["high"] is None
    assert "no range" in joulery("compare", ids[5], ids[0], "--single").stdout
    assert (
        "nothing to compare"
        in joulery("compare", "--by", "framework", "--where", "tags.framework = 'x'", code=2).stderr
    )
    joulery("run", "-q", "--tag", "framework=broken", "--", "false", code=1)
    some = joulery.json("compare", "--by", "framework", schema="compare")["comparisons"]
    assert [some[0]["a"]["label"], some[0]["b"]["label"]] == ["x", "y"]
    assert any("'broken' is left out" in warning["text"] for warning in some[0]["warnings"])
    only = ("compare", "--by", "framework", "--where", "tags.framework != 'x'")
    assert "fewer than two groups" in joulery(*only, code=2).stderr
    assert "in common" in joulery("compare", "x", ids[-1], code=2).stderr
    assert "was not run against another" in joulery("compare", "last", code=2).stderr


def test_no_difference_needs_the_margin(joulery):
    comparison, _ = versus(joulery, LESS, LESS, "--repeat", 3)
    for figure in comparison["figures"].values():
        assert figure["verdict"] != "equivalent"
        assert figure["equivalence_p_value"] is None
    wide = joulery.json("compare", "--margin", "100", schema="compare")["comparisons"][0]
    cpu = wide["figures"]["cpu_seconds"]
    assert cpu["equivalence_p_value"] is not None
    assert (cpu["verdict"] == "equivalent") == ("no difference in CPU time (within ±100 %)" in cpu["text"])


def test_text_for_people(joulery):
    result = joulery("run", "--repeat", 3, "--versus", MORE, LESS)
    assert result.stdout == ""
    for words in ("pair 3 of 3:", "mean A", "A/A noise", "in 3 pairs", "less CPU time", "joulery compare "):
        assert words in result.stderr
    assert "less CPU time" in joulery("compare").stdout


def test_idle_policies_that_differ_are_warned_of(joulery):
    joulery("run", "-q", "--name", "x", "--idle", "none", "--", "true")
    joulery("run", "-q", "--name", "y", "--idle", "all", "--", "true")
    assert "idle policies differ: A none, B all" in joulery("compare", "x", "y").stdout


@pytest.mark.skipif(importlib.util.find_spec("lightgbm") is None, reason="needs LightGBM: ./dev setup")
def test_the_example_of_two_frameworks(joulery):
    python = pathlib.Path(sys.executable)
    comparison, result = versus(
        joulery,
        f"{python} {FRAMEWORKS}/train_scikit_learn.py --quick",
        f"{python} {FRAMEWORKS}/train_lightgbm.py --quick",
        "--repeat",
        2,
        timeout=300,
    )
    reported = [json.loads(line) for line in result.stdout.splitlines()]
    assert {each["framework"] for each in reported} == {"scikit-learn", "LightGBM"}
    assert all(each["validation_loss"] <= 0.6 for each in reported)
    assert comparison["figures"]["cpu_seconds"]["ratio"]["value"] > 0
