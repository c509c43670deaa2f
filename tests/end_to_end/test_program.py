"""Help, settings, completions, manual page, doctor."""

import re
import shutil
import subprocess

import pytest


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


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_valid_scripts(joulery, shell):
    script = joulery("completions", shell).stdout
    assert "doctor" in script and "experiment" in script
    if shutil.which(shell) is None:
        assert shell != "bash"
        return
    path = joulery.home / "completion"
    path.write_text(script)
    subprocess.run([shell, "-n", path], check=True)


def test_bash_completes_verbs_flags_and_choices(joulery):
    (joulery.home / "completion").write_text(joulery("completions", "bash").stdout)

    def complete(*words):
        line = " ".join(f"'{w}'" for w in words)
        script = (
            f"source completion; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _joulery; "
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        return subprocess.run(
            ["bash", "-c", script], cwd=joulery.home, capture_output=True, text=True, check=True
        ).stdout.split()

    assert complete("joulery", "do") == ["doctor"]
    assert "--experiment" in complete("joulery", "run", "--e")
    assert complete("joulery", "run", "--idle", "p") == ["proportional"]
    assert complete("joulery", "completions", "f") == ["fish"]


def test_manual_page_has_no_formatting_errors(joulery):
    page = joulery("man").stdout
    for flag in ("\\-\\-experiment", "\\-\\-warmup", "\\-\\-store"):
        assert flag in page
    if shutil.which("groff"):
        result = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True, check=True
        )
        assert result.stderr == ""


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
