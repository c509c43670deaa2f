#!/usr/bin/env python3
"""Runs clang-tidy on our own source files, two at once, and remembers by content which were clean.

A file is checked again when it, a header of ours that it includes, its compile command, .clang-tidy or clang-tidy
itself has changed. Files that differ from the main branch (on the main branch: from the commit before) come first, a
changed header standing for one source file that includes it. `--minutes` starts no other file once they are over; the
changed ones are checked in any case. What is left is said, and comes in another order at the next commit, so that a
machine that forgets what was clean gets round to all.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKED_FOLDERS = ("src/", "plugins/", "fuzz/", "bench/", "tests/")
CACHE_DAYS = 60


def output_of(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def git(*arguments: str) -> list[str]:
    # A checkout that another user made is still ours to read.
    return output_of("git", "-c", f"safe.directory={ROOT}", *arguments).splitlines()


def base_commit() -> str | None:
    """The commit to compare with, or None if there is nothing older."""
    head = git("rev-parse", "HEAD")[0]
    for branch in ("origin/main", "main"):
        try:
            base = git("merge-base", "HEAD", branch)[0]
        except (subprocess.CalledProcessError, IndexError):
            continue
        if base != head:
            return base
    try:
        return git("rev-parse", "HEAD~1")[0]
    except (subprocess.CalledProcessError, IndexError):
        return None


def changed_files() -> set[str] | None:
    """Paths from the root that differ from the base, with what is not committed; None if git cannot tell."""
    try:
        base = base_commit()
        if base is None:
            return None
        changed = set(git("diff", "--name-only", base))
        changed.update(git("ls-files", "--others", "--exclude-standard"))
        return changed
    except (OSError, subprocess.CalledProcessError):
        return None


def compile_commands(build: Path) -> dict[str, dict]:
    """Source path from the root → its entry, without the generated files that only check headers."""
    entries = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        try:
            path = Path(entry["file"]).resolve().relative_to(ROOT).as_posix()
        except ValueError:
            continue
        if path.startswith(CHECKED_FOLDERS):
            entries.setdefault(path, entry)
    return entries


def included_files(build: Path) -> dict[str, set[str]]:
    """Source path → our files it was built from, as ninja noted them at the last build."""
    included: dict[str, set[str]] = {}
    current: set[str] = set()
    for line in output_of("ninja", "-C", str(build), "-t", "deps").splitlines():
        if line and not line.startswith(" "):
            current = set()
            continue
        path = Path(line.strip())
        full = (path if path.is_absolute() else build / path).resolve()
        try:
            name = full.relative_to(ROOT).as_posix()
        except ValueError:
            continue
        if not name.startswith(CHECKED_FOLDERS):
            continue
        current.add(name)
        if name.endswith((".cpp", ".c")):
            included[name] = current
    return included


def affected(changed: set[str], sources: list[str], included: dict[str, set[str]]) -> list[str]:
    """The changed sources and, for each changed header, its own source file or else the first that includes it."""
    chosen = {source for source in sources if source in changed}
    for header in sorted(path for path in changed if path.endswith((".hpp", ".h"))):
        users = [source for source in sources if header in included.get(source, ())]
        if users and not chosen.intersection(users):
            own = header.rsplit(".", 1)[0] + ".cpp"
            chosen.add(own if own in users else users[0])
    return sorted(chosen)


def first_files(sources: list[str], included: dict[str, set[str]]) -> set[str]:
    changed = changed_files()
    if changed is None:
        print("git cannot tell what has changed")
        return set()
    return set(affected(changed, sources, included))


@functools.cache
def head_commit() -> str:
    try:
        return git("rev-parse", "HEAD")[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


def shuffled(source: str) -> str:
    """A place in an order that is another one for each commit."""
    commit = head_commit()
    return hashlib.sha256(f"{commit} {source}".encode()).hexdigest()


class Cache:
    """Empty files named by the hash of all that decides the outcome; only clean outcomes are kept."""

    def __init__(self, folder: Path, build: Path, program: str) -> None:
        self._folder = folder
        self._build = build
        rules = (ROOT / ".clang-tidy").read_bytes()
        self._common = hashlib.sha256(output_of(program, "--version").encode() + rules).digest()
        folder.mkdir(parents=True, exist_ok=True)
        oldest = time.time() - CACHE_DAYS * 86400
        for entry in folder.iterdir():
            if entry.stat().st_mtime < oldest:
                entry.unlink(missing_ok=True)

    def key(self, source: str, entry: dict, included: set[str]) -> Path:
        digest = hashlib.sha256(self._common)
        # Two checkouts of the same content share what was found out.
        command = entry["command"].replace(str(self._build), "BUILD").replace(str(ROOT), "ROOT")
        digest.update(command.encode())
        for path in sorted(included | {source}):
            file = ROOT / path
            digest.update(path.encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes() if file.exists() else b"").digest())
        return self._folder / digest.hexdigest()


def default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "joulery-tidy"


def check(program: str, build: Path, source: str) -> tuple[bool, str, float]:
    start = time.monotonic()
    result = subprocess.run(
        [program, "--quiet", "-p", str(build), str(ROOT / source)], cwd=ROOT, capture_output=True, text=True
    )
    noise = re.compile(r"^\d+ warnings? (generated|treated as errors?)\.?$")
    text = "\n".join(line for line in (result.stdout + result.stderr).splitlines() if not noise.match(line.strip()))
    return result.returncode == 0, text, time.monotonic() - start


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, required=True, help="a build folder that is up to date")
    parser.add_argument("--minutes", type=float, help="after so many, check only what differs from the main branch")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--program", default="clang-tidy-19")
    parser.add_argument("--cache", type=Path, default=default_cache())
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    build = arguments.build.resolve()
    entries = compile_commands(build)
    included = included_files(build)
    sources = sorted(entries)
    cache = Cache(arguments.cache, build, arguments.program)
    keys = {source: cache.key(source, entries[source], included.get(source, set())) for source in sources}
    pending = [source for source in sources if not keys[source].exists()]
    first = first_files(sources, included)
    pending.sort(key=lambda source: (source not in first, shuffled(source)))
    print(f"{len(sources)} files, {len(sources) - len(pending)} of them known to be clean", flush=True)

    end = time.monotonic() + arguments.minutes * 60 if arguments.minutes else float("inf")

    def check_in_time(source: str) -> tuple[str, bool, str, float] | None:
        if source not in first and time.monotonic() > end:
            return None
        return (source, *check(arguments.program, build, source))

    failed = []
    left = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for number, result in enumerate(pool.map(check_in_time, pending), 1):
            if result is None:
                left += 1
                continue
            source, clean, text, seconds = result
            print(
                f"[{number}/{len(pending)}] {source} {seconds:.1f} s{'' if clean else '  NOT CLEAN'}",
                flush=True,
            )
            if clean:
                keys[source].touch()
            else:
                failed.append(source)
                print(text, flush=True)
    if left:
        print(f"\n{left} of {len(sources)} files were NOT checked: time was up; ./dev lint checks all")
    if failed:
        print(f"\n{len(failed)} files are not clean: {' '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
