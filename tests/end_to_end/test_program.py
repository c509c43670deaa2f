"""Help, settings, completions, manual page, doctor."""

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time


def test_help_leads_with_examples(joulery):
    text = joulery("--help").stdout
    assert text.startswith("Examples:")
    for verb in ("run", "doctor", "runs", "show", "export", "rm", "gc", "config"):
        assert re.search(rf"^  {verb} ", text, re.M)
        own = joulery(verb, "--help").stdout
        assert own.index("Examples:") < own.index("usage:")
    assert joulery(code=2).stderr.startswith("Examples:")


def test_typos_are_answered(joulery):
    assert "did you mean 'joulery doctor'?" in joulery("dotcor", code=2).stderr
    assert "joulery run -- python3" in joulery("python3", code=2).stderr
    assert "did you mean '--limit'?" in joulery("runs", "--limt", "3", code=2).stderr
    assert "did you mean 'show'?" in joulery("config", "shwo", code=2).stderr


def test_help_with_what_there_is_not_is_an_error(joulery):
    assert "did you mean 'joulery help show'?" in joulery("help", "shwo", code=2).stderr
    assert "joulery help" in joulery("help", "nosuch", code=2).stderr
    assert joulery("help", "help").stdout == joulery("help").stdout


def test_a_flag_before_any_command_is_what_is_wrong(joulery):
    said = joulery("--colour", "never", code=2).stderr
    assert "knows no '--colour'" in said and "did you mean '--color'?" in said
    said = joulery("--zone", "FR", code=2).stderr
    assert "knows no '--zone'" in said and "joulery run --zone" in said
    joulery("run", "-q", "--", "true")
    assert joulery("--json", "runs").stdout.startswith("{")


def test_shells_that_are_not_known_are_no_typos(joulery):
    said = joulery("completions", "csh", code=2).stderr
    assert "bash, zsh, fish" in said and "did you mean" not in said


def test_a_text_without_quotes_in_a_config_file(joulery):
    (joulery.home / "joulery.toml").write_text("pue = 1.2\nzone = FR\n")
    said = joulery("run", "--", "true", code=None).stderr
    assert "joulery.toml:2" in said and 'a text needs quotes: zone = "FR"' in said
    (joulery.home / "joulery.toml").write_text("zone = [\n")
    assert "needs quotes" not in joulery("runs", code=2).stderr


def test_a_data_folder_that_is_none(joulery):
    assert "'/nonexist' does not exist" in joulery("run", "--data", "/nonexist", "--", "true", code=2).stderr
    assert "'/etc/passwd' is no folder" in joulery("run", "--data", "/etc/passwd", "--", "true", code=2).stderr


def test_tags_that_the_meter_writes_are_refused(joulery):
    said = joulery("run", "--tag", "joulery.attribution=foo", "--", "true", code=2).stderr
    assert "'joulery.'" in said
    said = joulery("run", "--tag", "mlflow.runName=zz", "--", "true", code=2).stderr
    assert "--name NAME" in said
    joulery("run", "--tag", "mlflow.user=zz", "--", "true", code=2)
    # MLflow's other tags are the user's to give.
    joulery("run", "--tag", "mlflow.note.content=why", "--tag", "joulery=1", "--", "true")
    tags = joulery.json("show", schema="show")["run"]["tags"]
    assert tags["mlflow.note.content"] == "why" and tags["joulery"] == "1"


def interrupt(joulery, *arguments, after):
    """Ctrl-C: the signal reaches joulery and the command alike."""
    process = joulery.start("run", *arguments, start_new_session=True)
    said = b""
    while after.encode() not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    said += process.communicate(timeout=60)[1]
    return process.returncode, said.decode()


def test_an_interrupted_comparison_keeps_its_pairs(joulery):
    code, said = interrupt(joulery, "--versus", "sleep 0.2", "sleep 0.8", "--repeat", "50", after="pair 1 of 50")
    assert code == 130
    assert re.search(r"^interrupted; \d+ pairs? of 50 (is|are) stored", said, re.M)
    assert "error:" not in said and "fail again" not in said
    said = joulery("run", "--versus", "$HOME/x", "true", code=127).stderr
    assert "no shell is run" in said and "sh -c" in said
    code, said = interrupt(joulery, "--versus", "sleep 20", "sleep 20", after="5 pairs")
    assert code == 130 and "interrupted; 0 pairs of 5 are stored" in said and "error:" not in said


def test_an_interrupted_series_keeps_its_runs(joulery):
    code, said = interrupt(joulery, "--repeat", "50", "--", "sleep", "0.7", after="run ")
    assert code == 130
    found = re.search(r"^interrupted; (\d+) runs? of 50 (is|are) stored whole, as series (\w+)$", said, re.M)
    assert int(found[1]) >= 1 and "error:" not in said
    runs = json.loads(joulery("export", "--json", found[3]).stdout)["runs"]
    assert [run["status"] for run in runs].count("FINISHED") == int(found[1])


def test_a_wrong_key_in_a_config_file(joulery):
    (joulery.home / "joulery.toml").write_text("[run]\nhzz = 3\n")
    result = joulery("run", "--", "true", code=2)
    assert "joulery.toml:2" in result.stderr and "did you mean 'run.hz'?" in result.stderr


def test_config_show_says_where_each_value_comes_from(joulery):
    (joulery.home / "joulery.toml").write_text("[run]\nhz = 3\n")
    settings = joulery.json("config", "show", schema="config", env={"JOULERY_RUN_IDLE": "all"})["settings"]
    assert settings["run.hz"]["value"] == "3" and settings["run.hz"]["where"].endswith("joulery.toml:2")
    assert settings["run.idle"] == {"value": "all", "origin": "environment", "where": "JOULERY_RUN_IDLE"}
    assert "joulery.toml:2" in joulery("config", "show", "--origin").stdout


def test_version(joulery):
    assert re.fullmatch(r"joulery \d+\.\d+\.\d+\n", joulery("--version").stdout)


def test_colour_by_flag_variable_and_terminal(joulery):
    assert "\x1b" not in joulery("doctor").stdout
    assert "\x1b[" in joulery("doctor", "--color", "always").stdout
    assert "\x1b[" in joulery("doctor", env={"FORCE_COLOR": "1"}).stdout
    assert "\x1b" not in joulery("doctor", "--color", "never", env={"FORCE_COLOR": "1"}).stdout


def test_manual_page_has_no_formatting_errors(joulery):
    page = joulery("man").stdout
    for flag in ("\\-\\-experiment", "\\-\\-warmup", "\\-\\-store"):
        assert flag in page
    if shutil.which("groff"):
        result = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True, check=True
        )
        assert result.stderr == ""


def test_manual_page_shows_what_is_to_be_typed(joulery):
    page = joulery("man").stdout
    for line in page.splitlines():
        # roff would take them for the ends of an argument, and print neither.
        assert '"' not in line or line.startswith(".TH"), line
    if shutil.which("groff"):
        shown = subprocess.run(
            ["groff", "-man", "-Tutf8", "-P-cbou", "-rLL=200n"], input=page, capture_output=True, text=True, check=True
        ).stdout
        assert 'joulery run --per "1000 images" -- ./infer' in shown
        assert "--where \"tags.task = 'digits'\"" in shown
        assert "`joulery" not in page and "~/.config" in shown


def test_exit_codes_are_told_alike_everywhere(joulery):
    manual = " ".join(joulery("man").stdout.split())
    for text in (manual, " ".join(joulery("--help").stdout.split())):
        for code in ("0 success", "2 usage", "3 the environment", "70 internal", "128+N", "125 if", "126 if", "127 if"):
            assert code in text
    own = " ".join(joulery("run", "--help").stdout.split())
    assert "2 if its own flags are wrong" in own
    joulery("run", "--hz", "nonsense", "--", "true", code=2)
    joulery("run", "--", "no-such-command", code=127)


def test_help_fits_a_terminal_of_80_columns(joulery):
    verbs = re.findall(r"^  (?!joulery)(\w+) ", joulery("--help").stdout, re.M)
    assert "run" in verbs
    for verb in ("", *verbs):
        text = joulery("help", *verb.split()).stdout
        for line in text.splitlines():
            # What is to be typed stays whole.
            assert len(line) <= 80 or line.lstrip().startswith(("joulery ", "source ", "usage:")), line
    said = shown_on_a_terminal(joulery, "run", "--data", "/nonexistent", "--", "true", env={}, code=2)
    assert max(len(line) for line in said.splitlines()) <= 80


def shown_on_a_terminal(joulery, *arguments, env, code=0):
    master, slave = pty.openpty()
    process = joulery.start(*arguments, env=env, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # what a closed terminal says
        while part := os.read(master, 65536):
            shown += part
    os.close(master)
    assert process.wait(30) == code
    return shown.decode()


def test_manual_on_a_terminal_is_for_reading(joulery):
    tools = joulery.home / "tools"
    tools.mkdir()
    plain = shown_on_a_terminal(joulery, "man", env={"PATH": str(tools)})
    assert "usage: joulery run" in plain and "--warmup" in plain and ".TH" not in plain

    man = tools / "man"
    man.write_text('#!/bin/sh\necho "man $*"\nread -r first rest\necho "got $first"\n')
    man.chmod(0o755)
    shown = shown_on_a_terminal(joulery, "man", env={"PATH": f"{tools}:{os.environ['PATH']}"})
    assert shown.split() == ["man", "-l", "-", "got", ".TH"]
    # A man that cannot read a page from its input, such as that of a system without its manuals.
    man.write_text("#!/bin/sh\nexit 1\n")
    assert "usage: joulery run" in shown_on_a_terminal(joulery, "man", env={"PATH": str(tools)})
    # A pager that is left early, and settings that are wrong, are in nobody's way.
    man.write_text("#!/bin/sh\nexit 0\n")
    (joulery.home / "joulery.toml").write_text("nonsense")
    assert shown_on_a_terminal(joulery, "man", env={"PATH": f"{tools}:{os.environ['PATH']}"}) == ""


def test_doctor_says_each_thing_once_and_which_settings_hold(joulery):
    (joulery.home / "project/below").mkdir(parents=True)
    (joulery.home / "project/joulery.toml").write_text("run.hz = 3\n")
    user = joulery.home / ".config/joulery/config.toml"
    user.parent.mkdir(parents=True)
    user.write_text("run.hz = 2\nrun.wait = 'child'\n")
    report = joulery.json("doctor", schema="doctor", cwd=joulery.home / "project/below")
    settings = next(check for check in report["checks"] if check["area"] == "settings")
    assert f"{user} sets run.wait;" in settings["reason"]
    assert f"{joulery.home}/project/joulery.toml sets run.hz;" in settings["reason"]
    assert "JOULERY_SPOOL sets spool" in settings["reason"]
    modelled = next(check for check in report["checks"] if "model" in check["name"])
    assert "×0." in modelled["accuracy"] and "x0." not in modelled["reason"]
    assert modelled["reason"].split(":")[0] not in modelled["accuracy"]


def test_doctor_says_what_is_and_what_to_do(joulery):
    report = joulery.json("doctor", schema="doctor")
    assert report["usable"] is True
    areas = {check["area"] for check in report["checks"]}
    assert {"power", "attribution", "load", "clock", "noise", "store", "spool"} <= areas
    assert sum(check["in_use"] for check in report["checks"] if check["area"] == "attribution") == 1
    assert report["devices"]
    for check in report["checks"]:
        assert check["reason"], check
    text = joulery("doctor").stdout
    assert "✓" in text and "modelled" in text


def test_doctor_without_sys_or_proc(joulery):
    empty = joulery.home / "nothing"
    empty.mkdir()
    report = joulery.json("doctor", schema="doctor", env={"JOULERY_SYSTEM_ROOT": str(empty)})
    assert report["usable"] is True
    assert [c["state"] for c in report["checks"] if c["area"] == "load"] == ["unavailable"]


def test_bug_report_tells_nothing_of_the_person(joulery):
    text = joulery("doctor", "--report", env={"USER": "somebody-secret", "API_TOKEN": "hunter2"}).stdout
    assert text.startswith("### joulery")
    for secret in (str(joulery.home), "somebody-secret", "hunter2"):
        assert secret not in text


def test_unreadable_counters_come_with_the_command_that_opens_them(joulery):
    root = joulery.home / "root"
    zone = root / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    (root / "proc").symlink_to("/proc")
    (zone / "name").write_text("package-0\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    # A folder where the counter should be: unreadable even for root.
    (zone / "energy_uj").mkdir()
    report = joulery.json("doctor", schema="doctor", env={"JOULERY_SYSTEM_ROOT": str(root)})
    powercap = next(c for c in report["checks"] if "powercap" in c["name"])
    assert powercap["state"] != "good"
    assert powercap["reason"]


def test_closed_stdout_is_no_crash(joulery):
    process = joulery.start("runs", "--help")
    process.stdout.close()
    process.stderr.read()
    assert process.wait(10) in (0, 3)


def test_what_people_try_first(joulery):
    assert joulery("help").stdout == joulery("--help").stdout
    assert joulery("help", "run").stdout == joulery("run", "--help").stdout
    assert joulery("version").stdout == joulery("--version").stdout
    assert "joulery run -- python3 x.py" in joulery("python3", "x.py", code=2).stderr
    assert "--name needs a value" in joulery("run", "--name", "--", "true", code=2).stderr
    assert "JOULERY_RUN_HZ?" in joulery("config", "show", env={"JOULERY_RUN_HZZ": "4"}).stderr
    joulery("doctor")
    assert "joulery run -- CMD" in joulery("runs").stderr
    joulery("run", "-q", "--", "python3", "-c", "pass")
    (joulery.home / "x.py").write_text("pass")
    joulery("run", "-q", "--", "python3", "x.py")
    assert joulery.json("show", "x.py", schema="show")["run"]["name"] == "x.py"
    assert "at least 4 digits" in joulery("show", "0", code=2).stderr
