"""The tables of a comparison, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compare import Results

OURS = "joulery"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def ratio(value: float, ours: float | None) -> str:
    """Empty if there is nothing to compare with."""
    if not ours or ours <= 0:
        return ""
    times = value / ours
    return f"{times:,.0f}×" if times >= 10 else f"{times:.2g}×"


def sampling_table(results: Results, middle: Callable) -> str:
    rates = sorted({one.hertz for one in results.sampling})
    rows = []
    for hertz in rates:
        at_rate = [one for one in results.sampling if one.hertz == hertz]
        ours = [one.core_percent for one in at_rate if one.tool == OURS]
        for tool in dict.fromkeys(one.tool for one in at_rate):
            of_tool = [one for one in at_rate if one.tool == tool]
            percent = middle([one.core_percent for one in of_tool])
            rows.append(
                (
                    f"{hertz:g}",
                    tool,
                    f"{middle([one.reached_hertz for one in of_tool]):.4g}",
                    f"{percent:.3f}",
                    ratio(percent, middle(ours) if ours else None),
                    f"{max(one.peak_rss_bytes for one in of_tool) / 1e6:.1f}",
                )
            )
    return table(("asked, Hz", "tool", "reached, Hz", "% of a core", "against joulery", "peak RSS, MB"), rows)


def times_table(times: dict[str, list[float]], middle: Callable) -> str:
    """Milliseconds; what the bare command takes is subtracted for the tool's own part."""
    bare = middle(times.get("bare loop", [0.0]))
    ours = middle(times[OURS]) - bare if OURS in times else None
    rows = []
    for tool, values in times.items():
        own = middle(values) - bare
        name = "no meter" if tool == "bare loop" else tool
        rows.append(
            (
                name,
                f"{1e3 * middle(values):.2f}",
                f"{1e3 * min(values):.2f} to {1e3 * max(values):.2f}",
                "" if tool == "bare loop" else f"{1e3 * own:.2f}",
                "" if tool == "bare loop" else ratio(own, ours),
            )
        )
    return table(("tool", "median, ms", "range, ms", "of it the meter, ms", "against joulery"), rows)


def zeus_text(zeus: dict) -> str:
    if "import_seconds" not in zeus:
        return f"Zeus could not be asked: {zeus.get('reason', 'not installed')}."
    sensors = f"{zeus['gpus']} GPUs and {zeus['cpu_packages']} CPU packages with a counter"
    measures = "" if zeus["gpus"] or zeus["cpu_packages"] else ", so it measures no energy on this machine"
    reason = f" ({zeus['reason']})" if zeus["reason"] else ""
    return (
        f"Zeus found {sensors}{measures}{reason}. Importing it takes {zeus['import_seconds']:.2f} s, "
        f"making a monitor {1e3 * zeus['start_seconds']:.0f} ms."
    )


def markdown(results: Results, middle: Callable) -> str:
    machine = results.machine
    versions = ", ".join(f"{tool} {version}".strip() for tool, version in results.tools.items())
    parts = [
        f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, load {machine['load_1_minute']:.2f} "
        f"at the start. {versions}. Medians; all interleaved in one run.",
        "**Sampling: share of one core, while the workload sleeps**",
        sampling_table(results, middle),
        "**From start to the first line of the command's main**",
        times_table(results.start_seconds, middle),
        "**A command that does nothing, from start to end**",
        times_table(results.nothing_seconds, middle),
        zeus_text(results.zeus) if results.zeus else "",
        "\n".join(f"Left out: {tool}: {reason}." for tool, reason in results.absent.items()),
    ]
    return "\n\n".join(part for part in parts if part)
