"""Rows of ours in CodeCarbon's file."""

import csv
import fcntl
import json
import re
import subprocess

import pytest
from conftest import PROJECT

CODECARBON = PROJECT / ".deps/peers/codecarbon/bin/python"
needs_codecarbon = pytest.mark.skipif(not CODECARBON.exists(), reason="needs CodeCarbon: ./dev setup bench")

HEADER = (
    "timestamp,project_name,run_id,experiment_id,duration,emissions,emissions_rate,cpu_power,gpu_power,ram_power,"
    "cpu_energy,gpu_energy,ram_energy,energy_consumed,water_consumed,country_name,country_iso_code,region,"
    "cloud_provider,cloud_region,os,python_version,codecarbon_version,cpu_count,cpu_model,gpu_count,gpu_model,"
    "longitude,latitude,ram_total_size,tracking_mode,cpu_utilization_percent,gpu_utilization_percent,"
    "ram_utilization_percent,ram_used_gb,on_cloud,pue,wue"
)
BUSY = ("python3", "-c", "sum(range(3_000_000))")


def rows_of(file):
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def run(joulery, file, *flags, command=BUSY, **options):
    return joulery("run", "--quiet", "--codecarbon-csv", file, *flags, "--", *command, **options)


def test_a_row_for_each_run_and_none_for_a_warmup(joulery):
    file = joulery.home / "emissions.csv"
    run(joulery, file, "--repeat", 2, "--warmup", 1, "--name", 'a, "b"\nc', "--zone", "FR", "--pue", "1.5")
    run(joulery, file, "--name", "=1+1", command=("false",), code=1)
    assert file.read_text().splitlines()[0] == HEADER
    rows = rows_of(file)
    assert [row["project_name"] for row in rows] == ['a, "b"?c', 'a, "b"?c', "'=1+1"]
    assert [row["country_iso_code"] for row in rows] == ["FRA", "FRA", ""]
    ranges = {row["run_id"]: row for row in rows_of(joulery.home / "emissions.ranges.csv")}
    for row in rows:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", row["timestamp"])
        metered = joulery.json("show", row["run_id"].replace("-", ""), schema="show")["run"]
        own = ranges[row["run_id"]]
        metrics = metered["metrics"]
        assert float(row["duration"]) == metrics["joulery/duration_seconds"]
        if "joulery/energy_joules" not in metrics:
            assert row["energy_consumed"] == row["emissions"] == own["energy_joules"] == ""
            continue
        joules = metrics["joulery/energy_joules"]
        assert float(row["energy_consumed"]) == pytest.approx(joules * float(row["pue"]) / 3.6e6)
        assert float(row["emissions"]) == pytest.approx(metrics["joulery/carbon_gco2e"] / 1000)
        assert float(own["energy_joules_low"]) == pytest.approx(metrics["joulery/energy_joules_low"])
        assert own["energy_provenance"] == metered["tags"]["joulery.energy_provenance"]
    assert {row["pue"] for row in rows[:2]} == {"1.5"}


def test_both_sides_of_versus(joulery):
    file = joulery.home / "emissions.csv"
    joulery("run", "--quiet", "--codecarbon-csv", file, "--repeat", 2, "--versus", "sleep 0.05", "true")
    assert sorted(row["project_name"] for row in rows_of(file)) == ["sleep", "sleep", "true", "true"]


def test_import_knows_its_own_runs(joulery):
    file = joulery.home / "emissions.csv"
    run(joulery, file, "--name", "mine", "--zone", "FR", "--pue", "1.5")
    before = joulery.json("show", "mine", schema="show")
    report = joulery.json("import", file, schema="import")["files"][0]
    assert (report["added"], report["updated"], report["unchanged"]) == (0, 0, 1)
    assert joulery.json("show", "mine", schema="show") == before
    other = ("--store", joulery.home / "other.db")
    assert joulery.json("import", *other, file, schema="import")["files"][0]["added"] == 1
    assert joulery.json("import", *other, file, schema="import")["files"][0]["unchanged"] == 1
    there = joulery.json("show", *other, "mine", schema="show")["run"]["metrics"]
    for name in ("joulery/duration_seconds", "joulery/energy_joules", "joulery/carbon_gco2e"):
        assert there.get(name) == pytest.approx(before["run"]["metrics"].get(name))


def test_a_file_of_an_older_version_is_moved_aside(joulery):
    file = joulery.home / "emissions.csv"
    old = "timestamp,project_name,duration,emissions,energy_consumed\n2021-01-01T00:00:00,a,1,2,3\n"
    file.write_text(old)
    (joulery.home / "emissions.csv.bak").write_text("precious")
    assert "emissions.csv_0.bak" in run(joulery, file).stderr
    assert (joulery.home / "emissions.csv_0.bak").read_text() == old
    assert (joulery.home / "emissions.csv.bak").read_text() == "precious"
    assert len(rows_of(file)) == 1


def test_what_cannot_be_written_stops_before_the_command(joulery):
    (joulery.home / "script.py").write_text("import os\n")
    for path in ("-", ".", "none/emissions.csv", "/dev/null", "script.py"):
        mark = joulery.home / "ran"
        assert "--codecarbon-csv" in run(joulery, path, command=("touch", mark), code=2).stderr
        assert not mark.exists(), path
    assert (joulery.home / "script.py").read_text() == "import os\n"
    versus = joulery("run", "--codecarbon-csv", "-", "--versus", "true", "true", code=2)
    assert "--codecarbon-csv" in versus.stderr


def test_what_fails_after_the_run_is_a_warning(joulery):
    file = joulery.home / "emissions.csv"
    result = run(joulery, file, command=("sh", "-c", f"mkdir '{file}'; exit 7"), code=7)
    assert "warning: no row for run" in result.stderr
    assert len(joulery.json("runs", schema="runs")["runs"]) == 1


def test_a_line_that_was_cut_off_is_ended_first(joulery):
    file = joulery.home / "emissions.csv"
    run(joulery, file)
    file.write_text(file.read_text()[:-200])
    run(joulery, file)
    lines = file.read_text().splitlines()
    assert len(lines) == 3
    assert len(next(csv.reader([lines[2]]))) == 38
    report = joulery.json("import", "--store", joulery.home / "other.db", file, schema="import")["files"][0]
    assert (report["added"], [problem["row"] for problem in report["problems"]]) == (1, [1])


def test_several_programs_and_a_lock(joulery):
    file = joulery.home / "emissions.csv"
    programs = [joulery.start("run", "--quiet", "--codecarbon-csv", file, "--", "true") for _ in range(6)]
    assert [program.wait(timeout=100) for program in programs] == [0] * 6
    rows = rows_of(file)
    assert len({row["run_id"] for row in rows}) == len(rows) == 6
    with file.open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        program = joulery.start("run", "--quiet", "--codecarbon-csv", file, "--", "true")
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(timeout=1)
    assert program.wait(timeout=100) == 0
    assert len(rows_of(file)) == 7


@needs_codecarbon
def test_what_codecarbon_and_pandas_make_of_it(joulery):
    """Its own header, its own check of a file, and a row of its own appended to ours and ours to its."""
    file = joulery.home / "emissions.csv"
    run(joulery, file, "--name", "ours, first", "--zone", "FR")
    program = (
        "import json, sys, pandas\n"
        "from codecarbon import OfflineEmissionsTracker as Tracker\n"
        "from codecarbon.output_methods.emissions_data import EmissionsData\n"
        "from codecarbon.output_methods.file import FileOutput\n"
        "from dataclasses import fields\n"
        "tracker = Tracker(country_iso_code='FRA', project_name='theirs', log_level='error',\n"
        "                  measure_power_secs=1, allow_multiple_runs=True, output_dir='.')\n"
        "tracker.start()\n"
        "sum(range(5_000_000))\n"
        "tracker.stop()\n"
        "frame = pandas.read_csv('emissions.csv')\n"
        "json.dump({'columns': [field.name for field in fields(EmissionsData)],\n"
        "           'valid': FileOutput('emissions.csv', '.').has_valid_headers(tracker.final_emissions_data),\n"
        "           'names': list(frame.project_name), 'duration': str(frame.duration.dtype),\n"
        "           'energy': [None if pandas.isna(v) else v for v in frame.energy_consumed]}, sys.stdout)\n"
    )
    done = subprocess.run(
        [CODECARBON, "-c", program], cwd=joulery.home, check=True, timeout=110, capture_output=True, text=True
    )
    seen = json.loads(done.stdout)
    assert ",".join(seen["columns"]) == HEADER
    assert seen["valid"] is True
    assert seen["names"] == ["ours, first", "theirs"]
    assert seen["duration"] == "float64"
    ours = rows_of(file)[0]["energy_consumed"]
    assert seen["energy"][0] == (pytest.approx(float(ours)) if ours else None)
    run(joulery, file, "--name", "ours again")
    assert [row["project_name"] for row in rows_of(file)] == ["ours, first", "theirs", "ours again"]
    assert list(joulery.home.glob("*.bak")) == []
