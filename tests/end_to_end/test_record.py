"""The record: what `run` stored can be found, shown, exported, removed; and survives what goes wrong."""

import csv
import gzip
import io
import json
import os
import pty
import random
import signal
import sqlite3
import subprocess
import sys
import time
import unicodedata

import pytest
from conftest import check_schema


def store_of(joulery):
    return joulery.home / ".local/share/joulery/joulery.db"


def fill(joulery, count=3):
    for i in range(count):
        joulery(
            "run",
            "-q",
            "--name",
            f"job{i}",
            "--experiment",
            "A" if i % 2 == 0 else "B",
            "--tag",
            f"n={i}",
            "--",
            sys.executable,
            "-c",
            f"sum(range({i * 5_000_000}))",
        )


def test_runs_filter_sort_and_limit(joulery):
    fill(joulery)
    table = joulery("runs").stdout
    assert table.count("FINISHED") == 3 and "job0" in table and "~" in table

    def names(*arguments):
        return [run["name"] for run in joulery.json("runs", *arguments, schema="runs")["runs"]]

    assert names() == ["job2", "job1", "job0"]
    assert names("--sort", "start") == ["job0", "job1", "job2"]
    assert names("--sort", "-cpu")[0] == "job2"
    assert names("--experiment", "B") == ["job1"]
    assert names("tags.n = '2' and metrics.cpu_seconds > 0") == ["job2"]
    assert names("--limit", "1") == ["job2"]
    assert "no run matches" in joulery("runs", "tags.n = 'none'").stderr
    wrong = joulery("runs", "tags.n ~ 2", code=2)
    assert "error:" in wrong.stderr


def test_flags_may_stand_before_what_they_are_not_about(joulery):
    fill(joulery, 2)
    assert len(json.loads(joulery("export", "--format", "json", "last").stdout)["runs"]) == 1
    assert "job1" in joulery("runs", "--limit", "2", "tags.n = '1'").stdout
    assert "sum" in joulery("show", "--store", store_of(joulery), "last").stdout


def test_a_pipe_in_place_of_a_file_does_not_hang(joulery):
    os.mkfifo(joulery.home / "joulery.toml")
    assert "regular file" in joulery("runs", code=2, timeout=10).stderr
    (joulery.home / "joulery.toml").unlink()
    os.mkfifo(joulery.home / "pipe.db")
    assert "not a file" in joulery("runs", "--store", "pipe.db", code=2, timeout=10).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_settings_of_another_user_are_passed_over(joulery):
    settings = joulery.home / "joulery.toml"
    settings.write_text('store = "elsewhere.db"\n')
    os.chown(settings, 12345, 12345)
    result = joulery("run", "--", "true")
    assert "belongs to another user" in result.stderr
    assert not (joulery.home / "elsewhere.db").exists()


def test_before_the_first_run_there_is_a_hint(joulery):
    for verb in ("runs", "show", "export"):
        result = joulery(verb, code=2)
        assert "joulery run" in result.stderr
        assert not store_of(joulery).exists()


def test_show_finds_by_prefix_name_and_last(joulery):
    fill(joulery)
    last = joulery.json("show", schema="show")["run"]
    assert last["name"] == "job2"
    assert joulery.json("show", last["run_id"][:20], schema="show")["run"]["run_id"] == last["run_id"]
    assert joulery.json("show", "job1", schema="show")["run"]["name"] == "job1"
    missing = joulery("show", "jbo1", code=2)
    assert "hint:" in missing.stderr
    evidence = joulery.json("show", schema="show")["evidence"][0]
    check_schema(evidence["content"], "run")


def test_power_series_add_up(joulery):
    document = joulery.run("sleep", "1.2", flags=["--hz", "50"])
    shown = json.loads(joulery("show", "--json", "--power").stdout)
    check_schema(shown, "show")
    total = {s["device_id"]: sum(p["energy_joules"] for p in s["samples"]) for s in shown["power"]}
    for device in document["devices"]:
        assert total[device["id"]] == pytest.approx(device["energy_joules"]["value"], rel=0.01)
    assert all(len(s["samples"]) >= 40 for s in shown["power"])
    rows = list(csv.DictReader(io.StringIO(joulery("export", "last", "--what", "power").stdout)))
    assert sum(
        float(r["energy_joules"]) for r in rows if r["device_id"] == document["devices"][0]["id"]
    ) == pytest.approx(total[document["devices"][0]["id"]], rel=1e-6)
    times = [float(r["boottime_seconds"]) for r in rows if r["device_id"].startswith("workload")]
    assert times == sorted(times)
    power = json.loads(joulery("export", "last", "--what", "power", "--format", "json").stdout)
    check_schema(power, "power")


def test_export_as_csv_and_json(joulery):
    fill(joulery)
    joulery("run", "-q", "--name", '=cmd|"x",1', "--", "true")
    rows = list(csv.DictReader(io.StringIO(joulery("export").stdout)))
    assert len(rows) == 4
    assert rows[0]["name"] == '\'=cmd|"x",1'
    assert float(rows[0]["metrics.joulery/cpu_seconds"]) > 0
    out = joulery.home / "runs.json"
    joulery("export", "job1", "--format", "json", "--output", out)
    document = json.loads(out.read_text())
    check_schema(document, "runs")
    assert [run["name"] for run in document["runs"]] == ["job1"]
    assert "did you mean" in joulery("export", "--format", "jsn", code=2).stderr


def test_rm_restore_and_gc(joulery):
    fill(joulery)
    joulery("rm", "job1")
    assert [r["name"] for r in joulery.json("runs", schema="runs")["runs"]] == ["job2", "job0"]
    deleted = joulery.json("runs", "--deleted", schema="runs")["runs"]
    restored = joulery.json("rm", "--restore", deleted[0]["run_id"], schema="rm")
    assert restored["run_ids"] == [deleted[0]["run_id"]]
    assert len(joulery.json("runs", schema="runs")["runs"]) == 3
    joulery("rm", "job0", "job2")
    assert joulery.json("gc", schema="gc")["runs"] == 2
    assert joulery.json("gc", schema="gc")["runs"] == 0
    assert [r["name"] for r in joulery.json("runs", schema="runs")["runs"]] == ["job1"]
    joulery("rm", "job1", "nothing-like-it", code=2)
    assert len(joulery.json("runs", schema="runs")["runs"]) == 1, "all or nothing"


def test_rm_of_what_is_as_asked_for_says_so(joulery):
    fill(joulery)
    said = joulery("rm", "--restore", "job1")
    assert "was not deleted" in said.stderr and "restored" not in said.stderr
    joulery("rm", "job1")
    run = joulery.json("runs", "--deleted", schema="runs")["runs"][0]["run_id"]
    assert "was deleted before" in joulery("rm", run).stderr
    document = joulery.json("rm", run, schema="rm")
    assert document["run_ids"] == [] and document["unchanged_run_ids"] == [run]
    assert len(joulery.json("runs", schema="runs")["runs"]) == 2


def test_a_file_with_nothing_but_a_heading(joulery):
    file = joulery.home / "emissions.csv"
    file.write_text("timestamp,project_name,run_id,duration,emissions,energy_consumed\n")
    assert "a heading and no rows" in joulery("import", file).stderr
    packed = joulery.home / "emissions.csv.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    said = joulery("import", packed, code=2).stderr
    assert "is compressed (gzip)" in said and "gunzip" in said


def test_filters_take_dates_and_tell_of_metrics_that_no_run_has(joulery):
    fill(joulery)
    assert len(joulery.json("runs", "start_time > '2020-01-01' and status = 'finished'", schema="runs")["runs"]) == 3
    assert joulery.json("runs", "start_time < '2020-01-01T10:00:00Z'", schema="runs")["runs"] == []
    assert "did you mean 'FINISHED'" in joulery("runs", "status = 'finishd'", code=2).stderr
    told = joulery("runs", "metrics.enrgy_joules > 0")
    assert "no run has a metric 'enrgy_joules'; did you mean 'energy_joules'?" in told.stderr
    assert "did you mean 'cpu_seconds'" in joulery("runs", "--sort", "metrics.cpu_second").stderr
    assert "no run has" not in joulery("runs", "metrics.energy_joules > 0").stderr


def test_a_spool_that_can_not_be_read_is_told_once_and_kept(joulery):
    joulery("run", "-q", "--", "true")
    (joulery.home / "spool/junk.spool").write_bytes(b"no spool at all, of nobody")
    told = joulery("runs")
    assert "refused/junk.spool" in told.stderr
    assert joulery("runs").stderr == ""
    assert (joulery.home / "spool/refused/junk.spool").read_bytes() == b"no spool at all, of nobody"


@pytest.mark.parametrize("behind, damaged", [(b"\0" * 50, False), (b"what is this doing here?", True)])
def test_what_stands_before_the_damage_in_a_spool_is_stored(joulery, behind, damaged):
    process = joulery.start("run", "--name", "cut", "--hz", "100", "--", "sleep", "60", start_new_session=True)
    while not list((joulery.home / "spool").glob("*.spool")):
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1.0)
    process.kill()
    process.wait()
    os.killpg(process.pid, signal.SIGKILL)
    (spool,) = (joulery.home / "spool").glob("*.spool")
    with spool.open("ab") as file:
        file.write(behind)
    told = joulery("runs", "--json")
    (run,) = json.loads(told.stdout)["runs"]
    assert run["name"] == "cut" and run["status"] == "KILLED"
    assert ("joulery.damaged" in run["tags"]) == damaged
    assert ("only in part" in told.stderr) == damaged
    assert (joulery.home / "spool/refused" / spool.name).exists() == damaged
    assert joulery("runs").stderr == ""


def test_what_is_shared_out_is_known_no_better_than_the_machine(joulery):
    """Also after the same host was metered in another way."""
    root = joulery.home / "root"
    zone = root / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    (zone / "energy_uj").write_text("5000000\n")
    (root / "proc").symlink_to("/proc")
    (root / "etc").symlink_to("/etc")
    script = f"import time\nfor i in range(1, 30):\n open({str(zone / 'energy_uj')!r}, 'r+').write(f'{{5000000 + i * 200000}}\\n')\n time.sleep(0.02)"
    sensors = {"JOULERY_SYSTEM_ROOT": str(root)}
    joulery("run", "-q", "--name", "modelled", "--", "sleep", "0.3")
    joulery("run", "-q", "--name", "measured", "--", sys.executable, "-c", script, env=sensors)
    machine = joulery.json("show", "modelled", schema="show")["evidence"][0]["content"]["devices"][0]["energy_joules"]
    if machine["provenance"] != "modelled":
        pytest.skip("this machine has a sensor")

    def provenance(name):
        rows = csv.DictReader(io.StringIO(joulery("export", name, "--what", "power").stdout))
        return {row["provenance"] for row in rows if row["device_id"].startswith("workload")}

    assert provenance("measured") == {"derived"}
    assert provenance("modelled") == {"modelled"}


def test_fifty_runs_at_once_lose_nothing(joulery):
    processes = [joulery.start("run", "-q", "--name", f"p{i}", "--", "true") for i in range(50)]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0 and err == b"", err
    names = {run["name"] for run in joulery.json("runs", "--limit", "100", schema="runs")["runs"]}
    assert names == {f"p{i}" for i in range(50)}
    assert os.listdir(joulery.home / "spool") == []


def test_a_killed_meter_leaves_a_run_that_is_recovered_and_marked(joulery):
    process = joulery.start("run", "--name", "cut", "--hz", "100", "--", "sleep", "60", start_new_session=True)
    time.sleep(1.0)
    process.kill()
    process.wait()
    os.killpg(process.pid, signal.SIGKILL)
    result = joulery("runs", "--json")
    assert "cut off" in result.stderr
    run = json.loads(result.stdout)["runs"][0]
    assert run["status"] == "KILLED" and run["tags"]["joulery.recovered"] == "true"
    assert "its meter was killed" in joulery("show").stdout
    assert os.listdir(joulery.home / "spool") == []


def test_a_run_lands_in_the_store_that_it_was_for(joulery):
    other = str(joulery.home / "other.db")
    process = joulery.start("run", "--name", "cut", "--store", other, "--", "sleep", "60", start_new_session=True)
    time.sleep(1.0)
    process.kill()
    process.wait()
    os.killpg(process.pid, signal.SIGKILL)
    joulery("run", "-q", "--name", "mine", "--", "true")
    assert [run["name"] for run in joulery.json("runs", schema="runs")["runs"]] == ["mine"]
    (spool,) = [check for check in joulery.json("doctor", schema="doctor")["checks"] if check["area"] == "spool"]
    assert "1 there of runs for other stores" in spool["reason"]
    # By another way to the same path.
    way = os.path.relpath(other, joulery.home)
    assert [run["name"] for run in joulery.json("runs", "--store", way, schema="runs")["runs"]] == ["cut"]
    both = [joulery.start("run", "-q", "--name", name, "--store", f"{name}.db", "--", "true") for name in "ab" * 5]
    for process in both:
        assert process.wait(timeout=60) == 0
    for name in "ab":
        names = [run["name"] for run in joulery.json("runs", "--store", f"{name}.db", schema="runs")["runs"]]
        assert names == [name] * 5
    assert os.listdir(joulery.home / "spool") == []


@pytest.mark.parametrize("seed", range(200 if "JOULERY_SOAK" in os.environ else 8))
def test_a_kill_at_any_moment_loses_no_run_that_ended_and_leaves_no_wreck(joulery, seed):
    """Kills the meter between its start and some time after the command's end."""
    joulery("run", "-q", "--name", "before", "--", "true")
    delay = random.Random(seed).uniform(0, 0.06)
    process = joulery.start("run", "-q", "--name", "victim", "--", "sleep", "0.02")
    time.sleep(delay)
    process.kill()
    process.wait()
    runs = json.loads(joulery("runs", "--json").stdout)["runs"]
    names = [run["name"] for run in runs]
    assert names.count("before") == 1 and names.count("victim") <= 1
    for run in runs:
        if run["name"] == "victim":
            assert run["status"] in ("FINISHED", "KILLED")
    assert os.listdir(joulery.home / "spool") == []
    joulery("run", "-q", "--name", "after", "--", "true")
    assert len(joulery.json("runs", schema="runs")["runs"]) == len(runs) + 1


def test_a_newer_store_is_refused_and_the_run_is_safe(joulery):
    joulery("run", "-q", "--", "true")
    connection = sqlite3.connect(store_of(joulery))
    connection.execute("PRAGMA user_version = 9999")
    connection.commit()
    connection.close()
    refused = joulery("runs", code=3)
    assert "newer" in refused.stderr and "hint:" in refused.stderr
    kept = joulery("run", "-q", "--name", "kept", "--", "sh", "-c", "exit 6", code=6)
    assert "safe in" in kept.stderr
    assert len(os.listdir(joulery.home / "spool")) == 1
    connection = sqlite3.connect(store_of(joulery))
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    if joulery("runs", code=None).returncode == 0:
        assert joulery.json("show", schema="show")["run"]["name"] == "kept"


def test_an_empty_file_is_a_store_without_runs(joulery):
    empty = joulery.home / "empty.db"
    empty.touch()
    for words in (["runs"], ["show", "last"]):
        refused = joulery(*words, "--store", empty, code=2)
        assert "no runs yet" in refused.stderr and "joulery run --store PATH -- CMD" in refused.stderr
        assert empty.read_bytes() == b""
    joulery("run", "-q", "--store", empty, "--", "true")
    assert len(joulery.json("runs", "--store", empty, schema="runs")["runs"]) == 1


@pytest.mark.parametrize("damage", ["text", "truncated", "zeroed"])
def test_a_corrupt_store_is_refused_and_kept(joulery, damage):
    joulery("run", "-q", "--", "true")
    store = store_of(joulery)
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sqlite3; c = sqlite3.connect({str(store)!r}); "
            "c.execute('PRAGMA wal_checkpoint(TRUNCATE)'); c.close()",
        ],
        check=True,
    )
    whole = store.read_bytes()
    broken = {
        "text": b"this is no database, but it is long enough to look at\n" * 100,
        "truncated": whole[: len(whole) // 3],
        "zeroed": whole[:4096] + bytes(len(whole) - 4096),
    }[damage]
    for name in ("-wal", "-shm"):
        (store.parent / (store.name + name)).unlink(missing_ok=True)
    store.write_bytes(broken)
    refused = joulery("runs", code=3)
    assert "hint:" in refused.stderr
    assert store.read_bytes() == broken
    run = joulery("run", "-q", "--name", "after", "--", "true")
    assert "safe in" in run.stderr
    assert store.read_bytes() == broken
    store.rename(store.with_suffix(".bad"))
    assert joulery.json("show", schema="show")["run"]["name"] == "after"


def test_store_from_a_setting_or_a_flag(joulery):
    joulery("run", "-q", "--store", "here.db", "--", "true")
    assert (joulery.home / "here.db").exists()
    (joulery.home / "joulery.toml").write_text('store = "here.db"\n')
    assert len(joulery.json("runs", schema="runs")["runs"]) == 1
    assert oct((joulery.home / "here.db").stat().st_mode & 0o777) == "0o600"
    assert "SQLite only" in joulery("runs", "--store", "postgresql://x", code=2).stderr


def on_a_terminal(joulery, *arguments):
    """What the program writes if stdout and stderr are a terminal."""
    ours, theirs = pty.openpty()
    process = joulery.start(*arguments, stdout=theirs, stderr=theirs, env={"TERM": "xterm", "NO_COLOR": "1"})
    os.close(theirs)
    text = b""
    while True:
        try:
            got = os.read(ours, 65536)
        except OSError:
            break
        if not got:
            break
        text += got
    os.close(ours)
    assert process.wait(20) == 0, text
    return text.decode()


def test_texts_from_outside_can_not_play_with_the_terminal(joulery):
    nasty = "x\x1b]0;title\x07\x1b[31m\u202egpj.sh\u200b\ufeff\u2066\x9b31m\ny"
    joulery(
        "run",
        "-q",
        "--name",
        nasty,
        "--experiment",
        nasty,
        "--tag",
        f"{nasty}={nasty}",
        "--per",
        f"3 {nasty}",
        "--",
        "sh",
        "-c",
        "exit 0",
        nasty,
        env={"USER": nasty, "LOGNAME": nasty},
    )
    # Also where another program wrote the record.
    with sqlite3.connect(store_of(joulery)) as database:
        database.execute("UPDATE runs SET name = ?", (nasty,))
        database.execute("UPDATE tags SET value = ? WHERE value LIKE '%gpj%'", (nasty,))
    shown = [
        joulery("runs").stdout,
        joulery("show").stdout,
        joulery("show", nasty).stdout,
        joulery("runs", "--experiment", nasty).stdout,
        joulery("runs", "--experiment", nasty + "z", code=None).stderr,
        joulery("rm", nasty).stderr,
        joulery("rm", "--restore", "last", code=None).stderr,
        joulery("runs", "--deleted").stdout,
        joulery("config", "show", env={"JOULERY_RUN_EXPERIMENT": nasty}).stdout,
        on_a_terminal(joulery, "export", "--format", "csv").replace("\r\n", "\n"),
    ]
    for text in shown:
        bad = [c for c in text if c != "\n" and (unicodedata.category(c) in ("Cc", "Cf"))]
        assert not bad, repr(text)
    for text in shown[:4]:
        assert "<U+202E>gpj.sh<U+200B><U+FEFF><U+2066>" in text, repr(text)
    assert joulery("runs", "--experiment", nasty).stdout.count("\n") in (0, 2)
