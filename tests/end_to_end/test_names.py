"""What names of runs, series and places stand for, and what is said of wrong ones."""

import json
import re

from test_record import fill


def test_a_name_that_is_given_twice_is_one_run(joulery):
    fill(joulery, 2)
    said = joulery("rm", "last", "last").stderr
    left = [run["name"] for run in joulery.json("runs", schema="runs")["runs"]]
    assert left == ["job0"], "`last` must not move on to the run before"
    deleted = joulery.json("runs", "--deleted", schema="runs")["runs"][0]["run_id"]
    assert f"joulery rm --restore {deleted}" in said
    assert joulery.json("rm", "--restore", deleted, deleted, schema="rm")["run_ids"] == [deleted]
    exported = json.loads(joulery("export", "--json", "last", "last", "job1").stdout)["runs"]
    assert [run["name"] for run in exported] == ["job1"]


def test_a_series_can_be_reached_by_what_is_on_screen(joulery):
    said = joulery("run", "--name", "old", "--repeat", "3", "--", "true").stderr
    series = re.search(r"^ +series ([0-9a-f]{32})$", said, re.M).group(1)
    assert f"joulery report {series} --html" in said
    assert f"series {series}" in joulery("show").stdout
    joulery("run", "--name", "new", "--", "true")
    assert len(json.loads(joulery("export", "--json", series).stdout)["runs"]) == 3
    assert len(json.loads(joulery("export", "--json", "old").stdout)["runs"]) == 3
    said = joulery("show", series, code=2).stderr
    assert f"{series} is a series of 3 runs" in said and f"joulery report {series}" in said
    assert "is a series" in joulery("show", "--why", series, "energy", code=2).stderr
    # What deletes takes no name that several have, but tells how to go on.
    said = joulery("rm", "old", code=2).stderr
    listing = re.search(r"joulery (runs) \"(run_name = 'old')\"", said)
    assert joulery(*listing.groups()).stdout.count("FINISHED") == 3
    assert len(joulery.json("rm", series, schema="rm")["run_ids"]) == 3
    assert [run["name"] for run in joulery.json("runs", schema="runs")["runs"]] == ["new"]
    assert len(joulery.json("rm", "--restore", series, schema="rm")["run_ids"]) == 3


def test_a_name_alone_is_one_side_and_what_is_unknown_is_no_prefix(joulery):
    joulery("run", "-q", "--name", "old", "--repeat", "3", "--", "true")
    said = joulery("compare", "old", code=2).stderr
    assert "compare needs two; 'old' is one: 3 runs" in said and "joulery compare old OTHER" in said
    for words in (("compare", "old", "zzz"), ("show", "zzz")):
        assert "there is no run 'zzz'" in joulery(*words, code=2).stderr
    assert "did you mean 'old'?" in joulery("show", "odl", code=2).stderr
    start = joulery.json("show", "last", schema="show")["run"]["run_id"][:2]
    assert "too little of a run's id" in joulery("show", start, code=2).stderr
    # Two series of one name are no ambiguity for compare, but are one side all the same.
    joulery("run", "-q", "--name", "old", "--", "true")
    assert "compare needs two; 'old' is one: 4 runs" in joulery("compare", "old", code=2).stderr


def test_filters_suggest_what_is_meant(joulery):
    fill(joulery, 1)
    assert "did you mean 'run_name'?" in joulery("runs", "name = 'job0'", code=2).stderr
    said = joulery("runs", "status = 'finishd'", code=2).stderr
    assert "'finishd'" in said and "''" not in said
    fill(joulery, 2)
    assert "hint: there are " in joulery("runs", "-e", "Nope", code=2).stderr
    assert "did you mean 'A'?" in joulery("runs", "-e", "a", code=2).stderr


def test_a_place_is_told_as_it_was_written_and_once(joulery):
    said = joulery("run", "--zone", "DE", "--repeat", "3", "--", "true").stderr
    assert said.count("zone 'DE' is taken for Germany") == 1
    assert re.search(r"^  cost +unknown  no price of electricity is known", said, re.M)
    # The record has it with every run all the same.
    assert "is taken for Germany" in joulery("show").stdout
    joulery("run", "--zone", "WORLD", "--", "true")
    why = joulery("show", "--why", "last", "water").stdout
    assert "whole country" not in why and "mix of the world" in why
