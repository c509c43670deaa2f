"""What a process and all below it use, read from outside and without disturbing them."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

# clock_getcpuclockid(3): the clock of another process is made of its id. It counts nanoseconds and, unlike the sum
# over /proc/PID/task, includes threads that have ended.
CPUCLOCK_SCHED = 2


@dataclass(frozen=True)
class Usage:
    monotonic_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    switches: int


def cpu_seconds(process: int) -> float:
    try:
        return time.clock_gettime((~process << 3) | CPUCLOCK_SCHED)
    except OSError:
        return 0.0


def children(process: int) -> list[int]:
    found = []
    for listing in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found.extend(int(child) for child in listing.read_text().split())
        except OSError:
            continue
    return found


def tree(process: int) -> list[int]:
    """The process and its descendants."""
    found = [process]
    for one in found:
        found.extend(children(one))
    return found


def status_number(path: Path, key: str) -> int:
    try:
        for line in path.read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def voluntary_switches(process: int) -> int:
    """Of the thread that went to sleep most often: in a meter, the one that samples."""
    tasks = Path(f"/proc/{process}/task").glob("*/status")
    return max((status_number(path, "voluntary_ctxt_switches") for path in tasks), default=0)


def peak_memory(process: int) -> int:
    """Bytes. The kernel counts in batches, so the peak of a small process may lag behind what it has now."""
    folder = Path(f"/proc/{process}")
    peak = status_number(folder / "status", "VmHWM")
    return 1024 * max(peak, status_number(folder / "smaps_rollup", "Rss"))


def usage(process: int) -> Usage:
    """Of the whole tree, but the memory is the process' own."""
    members = tree(process)
    return Usage(
        monotonic_seconds=time.monotonic(),
        cpu_seconds=sum(cpu_seconds(member) for member in members),
        peak_rss_bytes=peak_memory(process),
        switches=max(voluntary_switches(member) for member in members),
    )


def run_to_end(command: list[str], environment: dict[str, str], folder: Path) -> float:
    """Seconds from start to end. Raises if the command fails."""
    start = time.perf_counter()
    subprocess.run(
        command, env=environment, cwd=folder, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120
    )
    return time.perf_counter() - start


def clean_environment(home: Path) -> dict[str, str]:
    """Nobody's settings or store are read or written, and nobody calls home."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "TZ") if key in os.environ}
    return kept | {
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "NO_COLOR": "1",
        "CODECARBON_SAVE_TO_API": "false",
        "CODECARBON_ALLOW_MULTIPLE_RUNS": "true",
    }
