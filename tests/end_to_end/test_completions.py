"""Completions, asked of the shells themselves."""

import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import subprocess
import time

import pytest
from conftest import BINARY

VERBS = ["run", "doctor", "runs", "show", "export", "rm", "gc", "config", "completions", "man"]


class Shell:
    """What a shell offers for a line; the last word is the one at the cursor."""

    def __init__(self, joulery, name):
        self.home = joulery.home
        self.name = name
        self.script = joulery.home / f"completions.{name}"
        self.script.write_text(joulery("completions", name).stdout)
        self.environment = {
            **joulery.environment,
            "PATH": f"{pathlib.Path(BINARY).parent}:{os.environ['PATH']}",
            "TERM": "dumb",
        }

    def __call__(self, *words):
        return getattr(self, self.name)(*words)

    def output(self, *command):
        result = subprocess.run(
            command, cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert result.stderr == ""
        return result.stdout.splitlines()

    def bash(self, *words):
        # Readline breaks words at "=" as well, and leaves quotes in them.
        line = [part for word in words for part in (re.split("(=)", word) if word.startswith("--") else [word])]
        if line[-1] == "" and line[-2:-1] == ["="]:
            line.pop()
        quoted = " ".join(shlex.quote(word) for word in line)
        body = f"COMP_WORDS=({quoted}); COMP_CWORD={len(line) - 1}; _joulery"
        show = '((${#COMPREPLY[@]} == 0)) || printf "%s\\n" "${COMPREPLY[@]}"'
        return self.output("bash", "--norc", "-c", f"source {self.script}; {body}; {show}")

    def fish(self, *words):
        line = " ".join(shlex.quote(word) if word else "" for word in words)
        lines = self.output("fish", "--no-config", "-c", f"source {self.script}; complete -C {shlex.quote(line)}")
        return [candidate.split("\t")[0] for candidate in lines]

    def zsh(self, *words):
        """Interactive zsh on a terminal, with a widget that writes down every match."""
        matches = self.home / "matches"
        setup = self.home / "setup.zsh"
        setup.write_text(
            "PROMPT='ready> '; unsetopt zle_bracketed_paste beep; autoload -Uz compinit; compinit -u -D\n"
            f"source {self.script}\n"
            "zstyle ':completion:*' verbose no\n"
            # Both what is added and what was passed over is seen in its own array.
            "compadd() {\n"
            '  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi\n'
            '  local -a found; builtin compadd -A found "$@"\n'
            f"  (( $#found )) && print -rl -- $found >> {matches}\n"
            '  builtin compadd "$@"\n'
            "}\n"
            f"note() {{ _main_complete; : >> {matches}; print -r done >> {matches} }}\n"
            "zle -C note complete-word note; bindkey '^I' note\n"
        )
        matches.unlink(missing_ok=True)
        master, slave = pty.openpty()
        process = subprocess.Popen(
            ["zsh", "-f", "-i"],
            cwd=self.home,
            env=self.environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        seen = b""

        def wait_for(condition):
            nonlocal seen
            end = time.monotonic() + 30
            while not condition():
                assert time.monotonic() < end, seen
                if select.select([master], [], [], 0.02)[0]:
                    seen += os.read(master, 65536)

        try:
            os.write(master, f"source {setup}\n".encode())
            wait_for(lambda: b"ready> " in seen)
            line = " ".join(shlex.quote(word) if word else "" for word in words)
            os.write(master, line.encode() + b"\t")
            wait_for(lambda: matches.exists() and "done" in matches.read_text().split())
        finally:
            process.kill()
            process.wait()
            os.close(master)
        return [word for word in matches.read_text().splitlines() if word != "done"]


@pytest.fixture(params=["bash", "zsh", "fish"])
def complete(joulery, request):
    # ./dev setup installs all three.
    assert shutil.which(request.param), f"{request.param} is not installed; ./dev setup test"
    return Shell(joulery, request.param)


def fill(joulery):
    for name in ("digits", "two words", "same", "same"):
        joulery("run", "-q", "-n", name, "-e", "paper", "--", "true")
    return joulery.json("runs", schema="runs")["runs"]


def test_scripts_are_valid(joulery):
    for shell in ("bash", "zsh", "fish"):
        path = joulery.home / shell
        path.write_text(joulery("completions", shell).stdout)
        subprocess.run([shell, "-n", path], check=True)


def test_verbs_and_flags(complete):
    assert sorted(complete("joulery", "")) == sorted(VERBS)
    assert complete("joulery", "do") == ["doctor"]
    flags = complete("joulery", "run", "-")
    for flag in ("--experiment", "-e", "--warmup", "-w", "--store", "-h"):
        assert flag in flags
    assert "-e" in complete("joulery", "runs", "-")
    assert "-e" not in complete("joulery", "show", "-")
    assert "complete" not in complete("joulery", "com")


def test_values_of_a_closed_set(complete):
    assert complete("joulery", "run", "--idle", "p") == ["proportional"]
    assert sorted(complete("joulery", "run", "--wait", "")) == ["child", "tree"]
    assert sorted(complete("joulery", "export", "-f", "")) == ["csv", "json"]
    assert {"energy", "cpu", "-energy"} <= set(complete("joulery", "runs", "-s", ""))
    assert complete("joulery", "--color", "a") == ["auto", "always"] or sorted(complete("joulery", "--color", "a")) == [
        "always",
        "auto",
    ]
    assert [c.removeprefix("--idle=") for c in complete("joulery", "run", "--idle=n")] == ["none"]
    assert complete("joulery", "completions", "f") == ["fish"]
    assert [word for word in complete("joulery", "config", "show", "") if word[0] != "-"] == []


def test_free_text_offers_nothing(complete):
    (complete.home / "afile").write_text("")
    for flag in ("--name", "-n", "--tag", "-t", "--per", "--hz"):
        assert complete("joulery", "run", flag, "") == [], flag
        assert complete("joulery", "run", flag, "a") == [], flag
    assert complete("joulery", "runs", "--limit", "") == []


def test_files(complete):
    (complete.home / "figures.json").write_text("")
    assert complete("joulery", "run", "-o", "fig") == ["figures.json"]
    assert complete("joulery", "show", "--store", "fig") == ["figures.json"]


def test_the_metered_command_is_completed_as_itself(complete):
    (complete.home / "train_it.py").write_text("")
    assert "true" in complete("joulery", "run", "--", "tru")
    assert "true" in complete("joulery", "run", "-n", "x", "tru")
    assert "true" in complete("joulery", "run", "-qn", "x", "tru")
    if complete.name != "bash":  # there readline does it
        assert "train_it.py" in complete("joulery", "run", "--", "cat", "train_")


def test_runs_and_experiments_of_the_store(joulery, complete):
    runs = fill(joulery)
    ids = {run["run_id"] for run in runs}
    offered = complete("joulery", "show", "")
    assert "last" in offered and "digits" in offered
    assert "same" not in offered, "two runs have this name"
    found = {known for known in ids for word in offered if len(word) >= 12 and known.startswith(word)}
    assert found == ids
    start = runs[0]["run_id"][:11]
    assert all(word.startswith(start) for word in complete("joulery", "rm", start))
    assert complete("joulery", "show", "dig") == ["digits"]
    spaced = complete("joulery", "show", "two")
    assert [word.replace("\\", "") for word in spaced] == ["two words"]
    assert complete("joulery", "runs", "-e", "pa") == ["paper"]
    assert complete("joulery", "run", "--experiment", "pa") == ["paper"]
    assert complete("joulery", "runs", "") == []

    joulery("rm", "digits")
    assert "digits" not in complete("joulery", "show", "")
    assert complete("joulery", "rm", "--restore", "dig") == ["digits"]

    joulery("run", "-q", "-n", "elsewhere", "--store", "other.db", "--", "true")
    assert complete("joulery", "show", "els") == []
    assert complete("joulery", "show", "--store", "other.db", "els") == ["elsewhere"]


def test_completing_makes_and_says_nothing(joulery, complete):
    assert complete("joulery", "show", "") == []
    (joulery.home / "joulery.toml").write_text("[run]\nhzz = 1\n")
    assert complete("joulery", "show", "") == []
    assert complete("joulery", "runs", "-e", "") == []
    (joulery.home / "joulery.toml").write_text('store = "broken.db"\n')
    (joulery.home / "broken.db").write_bytes(b"SQLite format 3\0" + bytes(200))
    assert complete("joulery", "show", "") == []
    assert not (joulery.home / ".local/share/joulery").exists()  # fish has a folder of its own there
    assert (joulery.home / "broken.db").read_bytes() == b"SQLite format 3\0" + bytes(200)


def test_what_the_scripts_ask_never_fails(joulery):
    for kind, start in (("runs", ""), ("runs", "' or 1=1"), ("deleted", "%"), ("experiments", "\\"), ("else", "")):
        for _ in range(2):
            result = joulery("complete", kind, start)
            assert result.stdout == "" and result.stderr == ""
        fill(joulery) if kind == "experiments" else None
    described = joulery("complete", "runs").stdout.splitlines()
    assert described[0].startswith("last\t")
    assert any(re.fullmatch(r"[0-9a-f]{12,32}\tdigits  .*  FINISHED", line) for line in described)


def test_every_sort_key_offered_is_taken(joulery):
    fill(joulery)
    for key in Shell(joulery, "bash")("joulery", "runs", "--sort", ""):
        joulery("runs", "--sort", key)
