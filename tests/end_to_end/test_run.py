"""`joulery run`: what it takes, and the figures hold together."""

import json
import os
import subprocess
import sys

import pytest
from conftest import BURN, burn, check_schema


def test_summary_goes_to_stderr_and_says_how_figures_are_known(joulery):
    result = joulery("run", "--", "echo", "hello")
    assert result.stdout == "hello\n"
    for words in ("wall time", "CPU time", "measured", "energy", "modelled", "plausible range", "known by", "run 0"):
        assert words in result.stderr, words
    assert "\x1b" not in result.stderr


def test_json_to_stderr_after_the_command(joulery):
    result = joulery("run", "--json", "--", "sh", "-c", "echo out; echo err >&2")
    first, rest = result.stderr.split("\n", 1)
    assert first == "err"
    document = json.loads(rest)
    check_schema(document, "run")
    assert document["exit_code"] == 0 and document["run_id"]


def test_figures_hold_together(joulery):
    document = joulery.run(*burn(1.0))
    assert 0.98 <= document["cpu_seconds"] <= 1.5
    assert document["duration_seconds"] >= 0.98
    value = {
        key: document[key]["value"]
        for key in document
        if key.startswith("energy_") and key.endswith("_joules") and isinstance(document[key], dict)
    }
    assert all(v >= 0 for v in value.values())
    machine = value["energy_machine_joules"]
    parts = value["energy_active_joules"] + value["energy_other_active_joules"] + value["energy_idle_joules"]
    assert parts == pytest.approx(machine, rel=1e-6)
    assert value["energy_joules"] == pytest.approx(value["energy_active_joules"] + value["energy_idle_share_joules"])
    assert value["energy_joules"] <= machine * (1 + 1e-9)
    counted = sum(d["energy_joules"]["value"] for d in document["devices"] if d["counted"])
    assert counted == pytest.approx(machine, rel=1e-6)
    energy = document["energy_joules"]
    assert energy["low"] < energy["value"] < energy["high"]
    assert document["carbon_gco2e"]["provenance"] == "assumed"


def test_idle_policies(joulery):
    none = joulery.run(*burn(0.3), flags=["--idle", "none"])
    assert none["energy_idle_share_joules"]["value"] == 0
    everything = joulery.run(*burn(0.3), flags=["--idle", "all"])
    assert everything["energy_idle_share_joules"]["value"] == pytest.approx(everything["energy_idle_joules"]["value"])


@pytest.mark.parametrize("tier", ["cgroup", "perf", "tree"])
def test_short_lived_children_are_counted(joulery, tier):
    script = f"for i in $(seq 20); do {sys.executable} -c 'import time\nwhile time.process_time() < 0.05: pass'; done"
    result = joulery("run", "--json", "--output", "d.json", "--attribution", tier, "--", "sh", "-c", script, code=None)
    if result.returncode == 125:
        pytest.skip(f"{tier} can't be used here: {result.stderr}")
    document = json.loads((joulery.home / "d.json").read_text())
    assert document["cpu_seconds"] >= 0.98 * 20 * 0.05


def test_daemons_are_waited_for_and_what_is_left_is_said(joulery):
    child = "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\n{}"
    waited = joulery.run(sys.executable, "-c", child.format(BURN.format(0.5)))
    assert waited["cpu_seconds"] >= 0.49
    assert waited["duration_seconds"] > waited["command_seconds"] + 0.2
    left = joulery.run(sys.executable, "-c", child.format("time.sleep(3)"), env={"JOULERY_RUN_GRACE_SECONDS": "0.2"})
    assert left["left_running"] != 0
    assert any("still run" in warning["text"] for warning in left["warnings"])
    child_only = joulery.run(sys.executable, "-c", child.format("time.sleep(1)"), flags=["--wait", "child"])
    assert child_only["duration_seconds"] < 0.9


def test_repeat_makes_runs_of_their_own_and_means(joulery):
    series = joulery.run(*burn(0.05), flags=["--repeat", "4", "--warmup", "1", "--tag", "kind=short"])
    assert series["repeat"] == 4 and len({run["run_id"] for run in series["runs"]}) == 4
    mean = series["means"]["cpu_seconds"]
    assert mean["low"] <= mean["mean"] <= mean["high"]
    assert mean["mean"] == pytest.approx(sum(run["cpu_seconds"] for run in series["runs"]) / 4)
    runs = joulery.json("runs", "tags.kind = 'short'", schema="runs")["runs"]
    assert len(runs) == 4
    assert {run["tags"]["joulery.series_index"] for run in runs} == {"1", "2", "3", "4"}


def test_a_failing_command_ends_a_series(joulery):
    counter = joulery.home / "count"
    joulery("run", "--repeat", "5", "--", "sh", "-c", f"echo x >> {counter}; exit 4", code=4)
    assert counter.read_text() == "x\n"


def test_per_unit(joulery):
    document = joulery.run(*burn(0.1), flags=["--per", "1000 images"])
    assert document["per"]["unit"] == "images"
    assert document["per"]["energy_joules"]["value"] == pytest.approx(document["energy_joules"]["value"] / 1000)
    assert "of 1000 images" in joulery("show").stdout


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--hz", "fast"], "needs a number"),
        (["--hz", "0"], "between"),
        (["--idle", "propotional"], "did you mean"),
        (["--tag", "novalue"], "KEY=VALUE"),
        (["--repeat", "0"], "from 1"),
        (["--per", "0 images"], "above 0"),
        (["--nmae", "x"], "did you mean '--name'"),
        (["--hz"], "hz"),
        (["--output", "/no/such/folder/x"], "can't write"),
    ],
)
def test_wrong_flags_are_refused_before_the_command_runs(joulery, flags, words):
    mark = joulery.home / "ran"
    result = joulery("run", *flags, "--", "touch", mark, code=2)
    assert words in result.stderr
    assert not mark.exists()


def test_secrets_in_arguments_are_not_recorded(joulery):
    joulery("run", "-q", "--", "true", "--api-key", "hunter2", "TOKEN=hunter2", "ghp_hunter2hunter2hunter2")
    assert "hunter2" not in joulery("show", "--json").stdout
    database = joulery.home / ".local/share/joulery/joulery.db"
    assert all(b"hunter2" not in path.read_bytes() for path in database.parent.iterdir())


def test_environment_is_not_recorded(joulery):
    joulery("run", "-q", "--", "true", env={"SOME_SECRET_VARIABLE": "hunter3"})
    database = joulery.home / ".local/share/joulery/joulery.db"
    assert all(b"hunter3" not in path.read_bytes() for path in database.parent.iterdir())


def test_output_into_a_pipe_a_link_and_a_device(joulery):
    real = joulery.home / "real.json"
    real.write_text("old")
    link = joulery.home / "link.json"
    link.symlink_to("real.json")
    joulery("run", "--json", "-o", link, "--", "true")
    assert link.is_symlink() and json.loads(real.read_text())["exit_code"] == 0
    pipe = joulery.home / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    joulery("run", "--json", "-o", pipe, "--", "true")
    assert json.loads(reader.communicate(timeout=10)[0])["exit_code"] == 0
    assert pipe.is_fifo()
    joulery("run", "--json", "-o", "/dev/null", "--", "true")
    assert not os.path.isfile("/dev/null")


def test_a_limit_on_file_sizes_does_not_end_the_meter(joulery):
    result = subprocess.run(
        ["bash", "-c", f"ulimit -f 1; {joulery.binary} run --hz 500 -- sh -c 'sleep 1.2; exit 5'"],
        env=joulery.environment,
        capture_output=True,
        text=True,
        cwd=joulery.home,
        check=False,
    )
    assert result.returncode == 5, result.stderr
    assert "wall time" in result.stderr and "!" in result.stderr


def test_without_home_no_foreign_place_is_used(joulery):
    environment = {k: v for k, v in joulery.environment.items() if k != "HOME"}
    store = joulery.home / "x.db"
    result = subprocess.run(
        [joulery.binary, "run", "-q", "--store", store, "--", "env"],
        env=environment,
        capture_output=True,
        text=True,
        cwd=joulery.home,
        check=True,
    )
    assert "HOME=" not in result.stdout
    shown = subprocess.run(
        [joulery.binary, "config", "show"],
        env=environment,
        capture_output=True,
        text=True,
        cwd=joulery.home,
        check=True,
    ).stdout
    assert "/var/tmp/joulery-0/home" not in shown


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--experiment", ""], "can't be empty"),
        (["--name", "x" * 501], "501 bytes"),
        (["--per", "1,000 images"], "no number"),
        (["--per", "1000images"], "no number"),
    ],
)
def test_texts_that_the_record_would_refuse_are_refused_before(joulery, flags, words):
    assert words in joulery("run", *flags, "--", "true", code=2).stderr


def test_what_leaves_the_cgroup_is_known_when_it_is_waited_for(joulery):
    unified = next(
        (p for p in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.exists(p + "/cgroup.procs")), None
    )
    folder = f"{unified}/joulery-test-{os.getpid()}"
    try:
        os.mkdir(folder)
    except (OSError, TypeError):
        pytest.skip("no cgroup can be made here")
    try:
        script = f"echo $$ > {folder}/cgroup.procs; exec {sys.executable} -c '{BURN.format(0.3)}'"
        assert joulery.run("sh", "-c", script)["cpu_seconds"] >= 0.29
    finally:
        os.rmdir(folder)


def test_a_run_that_fails_is_not_in_the_mean(joulery):
    script = "echo x >> n; [ $(wc -l < n) -lt 3 ] && exec sleep 0.2; exit 5"
    series = joulery.run("sh", "-c", script, flags=["--repeat", "5"], code=5)
    assert series["repeat"] == 3
    assert series["means"]["duration_seconds"]["mean"] > 0.19
    assert series["means"]["energy_joules"]["provenance"] == "modelled"


def test_the_rate_changes_no_total(joulery):
    def energy(rate):
        return joulery.run("sh", "-c", "for i in 1 2 3 4 5 6; do sleep 0.2; done", flags=["--hz", rate])

    # The machine is not ours alone: what others do in one of two runs and not in the other is in a single ratio.
    ratios = []
    for _ in range(3):
        slow, fast = energy("0.5"), energy("500")
        ratios.append(slow["energy_idle_share_joules"]["value"] / fast["energy_idle_share_joules"]["value"])
        assert fast["samples"] > 60
    # By windows they differed sixtyfold.
    assert 0.2 < sorted(ratios)[1] < 5


def test_json_schema_of_a_failed_run(joulery):
    document = joulery.run("sh", "-c", "exit 5", code=5)
    assert document["status"] == "FAILED" and document["exit_code"] == 5


def test_quiet_keeps_the_summary_for_its_file(joulery):
    output = joulery.home / "summary.txt"
    result = joulery("run", "-q", "-o", output, "--", "echo", "hello")
    assert result.stdout == "hello\n" and result.stderr == ""
    assert "wall time" in output.read_text() and "energy" in output.read_text()
    result = joulery("run", "-q", "-o", output, "--repeat", "2", "--", "true")
    assert result.stderr == "" and "mean of 2 runs" in output.read_text()
    result = joulery("run", "-q", "--json", "-o", output, "--", "sh", "-c", "exit 3", code=3)
    assert result.stderr == "" and json.loads(output.read_text())["exit_code"] == 3


@pytest.mark.parametrize("flags", [[], ["--json"], ["-q"], ["--json", "--output", "d.json"]])
def test_a_warmup_that_fails_is_said(joulery, flags):
    result = joulery("run", "--warmup", "2", *flags, "--", "sh", "-c", "exit 5", code=5)
    assert "error: warm-up run 1 of 2 failed: 'sh' ended with exit 5\n" in result.stderr
    assert "hint:" in result.stderr and "{" not in result.stderr
    assert not (joulery.home / "d.json").exists()


def test_a_store_that_broke_meanwhile_is_named_for_what_comes_next(joulery):
    store = joulery.home / "mine.db"
    joulery("run", "--store", store, "--", "true")
    store.rename(joulery.home / "kept.db")
    broken = joulery("run", "--store", store, "--", "sh", "-c", f"echo junk > {store}")
    assert "the run is not in the store yet" in broken.stderr
    assert f"the next joulery command on the store {store} moves it in" in broken.stderr
    (joulery.home / "kept.db").rename(store)
    assert len(joulery.json("runs", "--store", store, schema="runs")["runs"]) == 2
