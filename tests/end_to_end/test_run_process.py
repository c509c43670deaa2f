"""The command's life under the meter is its own: streams, signals, terminals, exit codes."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


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


def test_the_environment_is_passed_on_as_it_was(joulery):
    script = "import os, sys; os.execve(sys.argv[1], sys.argv[1:], {b'B': b'1', b'A': b'2', b'PATH': b'/usr/bin:/bin'})"
    command = [joulery.binary, "run", "-q", "--store", str(joulery.home / "x.db"), "--", "env"]
    result = subprocess.run(
        [sys.executable, "-c", script, *command], capture_output=True, text=True, cwd=joulery.home, check=True
    )
    assert result.stdout == "B=1\nA=2\nPATH=/usr/bin:/bin\n"


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
