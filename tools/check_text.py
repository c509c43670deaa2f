#!/usr/bin/env python3
"""Fails when a tracked file holds what no file of this repository should: a path of one machine, the host of a
package registry (packages are named, the client knows where they are), or a note about work that is left."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

# Written so that no pattern matches itself here.
FORBIDDEN = (
    (re.compile(r"(?<![\w.~-])/work[/]"), "a path of one machine"),
    (
        re.compile(
            r"\bpypi\.org|\bpythonhosted\.org|\b(?:deb|security|ftp)\.debian\.org|\barchive\.ubuntu\.com"
            r"|\bregistry\.npmjs\.org|\bregistry\.yarnpkg\.com|\b(?:static\.|index\.)?crates\.io\b"
            r"|\bproxy\.golang\.org|\brepo1?\.maven\.(?:org|apache\.org)|\bconda\.anaconda\.org"
        ),
        "the host of a package registry",
    ),
    (re.compile(r"\b(?:TO[D]O|FIX[M]E)\b"), "a note about work that is left: do it, or open an issue"),
)
SKIPPED_FOLDERS = {".git", ".deps", "build", "__pycache__", ".ruff_cache", ".pytest_cache", "node_modules"}


def tracked_files(root: Path) -> list[Path]:
    """What git tracks; without git (in an unpacked archive) all files that are not built."""
    try:
        listed = subprocess.run(
            [
                "git",
                "-c",
                f"safe.directory={root}",
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ],
            cwd=root,
            check=True,
            capture_output=True,
        ).stdout
        return [root / name for name in listed.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        return [
            path
            for path in root.rglob("*")
            if path.is_file() and not SKIPPED_FOLDERS.intersection(path.relative_to(root).parts)
        ]


def check_text(text: str) -> list[tuple[int, str, str]]:
    """(line, what was found, what it is) for each forbidden thing."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, meaning in FORBIDDEN:
            match = pattern.search(line)
            if match:
                found.append((number, match[0], meaning))
    return found


def check(root: Path) -> tuple[int, list[str]]:
    """How many files were read, and the problems."""
    problems, count = [], 0
    for path in sorted(tracked_files(root)):
        if not path.is_file():
            continue
        data = path.read_bytes()
        count += 1
        if b"\0" in data:
            continue
        relative = path.relative_to(root)
        for line, text, meaning in check_text(data.decode("utf-8", errors="replace")):
            problems.append(f"{relative}:{line}: {text}: {meaning}")
    return count, problems


def main() -> int:
    parser = argparse.ArgumentParser(description="Fails on text that no tracked file should hold.")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    count, problems = check(parser.parse_args().root.resolve())
    for problem in problems:
        print(problem)
    print(f"{count} files read, {len(problems)} problems")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    sys.exit(main())
