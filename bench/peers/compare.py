#!/usr/bin/env python3
"""Compares what metering costs: joulery, a bare C loop, CodeCarbon and Zeus, interleaved in one run.

Three questions, each answered from outside the meter: how much of a core it uses at a sampling rate (and whether it
reaches the rate), how long it takes until the metered command runs, and how long a command that does nothing takes.
Prints Markdown to stdout and progress to stderr; --output also writes all raw figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import processes
import tables

HERE = Path(__file__).resolve().parent
SETTLING_SECONDS = {"codecarbon": 5.0}
DEFAULT_SETTLING_SECONDS = 1.0
# What joulery reads for every sample on a machine without a sensor.
SAMPLED_FILES = ("/proc/stat", "/proc/self/stat")


@dataclass
class Tool:
    """A meter: how to sample for a while at a rate, and how to run a command under it."""

    name: str
    sample: Callable[[float, float], list[str]] | None
    run: Callable[[list[str]], list[str]] | None
    version: str = ""


@dataclass
class Sampling:
    tool: str
    hertz: float
    core_percent: float
    reached_hertz: float
    peak_rss_bytes: int


@dataclass
class Results:
    machine: dict
    tools: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    sampling: list[Sampling] = field(default_factory=list)
    start_seconds: dict[str, list[float]] = field(default_factory=dict)
    nothing_seconds: dict[str, list[float]] = field(default_factory=dict)
    zeus: dict = field(default_factory=dict)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def compile_c(name: str, folder: Path) -> Path:
    compiler = shutil.which("clang-19") or shutil.which("cc")
    if compiler is None:
        raise SystemExit("error: there is no C compiler\n\nhint: ./dev setup bench")
    program = folder / name
    subprocess.run([compiler, "-O2", "-o", str(program), str(HERE / f"{name}.c")], check=True)
    return program


def package_version(python: Path, package: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def find_tools(joulery: Path, peers: Path, bare_loop: Path, files: list[str], results: Results) -> list[Tool]:
    """Those that are there; for the others, why not."""
    tools = [Tool("bare loop", lambda hz, seconds: [str(bare_loop), str(hz), str(seconds), *files], lambda cmd: cmd)]
    if joulery.exists():
        version = subprocess.run([joulery, "--version"], capture_output=True, text=True).stdout.strip()
        run = [str(joulery), "run", "--quiet"]
        tools.append(
            Tool(
                "joulery",
                lambda hz, seconds: [*run, "--hz", f"{hz:g}", "--", "sleep", str(seconds)],
                lambda cmd: [*run, "--", *cmd],
                version,
            )
        )
    else:
        results.absent["joulery"] = f"{joulery} does not exist"
    python = peers / "codecarbon" / "bin" / "python"
    if python.exists():
        monitor = [str(python), "-m", "codecarbon.cli.main", "monitor", "--offline", "--country-iso-code", "FRA", "--"]
        script = python.with_name("codecarbon")
        if script.exists():
            monitor[:3] = [str(script)]
        tools.append(
            Tool(
                "codecarbon",
                lambda hz, seconds: [str(python), str(HERE / "codecarbon_loop.py"), str(hz), str(seconds)],
                lambda cmd: [*monitor, *cmd],
                package_version(python, "codecarbon"),
            )
        )
    else:
        results.absent["codecarbon"] = "its Python environment is not installed"
    python_zeus = peers / "zeus" / "bin" / "python"
    if python_zeus.exists():
        # It samples only GPUs and RAPL counters, so there is no rate to ask for on a machine without either.
        run_zeus = [str(python_zeus), str(HERE / "zeus_run.py")]
        tools.append(Tool("zeus", None, lambda cmd: [*run_zeus, *cmd], package_version(python_zeus, "zeus")))
    else:
        results.absent["zeus"] = "its Python environment is not installed"
    results.tools = {tool.name: tool.version for tool in tools}
    return tools


def working_tools(tools: list[Tool], environment: dict, folder: Path, results: Results) -> list[Tool]:
    """Runs each once to warm the caches, and leaves out what does not run here."""
    working = []
    for tool in tools:
        try:
            if tool.run is not None:
                processes.run_to_end(tool.run(["true"]), environment, folder)
            working.append(tool)
        except (OSError, subprocess.SubprocessError) as error:
            detail = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip().splitlines()
            results.absent[tool.name] = f"does not run here: {detail[-1] if detail else error}"
    return working


def sample_once(tool: Tool, hertz: float, seconds: float, environment: dict, folder: Path) -> Sampling:
    """Looks at the running meter twice, after it has settled and before it ends, and takes the difference."""
    settling = SETTLING_SECONDS.get(tool.name, DEFAULT_SETTLING_SECONDS)
    command = tool.sample(hertz, settling + seconds + 1.0)
    with subprocess.Popen(
        command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        time.sleep(settling)
        before = processes.usage(process.pid)
        time.sleep(seconds)
        after = processes.usage(process.pid)
        output, errors = process.communicate(timeout=120)
        if process.returncode != 0:
            last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise SystemExit(f"error: {tool.name} failed with exit code {process.returncode}: {last[0]}")
    elapsed = after.monotonic_seconds - before.monotonic_seconds
    try:
        counted = json.loads(output.splitlines()[-1])
        reached = counted["samples"] / counted["duration_seconds"]
    except (IndexError, ValueError, KeyError, TypeError):
        # A thread that samples on a schedule goes to sleep once for each sample.
        reached = (after.switches - before.switches) / elapsed
    return Sampling(
        tool=tool.name,
        hertz=hertz,
        core_percent=100.0 * (after.cpu_seconds - before.cpu_seconds) / elapsed,
        reached_hertz=reached,
        peak_rss_bytes=after.peak_rss_bytes,
    )


def measure_sampling(tools: list[Tool], arguments: argparse.Namespace, environment: dict, folder: Path) -> list:
    found = []
    samplers = [tool for tool in tools if tool.sample is not None]
    for number in range(arguments.rounds):
        for hertz in arguments.hertz:
            for tool in rotated(samplers, number):
                sampling = sample_once(tool, hertz, arguments.seconds, environment, folder)
                found.append(sampling)
                say(f"round {number + 1}: {tool.name} at {hertz:g} Hz: {sampling.core_percent:.3f} % of a core")
    return found


def rotated(tools: list[Tool], number: int) -> list[Tool]:
    """Another one first in each round, so that none always runs after the same."""
    shift = number % len(tools)
    return tools[shift:] + tools[:shift]


def measure_start(tool: Tool, stamp: Path, environment: dict, folder: Path) -> float:
    """Seconds from before the meter is started to the first line of the metered command's main."""
    stamped = folder / "stamp.txt"
    stamped.unlink(missing_ok=True)
    command = tool.run([str(stamp), str(stamped)])
    start = time.monotonic_ns()
    subprocess.run(
        command, env=environment, cwd=folder, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120
    )
    return (int(stamped.read_text()) - start) / 1e9


def measure_runs(tools: list[Tool], stamp: Path, repeats: int, environment: dict, folder: Path, results: Results):
    for number in range(repeats):
        for tool in rotated([tool for tool in tools if tool.run is not None], number):
            started = measure_start(tool, stamp, environment, folder)
            whole = processes.run_to_end(tool.run(["true"]), environment, folder)
            results.start_seconds.setdefault(tool.name, []).append(started)
            results.nothing_seconds.setdefault(tool.name, []).append(whole)
        say(f"repeat {number + 1} of {repeats}")


def describe_zeus(peers: Path, environment: dict, folder: Path) -> dict:
    python = peers / "zeus" / "bin" / "python"
    found = []
    for _ in range(3):
        result = subprocess.run(
            [python, HERE / "zeus_run.py", "--describe"],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if result.returncode != 0:
            return {"reason": (result.stderr.strip().splitlines() or ["no message"])[-1]}
        found.append(json.loads(result.stdout.splitlines()[-1]))
    middle = sorted(found, key=lambda one: one["import_seconds"])[1]
    return middle


def machine() -> dict:
    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "load_1_minute": os.getloadavg()[0],
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--joulery", type=Path, default=Path("build/bench/bin/joulery"))
    parser.add_argument("--peers", type=Path, default=Path(".deps/peers"), help="folder of the environments")
    parser.add_argument("--hertz", type=float, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--seconds", type=float, default=10.0, help="watched in each round at each rate")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=20, help="of the runs of a command that does nothing")
    parser.add_argument("--files", nargs="+", default=list(SAMPLED_FILES), help="what the bare loop reads")
    parser.add_argument("--output", type=Path, help="JSON with all raw figures")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    results = Results(machine=machine())
    # Not resolved: an environment's python is a link, and following it leaves the environment.
    joulery, peers = Path.cwd() / arguments.joulery, Path.cwd() / arguments.peers
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = processes.clean_environment(folder)
        bare_loop, stamp = compile_c("bare_loop", folder), compile_c("stamp", folder)
        tools = find_tools(joulery, peers, bare_loop, arguments.files, results)
        tools = working_tools(tools, environment, folder, results)
        for tool, reason in results.absent.items():
            say(f"left out: {tool}: {reason}")
        if any(tool.name == "zeus" for tool in tools):
            results.zeus = describe_zeus(peers, environment, folder)
        measure_runs(tools, stamp, arguments.repeats, environment, folder, results)
        results.sampling = measure_sampling(tools, arguments, environment, folder)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"schema_version": 1, **asdict(results)}, indent=2)
        arguments.output.write_text(text + "\n", encoding="utf-8")
    print(tables.markdown(results, statistics.median))
    return 0


if __name__ == "__main__":
    sys.exit(main())
