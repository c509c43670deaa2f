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

VERBS = ["run", "doctor", "runs", "show", "compare", "report", "export", "import", "rm", "gc", "config"]
VERBS += ["bench", "data", "engines", "completions", "man"]


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
        # Readline breaks words at "=" and ":" as well, and leaves quotes in them.
        line = [part for word in words for part in re.split("([=:]+)", word) if part or not word]
        quoted = " ".join(shlex.quote(word) for word in line)
        whole = " ".join(words)
        body = f"COMP_WORDS=({quoted}); COMP_CWORD={len(line) - 1}"
        body += f"; COMP_LINE={shlex.quote(whole)}; COMP_POINT={len(whole)}; _joulery"
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

    def typed(self, line):
        """What stands on the line of an interactive shell after `line` and a tab."""
        after = self.home / "after"
        after.unlink(missing_ok=True)
        setup = self.home / "typed"
        if self.name == "bash":
            text = (
                "PS1='ready> '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'\n"
                f"source {self.script}\n"
                f"note() {{ printf '%s\\n' \"$READLINE_LINE\" > {after}.new; mv {after}.new {after}; }}\n"
                "bind -x '\"\\C-t\": note'\n"
            )
            command = ["bash", "--norc", "--noprofile", "-i"]
        else:
            text = (
                "PROMPT='ready> '; unsetopt zle_bracketed_paste beep; autoload -Uz compinit; compinit -u -D\n"
                f"source {self.script}\n"
                f"note() {{ print -r -- $BUFFER > {after}.new; mv {after}.new {after} }}\n"
                "zle -N note; bindkey '^T' note; bindkey '^I' complete-word\n"
            )
            command = ["zsh", "-f", "-i"]
        setup.write_text(text)
        master, slave = pty.openpty()
        process = subprocess.Popen(
            command,
            cwd=self.home,
            env=self.environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        seen = b""
        try:
            os.write(master, f"source {setup}\n".encode())
            end = time.monotonic() + 60
            asked = False
            while not after.exists():
                assert time.monotonic() < end, seen
                if select.select([master], [], [], 0.02)[0]:
                    seen += os.read(master, 65536)
                if not asked and b"ready> " in seen.replace(b"PS1='ready> '", b""):
                    asked = True
                    os.write(master, line.encode() + b"\t\x14")
            return after.read_text().rstrip("\n")
        finally:
            process.kill()
            process.wait()
            os.close(master)


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


HOSTILE = [
    "$(touch made)",
    "`touch made`",
    '";touch made;"',
    "';touch made;'",
    "\\$(touch made)",
    "a:$(touch made)",
    "a=`touch made`",
    "é$(touch made)",
    "_';touch made;'",
    '_"$(touch made)',
]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize("opening", ["", '"', "'", 'x"', "x'"])
def test_no_name_runs_when_it_is_completed(joulery, shell, opening):
    complete = Shell(joulery, shell)
    for kind, before in (("-n", "joulery show "), ("-e", "joulery runs -e ")):
        for number, name in enumerate(HOSTILE):
            store = f"{kind}{number}.db"
            name = name if "x" not in opening else "x" + name  # a quote within the word
            joulery("run", "-q", kind, name, f"--store={store}", "--", "true")
            complete.environment["JOULERY_STORE"] = store
            start = opening if "x" in opening else opening + name[0]
            if not opening:
                start = re.match("(a[:=])?[^a-z]", name)[0]
                start = "".join("\\" + c if c in "$`\"'\\;(" else c for c in start)
            line = complete.typed(before + start)
            check = line.replace("joulery", "printf '%s\\n'", 1)
            closing = opening[-1:] if line == before + start else ""
            shown = subprocess.run(
                [shell, "-c", check + closing], cwd=complete.home, capture_output=True, text=True, check=False
            )
            assert not (complete.home / "made").exists(), (line, name)
            if not opening:
                assert shown.stdout.splitlines()[-1] == name, line


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_quoted_names_are_completed(joulery, shell):
    joulery("run", "-q", "-n", "two words", "--", "true")
    complete = Shell(joulery, shell)
    assert complete.typed('joulery show "two').rstrip() == 'joulery show "two words"'
    assert complete.typed("joulery show 'two").rstrip() == "joulery show 'two words'"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize("word", ["resnet:v2", "resnet:", "lr=0.1", "lr=", "a@b", "x=1:y"])
def test_names_with_signs_that_break_words(joulery, shell, word):
    name = word + "-large"
    joulery("run", "-q", "-n", name, "-e", name, "--", "true")
    complete = Shell(joulery, shell)
    for before in ("joulery show ", "joulery runs -e ", "joulery runs --experiment="):
        line = complete.typed(before + word)
        assert shlex.split(line) == shlex.split(before + name), line


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_store_that_is_typed_is_only_a_name(joulery, shell):
    complete = Shell(joulery, shell)
    for store in ("with:colon.db", "two words.db", "back\\slash:x.db"):
        joulery("run", "-q", "-n", "elsewhere", "--store", store, "--", "true")
        for flag in ("--store ", "--store="):
            line = complete.typed(f"joulery show {flag}{shlex.quote(store)} els")
            assert line.rstrip().endswith(" elsewhere"), (store, flag, line)
    assert complete.typed("joulery show --store with:colon.db els").rstrip().endswith(" elsewhere")
    assert complete.typed("joulery show --store ~/with:colon.db els").rstrip().endswith(" elsewhere")
    assert complete.typed("joulery show --store with:co").rstrip() == "joulery show --store with:colon.db"
    for hostile in ("'*(e\"touch made\")'", "*(e'[touch made]')", "'$(touch made)'", "~/'$(touch made)'"):
        complete.typed(f"joulery show --store {hostile} ")
        assert not (complete.home / "made").exists(), hostile


def test_a_backslash_in_a_name_is_kept_by_zsh(joulery):
    joulery("run", "-q", "-n", "back\\slash:x", "--", "true")
    line = Shell(joulery, "zsh").typed("joulery show back")
    assert shlex.split(line)[-1] == "back\\slash:x"
