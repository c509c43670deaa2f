"""`joulery run`: the command's life is its own, and the figures hold together."""

import contextlib
import csv
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import check_schema

BURN = "import time\nt = time.process_time()\nwhile time.process_time() - t < {}: pass"


def burn(seconds):
    return [sys.executable, "-c", BURN.format(seconds)]


def test_streams_arguments_and_environment_pass_through(joulery):
    result = joulery(
        "run", "--quiet", "--", "sh", "-c", 'cat; echo "$1:$X" >&2', "sh", "a b", input=b"in\0put", env={"X": "y"}
    )
    assert result.stdout == "in\0put"
    assert result.stderr == "a b:y\n"


@pytest.mark.parametrize(
    "script, code",
    [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
        ("kill -INT $$", 130),
    ],
)
def test_exit_codes_pass_through(joulery, script, code):
    joulery("run", "--", "sh", "-c", script, code=code)


def test_codes_of_a_shell_for_what_cannot_run(joulery):
    missing = joulery("run", "--", "no-such-program-here", code=127)
    assert "no-such-program-here" in missing.stderr and "hint:" in missing.stderr
    plain = joulery.home / "plain.txt"
    plain.write_text("not a program")
    assert "chmod +x" in joulery("run", "--", plain, code=126).stderr
    joulery("run", "--", joulery.home, code=126)
    assert "needs a command" in joulery("run", code=2).stderr


def test_a_command_needs_no_dashes_and_may_have_flags_of_its_own(joulery):
    assert joulery("run", "-q", "echo", "--json", "-n").stdout == "--json -n\n"


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


def test_signals_sent_to_the_meter_reach_the_command(joulery):
    script = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\nprint('up', flush=True)\ntime.sleep(30)"
    process = joulery.start("run", "-q", "--", sys.executable, "-c", script)
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 9


def test_ignored_signals_and_masks_are_the_callers(joulery):
    script = "grep -E '^Sig(Ign|Blk)' /proc/self/status"
    plain = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert joulery("run", "-q", "--", "sh", "-c", script).stdout == plain


def test_no_descriptor_leaks_into_the_command(joulery):
    assert joulery("run", "-q", "--", "sh", "-c", "ls /proc/self/fd").stdout.split() == ["0", "1", "2", "3"]


def read_until(descriptor, wanted, timeout=20):
    text = b""
    end = time.monotonic() + timeout
    while wanted not in text and time.monotonic() < end:
        if select.select([descriptor], [], [], 0.2)[0]:
            try:
                text += os.read(descriptor, 4096)
            except OSError:
                break
    return text


def test_on_a_terminal_ctrl_c_ends_the_command_and_the_record_is_kept(joulery):
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(joulery.home)
        os.execve(
            joulery.binary,
            [joulery.binary, "run", "--", "sh", "-c", "test -t 0 && test -t 1 && echo tty; exec sleep 30"],
            {**joulery.environment, "TERM": "xterm"},
        )
    assert b"tty" in read_until(terminal, b"tty")
    os.write(terminal, b"\x03")
    text = read_until(terminal, b"run 0")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    assert b"killed by SIGINT" in text
    assert joulery.json("show", schema="show")["run"]["status"] == "KILLED"


def on_terminal(joulery, command, **environment):
    """Starts a command as leader of a session on a terminal of its own; gives its pid and our end of it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(joulery.home)
        os.execvpe(command[0], command, {**joulery.environment, **environment})
    return pid, terminal


def processes():
    """Parent and program name of every process."""
    table = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            head, tail = entry.read_text().rsplit(")", 1)
            table[int(entry.parent.name)] = (int(tail.split()[1]), head.split("(", 1)[1])
    return table


def child_named(name, ancestor, seconds=10):
    """The pid of a descendant of `ancestor` with this program name, once it is there."""
    for _ in range(int(seconds * 20)):
        table = processes()
        for pid, (parent, program) in table.items():
            while program == name and parent != ancestor and parent in table:
                parent = table[parent][0]
            if program == name and parent == ancestor:
                return pid
        time.sleep(0.05)
    raise AssertionError(f"no {name} below {ancestor}")


def ends_within(pid, seconds):
    for _ in range(int(seconds * 50)):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return True
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def test_a_command_stopped_from_outside_is_waited_for_in_a_script(joulery):
    # The shell has no job control: were the meter to stop too, nobody would continue it.
    script = f"{joulery.binary} run -q -- sleep 1; echo done"
    pid, terminal = on_terminal(joulery, ["sh", "-c", script])
    try:
        command = child_named("sleep", pid)
        os.kill(command, signal.SIGSTOP)
        time.sleep(0.3)
        os.kill(command, signal.SIGCONT)
        assert ends_within(pid, 20)
    finally:
        os.close(terminal)


def test_control_z_stops_a_meter_that_waits_for_daemons(joulery):
    script = f"{joulery.binary} run -q -- sh -c 'setsid sleep 4 & true'"
    pid, terminal = on_terminal(joulery, ["bash", "-i"], JOULERY_RUN_GRACE_SECONDS="30")
    try:
        os.write(terminal, script.encode() + b"\n")
        meter = child_named("joulery", pid)
        time.sleep(1)  # the command has ended, its daemon has not
        os.write(terminal, b"\x1a")
        state = ""
        for _ in range(100):
            state = Path(f"/proc/{meter}/stat").read_text().rsplit(")", 1)[1].split()[0]
            if state == "T":
                break
            time.sleep(0.02)
        assert state == "T"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def test_live_line_only_where_it_harms_nothing(joulery):
    quiet = joulery("run", "--", "sleep", "1.2")
    assert "\r" not in quiet.stderr
    asked = joulery("run", "--live", "--", "sleep", "1.2")
    line = asked.stderr.split("\r\x1b[K")[1]
    assert "machine ~" in line and "so far ~" in line, "a modelled figure without its mark"


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


def test_the_environment_is_passed_on_as_it_was(joulery):
    script = "import os, sys; os.execve(sys.argv[1], sys.argv[1:], {b'B': b'1', b'A': b'2', b'PATH': b'/usr/bin:/bin'})"
    command = [joulery.binary, "run", "-q", "--store", str(joulery.home / "x.db"), "--", "env"]
    result = subprocess.run(
        [sys.executable, "-c", script, *command], capture_output=True, text=True, cwd=joulery.home, check=True
    )
    assert result.stdout == "B=1\nA=2\nPATH=/usr/bin:/bin\n"


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
        return joulery.run("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; done", flags=["--hz", rate])

    slow, fast = energy("0.5"), energy("500")
    share = slow["energy_idle_share_joules"]["value"] / fast["energy_idle_share_joules"]["value"]
    # The machine is not ours alone, so the shares differ; by windows they differed sixtyfold.
    assert 0.2 < share < 5
    assert fast["samples"] > 50 * 2


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


@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_streams_stay_closed_for_the_command_and_catch_nothing_of_ours(joulery, closing):
    program = joulery.home / "seen.py"
    program.write_text(
        "import os, sys\n"
        "streams = (sys.stdin, sys.stdout, sys.stderr)\n"
        "closed = [number for number in range(3) if streams[number] is None]\n"
        "meters = {os.readlink(f'/proc/{os.getppid()}/fd/{number}') for number in closed if len(sys.argv) > 1}\n"
        "text = ' '.join(map(str, closed)) + '\\n' + ' '.join(sorted(meters))\n"
        f"open({str(joulery.home / 'seen')!r}, 'w').write(text)\n"
    )
    store = joulery.home / ".local/share/joulery/joulery.db"

    def seen_by(*before, after=()):
        script = f'exec "$@" {closing}'
        done = subprocess.run(
            ["sh", "-c", script, "sh", *map(str, before), sys.executable, str(program), *after],
            env=joulery.environment,
            cwd=joulery.home,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return (joulery.home / "seen").read_text().split("\n")

    expected, _ = seen_by()
    assert expected.split() == [str(number) for number, sign in enumerate(["<", " >", "2>"]) if sign in " " + closing]
    assert seen_by(joulery.binary, "run", "--live", "--", after=["metered"]) == [expected, "/dev/null"]
    assert store.read_bytes().startswith(b"SQLite format 3\0")
    for path in (joulery.home / ".local").rglob("*"):
        assert path.is_dir() or b"wall time" not in path.read_bytes()[:4096], path
    assert joulery.json("show", schema="show")["run"]["status"] == "FINISHED"


def test_output_into_a_closed_stream_is_still_an_error(joulery):
    joulery("run", "-q", "--", "true")
    for words in (["runs"], ["--help"], ["--version"], ["help"], ["version"], ["run", "--help"]):
        for output in (">&-", ">/dev/full"):
            done = subprocess.run(
                ["sh", "-c", f'exec "$@" {output}', "sh", joulery.binary, *words],
                env=joulery.environment,
                cwd=joulery.home,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 3 and "can't write to stdout" in done.stderr, (words, output)


def test_a_store_that_broke_meanwhile_is_named_for_what_comes_next(joulery):
    store = joulery.home / "mine.db"
    joulery("run", "--store", store, "--", "true")
    store.rename(joulery.home / "kept.db")
    broken = joulery("run", "--store", store, "--", "sh", "-c", f"echo junk > {store}")
    assert "the run is not in the store yet" in broken.stderr
    assert f"the next joulery command on the store {store} moves it in" in broken.stderr
    (joulery.home / "kept.db").rename(store)
    assert len(joulery.json("runs", "--store", store, schema="runs")["runs"]) == 2
