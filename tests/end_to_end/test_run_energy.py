"""What a run's energy is known from: counters, a model, or nothing."""

import csv
import subprocess
import sys
import time

import pytest
from conftest import burn


def test_missing_sys_and_proc_of_sensors_is_no_reason_to_fail(joulery):
    empty = joulery.home / "nothing"
    empty.mkdir()
    document = joulery.run(*burn(0.2), env={"JOULERY_SYSTEM_ROOT": str(empty)})
    assert document["cpu_seconds"] >= 0.19
    assert document["warnings"]
    assert document["machine_cpus"] is None
    summary = joulery("run", "--", "true", env={"JOULERY_SYSTEM_ROOT": str(empty)}).stderr
    assert "CPU time" in summary and "0 CPUs" not in summary


def test_counters_of_elsewhere_are_named(joulery):
    root = joulery.home / "elsewhere"
    root.mkdir()
    settings = {"JOULERY_SYSTEM_ROOT": str(root)}
    document = joulery.run(*burn(0.1), env=settings)
    warning = next(warning for warning in document["warnings"] if str(root) in warning["text"])
    assert "JOULERY_SYSTEM_ROOT" in warning["hint"]
    stored = joulery.json("show", document["run_id"], schema="show")
    assert stored["run"]["tags"]["joulery.system_root"] == str(root)
    assert f"below '{root}'" in joulery("run", "--", "true", env=settings).stderr
    assert not any("were read below" in warning["text"] for warning in joulery.run("true")["warnings"])


def test_a_cloned_repository_brings_no_counters_of_its_own(joulery):
    (joulery.home / "fake").mkdir()
    (joulery.home / "joulery.toml").write_text('system_root = "fake"\n')
    result = joulery("run", "--json", "-o", joulery.home / "run.json", "--", "true")
    assert "system_root is not taken from a project's file" in result.stderr
    assert "fake" not in (joulery.home / "run.json").read_text()


def test_measured_by_a_rapl_tree(joulery):
    """A made-up /sys whose counter rises by 7 W, with the real /proc."""
    root = joulery.home / "root"
    zone = root / "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0"
    zone.mkdir(parents=True)
    (root / "sys/class/powercap").mkdir(parents=True)
    (root / "sys/class/powercap/intel-rapl:0").symlink_to("../../devices/virtual/powercap/intel-rapl/intel-rapl:0")
    (root / "proc").symlink_to("/proc")
    (zone / "name").write_text("package-0\n")
    (zone / "enabled").write_text("1\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    counter = zone / "energy_uj"
    counter.write_text("262143000000\n")
    driver = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"""
import os, time
start = time.monotonic()
fd = os.open({str(counter)!r}, os.O_WRONLY)
while time.monotonic() - start < 20:
    value = (262143000000 + int(7e6 * (time.monotonic() - start))) % 262143328851
    os.pwrite(fd, f'{{value:>12}}\\n'.encode(), 0)
    time.sleep(0.001)
""",
        ]
    )
    try:
        time.sleep(0.1)
        document = joulery.run(*burn(1.5), env={"JOULERY_SYSTEM_ROOT": str(root)})
    finally:
        driver.kill()
        driver.wait()
    device = document["devices"][0]
    assert device["via"] == "powercap (RAPL)" or "powercap" in device["via"]
    assert document["energy_machine_joules"]["provenance"] == "measured"
    assert document["energy_machine_joules"]["value"] == pytest.approx(7 * document["duration_seconds"], rel=0.05)
    assert document["energy_joules"]["provenance"] == "derived"
    summary = joulery("show").stdout
    assert "modelled" not in summary


def rapl_tree(joulery, zones):
    """Zones as {folder: (name, first counter)}; returns the root and the counters' paths."""
    root = joulery.home / "root"
    counters = {}
    for folder, (name, value) in zones.items():
        zone = root / "sys/class/powercap" / folder
        zone.mkdir(parents=True)
        (zone / "name").write_text(name + "\n")
        (zone / "max_energy_range_uj").write_text("262143328850\n")
        counters[folder] = zone / "energy_uj"
        counters[folder].write_text(f"{value}\n")
    (root / "proc").symlink_to("/proc")
    return root, counters


def test_a_counter_that_stands_still_is_never_called_zero(joulery):
    root, _ = rapl_tree(joulery, {"intel-rapl:0": ("package-0", 5_000_000)})
    document = joulery.run(*burn(0.5), flags=["--per", "10 images"], env={"JOULERY_SYSTEM_ROOT": str(root)})
    assert any("stood still" in warning["text"] for warning in document["warnings"])
    assert_energy_is_absent(joulery, document)
    assert document["per"]["energy_joules"] is None and document["per"]["cpu_seconds"] > 0
    assert all(device["energy_joules"] is None for device in document["devices"])


def test_without_any_source_there_is_no_figure(joulery):
    """A model needs to know the machine; a root without one gives nothing to model from."""
    root = joulery.home / "bare"
    (root / "proc").mkdir(parents=True)
    document = joulery.run(*burn(0.2), env={"JOULERY_SYSTEM_ROOT": str(root)})
    if document["devices"]:
        pytest.skip("even this machine is modelled")
    assert_energy_is_absent(joulery, document)


def assert_energy_is_absent(joulery, document):
    """Of the last run: in its document, the record, and everything that is printed of it."""

    def rests_on_energy(key):
        # The share of making the machine goes by time.
        words = ("joules", "watts", "gco2e", "litres", "cost", "sci")
        return any(word in key for word in words) and not key.startswith("embodied_gco2e")

    for key, value in document.items():
        if rests_on_energy(key) and key != "idle_watts":
            assert value is None, key
    assert {derivation["figure"] for derivation in document["derivations"]} == {"embodied"}
    assert "unknown" in joulery("show").stdout
    stored = joulery.json("show", "--power", schema="show")
    assert not [key for key in stored["run"]["metrics"] if rests_on_energy(key.removeprefix("joulery/"))]
    assert stored["run"]["tags"]["joulery.energy_provenance"] == "unknown"
    for series in stored["power"]:
        assert {sample["energy_joules"] for sample in series["samples"]} <= {None}
    assert "unknown" in joulery("runs").stdout
    header, row = csv.reader(joulery("export").stdout.splitlines())
    assert not [name for name in header if "joules" in name]
    assert joulery.json("runs", "metrics.energy_joules >= 0", schema="runs")["runs"] == []
    for row in csv.DictReader(joulery("export", "last", "--what", "power").stdout.splitlines()):
        assert row["energy_joules"] == row["mean_watts"] == ""


def test_runs_of_unknown_energy_are_sorted_last_and_left_out_of_means(joulery):
    root, counters = rapl_tree(joulery, {"intel-rapl:0": ("package-0", 5_000_000)})
    script = f"""
import os, sys, time
marker, counter = {str(joulery.home / "marker")!r}, {str(counters["intel-rapl:0"])!r}
if not os.path.exists(marker):
    open(marker, "w").close()
    time.sleep(0.5)
    sys.exit()
value = int(open(counter).read())
with open(counter, "r+") as file:
    for step in range(40):
        value += 150_000
        file.seek(0)
        file.write(f"{{value}}\\n")
        file.flush()
        time.sleep(0.02)
"""
    settings = {"JOULERY_SYSTEM_ROOT": str(root)}
    command = [sys.executable, "-c", script]
    series = joulery.run(*command, flags=["--repeat", "3"], env=settings)
    assert [run["energy_joules"] is None for run in series["runs"]] == [True, False, False]
    assert series["means"]["energy_joules"]["runs"] == 2
    assert series["means"]["energy_joules"]["left_out"] == 1
    known = [run["energy_machine_joules"]["value"] for run in series["runs"][1:]]
    assert series["means"]["energy_machine_joules"]["mean"] == pytest.approx(sum(known) / 2)
    assert series["means"]["cpu_seconds"]["runs"] == 3
    for order in ("energy", "-energy"):
        listed = joulery.json("runs", "--sort", order, schema="runs")["runs"]
        assert listed[-1]["run_id"] == series["runs"][0]["run_id"]
    (joulery.home / "marker").unlink()
    said = joulery("run", "--repeat", "2", "--", *command, env=settings).stderr
    assert "that of 1 of the 2 runs: in 1 no power counter moved" in said
    still = joulery.run("sleep", "0.3", flags=["--repeat", "2"], env=settings)
    assert still["means"]["energy_joules"] is None
    assert "unknown" in joulery("run", "--repeat", "2", "--", "sleep", "0.3", env=settings).stderr


@pytest.mark.parametrize("seconds", [0.6, 3.0])
def test_a_dead_psys_gives_way_to_its_packages(joulery, seconds):
    root, counters = rapl_tree(joulery, {"intel-rapl:0": ("package-0", 5_000_000), "intel-rapl:1": ("psys", 77)})
    driver = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"""
import os, time
start = time.monotonic()
fd = os.open({str(counters["intel-rapl:0"])!r}, os.O_WRONLY)
while time.monotonic() - start < 20:
    os.pwrite(fd, b'%012d\\n' % (5000000 + int(20e6 * (time.monotonic() - start))), 0)
    time.sleep(0.001)
""",
        ]
    )
    try:
        time.sleep(0.1)
        document = joulery.run(*burn(seconds), env={"JOULERY_SYSTEM_ROOT": str(root)})
    finally:
        driver.kill()
        driver.wait()
    assert document["energy_machine_joules"]["value"] == pytest.approx(20 * document["duration_seconds"], rel=0.05)
    assert document["machine_peak_watts"] < 30
    assert document["energy_joules"]["value"] > 0
