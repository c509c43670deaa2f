#!/usr/bin/env python3
"""joulery bench beside other benchmarks on one small network, interleaved: another one first in each round.

Each tool runs twice a round, for a short and a long time. CPU-seconds per inference are measured from outside in the
same way for all: the CPU time of the tool and all its children, long run less short run, over the difference in calls.
What a tool does once then drops out. Prints Markdown to stdout and progress to stderr; --output writes the raw figures.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass
class Said:
    """What a tool says in the end."""

    calls: int
    latency_seconds: float
    cpu_seconds: float | None = None
    energy_joules: float | None = None
    energy_words: str = "nothing"


@dataclass
class Tool:
    name: str
    """Whose time the ratios are over: tools of one engine with the same settings are compared."""
    baseline: str
    command: Callable[[float, Path], list[str]]
    read: Callable[[str, Path], Said]


@dataclass
class Figures:
    latency_seconds: list[float] = field(default_factory=list)
    cpu_outside_seconds: list[float] = field(default_factory=list)
    cpu_said_seconds: list[float] = field(default_factory=list)
    answer_seconds: list[float] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    energy: str = "nothing"


def joulery_tool(name: str, baseline: str, binary: str, model: Path, engine: str) -> Tool:
    def command(seconds: float, scratch: Path) -> list[str]:
        return [binary, "bench", str(model), "--engine", engine, "--budget", f"{seconds}s", "--target", "0.01%",
                "--output", str(scratch / "joulery.json"), "--json"]  # fmt: skip

    def read(_: str, scratch: Path) -> Said:
        document = json.loads((scratch / "joulery.json").read_text())
        energy = document["energy_per_inference_joules"]
        words = "nothing"
        if energy:
            words = f"{energy['value']:.2g} J ({energy['low']:.2g} to {energy['high']:.2g}), {energy['provenance']}"
        return Said(
            document["calls"],
            document["wall_seconds_per_inference"]["value"],
            document["cpu_seconds_per_inference"]["value"],
            energy and energy["value"],
            words,
        )

    return Tool(name, baseline, command, read)


def loop_tool(name: str, baseline: str, python: str, model: Path, settings: str) -> Tool:
    def command(seconds: float, _: Path) -> list[str]:
        return [python, str(HERE / "onnxruntime_loop.py"), str(model), str(seconds), settings]

    def read(out: str, _: Path) -> Said:
        document = json.loads(out)
        return Said(document["calls"], document["mean"])

    return Tool(name, baseline, command, read)


def openvino_tool(name: str, baseline: str, python: str, model: Path, options: list[str]) -> Tool:
    start = "from openvino.tools.benchmark.main import main; main()"

    def command(seconds: float, _: Path) -> list[str]:
        # Whole seconds only.
        return [python, "-c", start, "-m", str(model), "-d", "CPU", "-t", str(max(1, round(seconds))), *options]

    def read(out: str, _: Path) -> Said:
        calls = int(re.search(r"Count:\s+(\d+) iterations", out)[1])
        mean, unit = re.search(r"Average:\s+([\d.]+) (\w+)", out).groups()
        return Said(calls, float(mean) * UNITS[unit])

    return Tool(name, baseline, command, read)


def optimum_tool(name: str, baseline: str, python: str, folder: Path, energy: str, settings: str) -> Tool:
    def command(seconds: float, _: Path) -> list[str]:
        return [python, str(HERE / "optimum_run.py"), str(folder), str(seconds), energy, settings]

    def read(out: str, _: Path) -> Said:
        forward = json.loads(out)["forward"]
        told = forward["energy"]
        joules = told and told["total"] * 3.6e6
        words = f"{joules:.2g} J of the machine, as one number" if told else "nothing (not asked)"
        return Said(forward["latency"]["count"], forward["latency"]["mean"], None, joules, words)

    return Tool(name, baseline, command, read)


def tools_of(arguments: argparse.Namespace, network: Path) -> list[Tool]:
    model = network / "model.onnx"
    python = arguments.python
    one_thread = ["-hint", "none", "-nstreams", "1", "-nthreads", "1", "-api", "sync", "-infer_precision", "f32"]
    tools = [
        joulery_tool("joulery, ONNX Runtime", "loop, tuned", arguments.joulery, model, "onnxruntime"),
        loop_tool("loop, tuned", "loop, tuned", python, model, "tuned"),
        loop_tool("loop, defaults", "loop, tuned", python, model, "default"),
        joulery_tool("joulery, OpenVINO", "benchmark_app, tuned", arguments.joulery, model, "openvino"),
        openvino_tool("benchmark_app, tuned", "benchmark_app, tuned", python, model, one_thread),
        openvino_tool("benchmark_app, defaults", "benchmark_app, tuned", python, model, []),
    ]
    if arguments.optimum:
        tools += [
            optimum_tool("optimum-benchmark, 1 thread", "loop, tuned", arguments.optimum, network, "no", "tuned"),
            optimum_tool("optimum-benchmark, defaults", "loop, tuned", arguments.optimum, network, "no", "default"),
            optimum_tool("optimum-benchmark, energy", "loop, tuned", arguments.optimum, network, "energy", "tuned"),
        ]
    return tools


def run(tool: Tool, seconds: float, scratch: Path) -> tuple[Said, float, float]:
    """What it said, its CPU-seconds with those of its children, and its wall time."""
    environment = {
        "HOME": str(scratch), "PATH": os.environ["PATH"], "JOULERY_SPOOL": str(scratch / "spool"),
        "HF_HUB_OFFLINE": "1", "LANG": "C.UTF-8",
    }  # fmt: skip
    with (scratch / "out").open("w+") as out, (scratch / "err").open("w+") as err:
        start = time.monotonic()
        process = subprocess.Popen(
            tool.command(seconds, scratch), stdout=out, stderr=err, stdin=subprocess.DEVNULL,
            cwd=scratch, env=environment,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            raise SystemExit(f"{tool.name}: exit {process.returncode}\n{err.read()[-2000:]}")
        return tool.read(out.read(), scratch), usage.ru_utime + usage.ru_stime, wall


def measure(tools: list[Tool], arguments: argparse.Namespace, scratch: Path) -> dict[str, Figures]:
    figures = {tool.name: Figures() for tool in tools}
    for number in range(arguments.rounds):
        shift = number % len(tools)
        for tool in tools[shift:] + tools[:shift]:
            print(f"round {number + 1} of {arguments.rounds}: {tool.name}", file=sys.stderr)
            short, short_cpu, _ = run(tool, arguments.seconds / 4, scratch)
            long, long_cpu, wall = run(tool, arguments.seconds, scratch)
            found = figures[tool.name]
            found.latency_seconds.append(long.latency_seconds)
            # The calls of a pass for energy are not told.
            if long.calls > short.calls and "energy" not in tool.name:
                found.cpu_outside_seconds.append((long_cpu - short_cpu) / (long.calls - short.calls))
            if long.cpu_seconds:
                found.cpu_said_seconds.append(long.cpu_seconds)
            found.answer_seconds.append(wall)
            found.calls.append(long.calls)
            found.energy = long.energy_words
    return figures


def spread(values: list[float], form: str, factor: float = 1) -> str:
    if not values:
        return ""
    middle, low, high = (form % (factor * each) for each in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low} to {high})"


def ratios(values: list[float], others: list[float]) -> list[float]:
    return [each / other for each, other in zip(values, others, strict=True)] if len(values) == len(others) else []


def print_table(tools: list[Tool], figures: dict[str, Figures], arguments: argparse.Namespace) -> None:
    print(
        f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} CPUs, load average before"
        f" {arguments.load:.1f}; {arguments.rounds} rounds of {arguments.seconds:g} s, in turn. Median of the rounds,"
        " in brackets lowest and highest; ratios are over the baseline of the same round.\n"
    )
    columns = [
        "tool", "over", "mean latency, µs", "ratio", "calls a second", "CPU from outside, µs", "ratio",
        "CPU as it says, µs", "time to the answer, s", "energy an inference, as it says",
    ]  # fmt: skip
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for tool in tools:
        own, base = figures[tool.name], figures[tool.baseline]
        cells = [
            tool.name,
            "" if tool.name == tool.baseline else tool.baseline,
            spread(own.latency_seconds, "%.0f", 1e6),
            spread(ratios(own.latency_seconds, base.latency_seconds), "%.2f"),
            spread([calls / arguments.seconds for calls in own.calls], "%.0f"),
            spread(own.cpu_outside_seconds, "%.0f", 1e6),
            spread(ratios(own.cpu_outside_seconds, base.cpu_outside_seconds), "%.2f"),
            spread(own.cpu_said_seconds, "%.0f", 1e6),
            spread(own.answer_seconds, "%.1f"),
            own.energy,
        ]
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--joulery", default=str(PROJECT / "build/bench/bin/joulery"))
    parser.add_argument("--python", default=str(PROJECT / ".deps/venv/bin/python"), help="has onnxruntime, openvino")
    parser.add_argument(
        "--optimum", help="Python with requirements-peers-optimum.txt; without it that tool is left out"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    arguments.load = os.getloadavg()[0]
    arguments.joulery = str(Path(arguments.joulery).resolve())
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        network = scratch / "network"
        subprocess.run([arguments.python, HERE / "make_network.py", network], check=True)
        tools = tools_of(arguments, network)
        figures = measure(tools, arguments, scratch)
    print_table(tools, figures, arguments)
    if arguments.output:
        arguments.output.write_text(json.dumps({name: asdict(each) for name, each in figures.items()}, indent=2))


if __name__ == "__main__":
    main()
