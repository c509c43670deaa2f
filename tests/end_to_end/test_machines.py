"""doctor and run on the machines of tests/machines, played in real time."""

import pathlib
import subprocess

import pytest
from conftest import BINARY, PROJECT

MACHINES = sorted(path.parent.name for path in (PROJECT / "tests/machines").glob("*/tree.txt"))
BUILD = pathlib.Path(BINARY).resolve().parents[1]
PLAYER = BUILD / "test_bin/play_machine"
ROLES = {
    "counted": "counted",
    "part": "part of its parent",
    "mirror": "mirror",
    "replaced": "replaced by its parts",
    "reported_only": "reported only",
}


def expected_devices(name):
    """Rows of expected.txt."""
    rows = {}
    for line in (PROJECT / "tests/machines" / name / "expected.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        parent, device, via, scope, provenance, role, watts = line.split()
        rows[device] = {
            "parent_id": "" if parent == "-" else parent,
            "via": via.replace("_", " "),
            "scope": scope.replace("_", " "),
            "provenance": provenance,
            "role": ROLES[role],
            "watts": None if watts == "any" else float(watts),
        }
    return rows


@pytest.fixture(params=MACHINES)
def machine(request, tmp_path):
    """The name of a machine whose files are in `tmp_path/machine`, with counters that run."""
    root = tmp_path / "machine"
    root.mkdir()
    folder = PROJECT / "tests/machines" / request.param
    with subprocess.Popen([PLAYER, folder, root, "100"], stdout=subprocess.PIPE, text=True) as player:
        assert player.stdout.readline() == "ready\n"
        yield request.param
        player.kill()


def system_root(joulery, name):
    """Where the machine's files are, and its cards, which only a driver's library shows."""
    gpus = []
    for line in (PROJECT / "tests/machines" / name / "course.txt").read_text().splitlines():
        if line.startswith("card "):
            _, card, watts, model = line.split(" ", 3)
            uuid, model = card.removeprefix("nvml:"), model.removeprefix("name=").replace(" ", "_")
            # All have counted since the driver was loaded: near each other, and no mirrors.
            gpus.append(f"gpu {len(gpus)} uuid={uuid} name={model} {watts} start=50000\n")
    script = joulery.home / "gpus.txt"
    script.write_text("".join(gpus))
    library = BUILD / "fake_nvml/new_driver/libnvidia-ml.so.1" if gpus else joulery.home / "no-driver"
    return {
        "JOULERY_SYSTEM_ROOT": str(joulery.home / "machine"),
        "JOULERY_NVML_LIBRARY": str(library),
        "FAKE_NVML": str(script),
    }


def test_doctor_shows_the_tree(joulery, machine):
    expected = expected_devices(machine)
    report = joulery.json("doctor", schema="doctor", env=system_root(joulery, machine))
    found = {device["id"]: device for device in report["devices"]}
    assert found.keys() == expected.keys()
    # What is dead shows after longer than doctor looks, so it may or may not have been replaced yet, and in one of two
    # looks but not in the other.
    settled = "replaced by its parts" not in {row["role"] for row in expected.values()}
    for device, row in expected.items():
        for key in ("parent_id", "via", "scope", "provenance"):
            assert found[device][key] == row[key], (device, key)
        if settled:
            assert found[device]["role"] == row["role"], device
        assert found[device]["counts"] == (found[device]["role"] == "counted"), device
    text = joulery("doctor", env=system_root(joulery, machine)).stdout
    tree = text.split("What a run adds up", 1)[1].splitlines()[1:]
    assert len(tree) == len(expected)
    for device in found.values():
        line = next(line for line in tree if f" {device['name']} " in line)
        depth = 0
        above = device
        while above["parent_id"] in found:
            above = found[above["parent_id"]]
            depth += 1
        marks = ("+" if device["counts"] else "·") if settled else "+·"
        assert line.startswith(tuple("  " + "  " * depth + mark + " " for mark in marks))
        assert f"{device['via']}: {device['scope']}, {device['provenance']}" in line


def test_run_adds_up_what_counts(joulery, machine):
    expected = expected_devices(machine)
    document = joulery.run("sleep", "3", env=system_root(joulery, machine))
    devices = {device["id"]: device for device in document["devices"]}
    assert devices.keys() == expected.keys()
    counted = 0
    for device, row in expected.items():
        assert devices[device]["counted"] == (row["role"] == "counted"), device
        if row["role"] == "counted":
            counted += devices[device]["energy_joules"]["value"]
    machine_joules = document["energy_machine_joules"]["value"]
    assert machine_joules == pytest.approx(counted, rel=1e-6)
    watts = [row["watts"] for row in expected.values() if row["role"] == "counted"]
    if None not in watts:
        # The counters and the meter run side by side on a machine that may be busy: no more than that nothing is
        # missing and nothing counts twice can be asked of the sum, but of parts that it is shared as they are.
        assert 0.6 * sum(watts) < machine_joules / document["duration_seconds"] < 1.6 * sum(watts)
        for device, row in expected.items():
            if row["role"] == "counted":
                share = devices[device]["energy_joules"]["value"] / counted
                assert share == pytest.approx(row["watts"] / sum(watts), abs=0.05), device
    known = {row["provenance"] for row in expected.values() if row["role"] == "counted"}
    assert document["energy_machine_joules"]["provenance"] in known
