"""Runs that other tools recorded."""

import csv
import pathlib
import subprocess

import pytest
from conftest import PROJECT

CODECARBON = PROJECT / ".deps/peers/codecarbon/bin/python"

HEADER = "timestamp,project_name,run_id,duration,emissions,energy_consumed,country_iso_code"
ROW = "2026-01-31T12:34:56,vision,3f1b5b6e-1111-4222-8333-abcdefabcdef,60.5,0.002,0.5,FRA"


def test_each_run_once_and_then_compared(joulery):
    file = joulery.home / "emissions.csv"
    other = ROW.replace("3f1b", "4f1b").replace("vision", "speech").replace("0.5,FRA", "0.4,FRA")
    file.write_text(f"{HEADER}\n{ROW}\n{other}\n")
    first = joulery.json("import", file, schema="import")["files"][0]
    assert (first["added"], first["unchanged"]) == (2, 0)
    again = joulery.json("import", file, file, schema="import")["files"]
    assert [(each["added"], each["unchanged"]) for each in again] == [(0, 2), (0, 2)]
    runs = joulery.json("runs", "--experiment", "CodeCarbon", schema="runs")["runs"]
    assert len(runs) == 2
    comparison = joulery.json("compare", "vision", "speech", schema="compare")["comparisons"][0]
    assert comparison["figures"]["energy_joules"]["ratio"]["value"] == pytest.approx(0.8)
    assert comparison["figures"]["energy_joules"]["ratio"]["provenance"] == "assumed"
    assert comparison["figures"]["cpu_seconds"]["verdict"] == "unknown"


def test_imported_figures_are_not_taken_for_exact(joulery):
    file = joulery.home / "emissions.csv"
    rows = [
        ROW.replace("3f1b", f"{3 + side}f1{run}").replace("vision", "AB"[side]).replace("0.5,FRA", f"{energy},FRA")
        for side, energies in enumerate([(0.5, 0.52, 0.51), (0.9, 0.93, 0.91)])
        for run, energy in enumerate(energies)
    ]
    file.write_text("\n".join([HEADER, *rows]) + "\n")
    joulery("import", file)
    figures = joulery.json("compare", "A", "B", schema="compare")["comparisons"][0]["figures"]
    energy = figures["energy_joules"]
    assert energy["verdict"] == "beyond_chance"
    assert "how far the figures themselves are off is not known" in energy["text"]
    assert "chance alone" in energy["ratio"]["basis"]
    assert "not known" in energy["mean_a"]["basis"]
    # Emissions and durations are all the same.
    assert figures["carbon_gco2e"]["verdict"] == figures["duration_seconds"]["verdict"] == "no_scatter"
    assert figures["carbon_gco2e"]["mean_a"]["low"] is None


def test_what_cannot_be_read_is_said(joulery):
    file = joulery.home / "emissions.csv"
    file.write_text(f"{HEADER}\n{ROW.replace('60.5', 'long')}\n{ROW}\n2026-01-31T12")
    result = joulery("import", file)
    assert "1 new run," in result.stderr
    assert "row 1 is left out: duration is 'long'" in result.stderr
    assert "row 3 is left out: the last line is cut off" in result.stderr
    file.write_text(f"{HEADER}\n{ROW.replace('60.5', 'long')}\n{ROW.replace('2026-01-31', '2026-02-31')}\n")
    result = joulery("import", file, code=1)
    assert "none of its rows could be taken" in result.stderr
    assert "2026-02-31" in result.stderr
    file.write_bytes(f"{HEADER}\n{ROW}\n".encode("utf-16"))
    result = joulery("import", file, code=2)
    assert "UTF-16" in result.stderr and "hint: save it as UTF-8" in result.stderr
    rows = [
        ROW.replace("3f1b", f"{i}f1b").replace("vision", name) for i, name in enumerate(["a", '"q2', "b", 'q4"', "c"])
    ]
    file.write_text("\n".join([HEADER, *rows]) + "\n")
    result = joulery("import", file)
    assert "2 new runs" in result.stderr
    assert "row 2 is left out: project_name has 2 line breaks" in result.stderr
    file.write_text("a,b\n1,2\n")
    assert "no emissions file of CodeCarbon" in joulery("import", file, code=2).stderr


@pytest.mark.skipif(not CODECARBON.exists(), reason="needs CodeCarbon: ./dev setup bench")
def test_a_file_that_codecarbon_wrote(joulery):
    program = (
        "from codecarbon import OfflineEmissionsTracker as Tracker\n"
        "for name in ('one', 'two'):\n"
        "    tracker = Tracker(country_iso_code='FRA', project_name=name, log_level='error',\n"
        "                      measure_power_secs=1, allow_multiple_runs=True)\n"
        "    tracker.start()\n"
        "    sum(range(20_000_000))\n"
        "    tracker.stop()\n"
    )
    subprocess.run([CODECARBON, "-c", program], cwd=joulery.home, check=True, timeout=110, capture_output=True)
    file = pathlib.Path(joulery.home) / "emissions.csv"
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    report = joulery.json("import", file, schema="import")["files"][0]
    assert report["added"] == len(rows) == 2
    assert report["problems"] == []
    for row in rows:
        run = joulery.json("show", row["run_id"].replace("-", ""), schema="show")["run"]
        assert run["metrics"]["joulery/energy_joules"] == pytest.approx(float(row["energy_consumed"]) * 3.6e6)
        assert run["metrics"]["joulery/carbon_gco2e"] == pytest.approx(float(row["emissions"]) * 1000)
        assert run["tags"]["codecarbon.country_iso_code"] == "FRA"
        row_kept = joulery.json("show", run["run_id"], schema="show")["evidence"][0]["content"]
        assert row_kept["cpu_power"] == pytest.approx(float(row["cpu_power"]))
