#!/usr/bin/env python3
"""Fails when the code breaks what layers.toml and the architecture say.

Reads every #include of src/ and plugins/ and reports: arrows between rooms that are not declared, restricted headers
in the wrong place, rooms that are not declared, headers that no CMake target owns, declared exceptions that nothing
uses, and code that reads the environment, prints or exits where only the top rooms may. Tests may do what they like
inside a room, except include a room they could not include as part of it.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

SOURCE_SUFFIXES = (".cpp", ".hpp", ".c", ".h", ".cc", ".inc")
HEADER_SUFFIXES = (".hpp", ".h")
TEST_SUFFIXES = ("_test", "_bench", "_fuzz")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)([>"])', re.MULTILINE)
LITERAL_OR_COMMENT = re.compile(
    r'(?P<raw>R"(?P<delimiter>[^()\\\s]{0,16})\(.*?\)(?P=delimiter)")'
    r'|(?P<string>"(?:\\.|[^"\\\n])*")'
    r"|(?P<character>(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+')"
    r"|(?P<comment>//[^\n]*|/\*.*?\*/)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Invariant:
    """Code that only rooms from `lowest_room` upwards may contain."""

    lowest_room: str
    pattern: re.Pattern
    why: str


INVARIANTS = (
    Invariant(
        "app",
        re.compile(r"\b(?:secure_)?getenv\b|\b_?_?environ\b|\b(?:set|unset|put)env\b"),
        "nothing below app reads the environment; take the value as an argument",
    ),
    Invariant(
        "cli",
        re.compile(
            r"\bstd::(?:cout|cerr|clog)\b|\bfmt::print(?:ln)?\b|\bperror\s*\("
            r"|\b(?:f|v|vf|d)?printf\s*\(|\bf?puts\s*\(|\bf?putc(?:har)?\s*\(|\b(?:quick_)?exit\s*\("
        ),
        "nothing below cli prints or exits; return a value or a Status",
    ),
)


@dataclass
class Layers:
    rank: dict[str, int]
    allowed: dict[tuple[str, str], str]
    only_in: dict[str, list[str]]
    used: set[tuple[str, str]] = field(default_factory=set)
    tests: set[Path] = field(default_factory=set)

    def may_include(self, room: str, other: str) -> bool:
        if room == other or self.rank[other] < self.rank[room]:
            return True
        self.used.add((room, other))
        return (room, other) in self.allowed


def read_layers(path: Path, problems: list[str]) -> Layers:
    text = tomllib.loads(path.read_text(encoding="utf-8"))
    rank: dict[str, int] = {}
    for number, rooms in enumerate(text["layers"]):
        for room in rooms:
            if room in rank:
                problems.append(f"layers.toml: room {room} is on two layers")
            rank[room] = number
    allowed = {}
    for arrow, why in text.get("allowed", {}).items():
        room, separator, other = (part.strip() for part in arrow.partition("->"))
        if not separator or room not in rank or other not in rank:
            problems.append(f'layers.toml: [allowed] "{arrow}" is not "room -> room" with rooms that are declared')
        elif rank[other] < rank[room]:
            problems.append(f'layers.toml: [allowed] "{arrow}" is allowed without it: remove it')
        elif not str(why).strip():
            problems.append(f'layers.toml: [allowed] "{arrow}" needs a reason')
        else:
            allowed[room, other] = why
    return Layers(rank, allowed, text.get("only_in", {}))


def without(text: str, *kinds: str) -> str:
    """`text` with literals or comments of these kinds blanked, line numbers kept."""

    def blank(match: re.Match) -> str:
        return re.sub(r"[^\n]", " ", match.group()) if match.lastgroup in kinds else match.group()

    # The delimiter is a group inside `raw`, so lastgroup names the alternative.
    return LITERAL_OR_COMMENT.sub(blank, text)


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def source_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in SOURCE_SUFFIXES and path.is_file())


def listed_tests(root: Path) -> set[Path]:
    """What rooms' CMake files list under TESTS, without suffix: a header beside such a file is the tests' as well."""
    found = set()
    for listing in (root / "src").glob("*/CMakeLists.txt"):
        text = re.sub(r"#.*", "", listing.read_text(encoding="utf-8"))
        for names in re.findall(r"\bTESTS\s+([^)]*?)(?=\s[A-Z_]{4,}\b|\))", text):
            found.update((listing.parent / name).relative_to(root).with_suffix("") for name in names.split())
    return found


def is_test(relative: Path, layers: Layers) -> bool:
    return relative.stem.endswith(TEST_SUFFIXES) or relative.with_suffix("") in layers.tests


def room_of(relative: Path, layers: Layers, problems: list[str]) -> str | None:
    """The room a file of src/ or plugins/ counts to. A plug-in may use what app may."""
    if relative.parts[0] == "plugins":
        return "app"
    if relative.as_posix() == "src/main.cpp":
        return "main"
    if len(relative.parts) < 3:
        problems.append(f"{relative}: lies in no room; move it into a folder of src/")
        return None
    room = relative.parts[1]
    if room not in layers.rank:
        problems.append(f"{relative}: room {room} is on no layer; add it to layers.toml")
        return None
    return room


def check_restricted(name: str, relative: Path, line: int, layers: Layers, problems: list[str]) -> None:
    for header, places in layers.only_in.items():
        matches = name.startswith(header) if header.endswith("/") else name == header
        allowed = any(
            relative.as_posix().startswith(place) if place.endswith("/") else relative.as_posix() == place
            for place in places
        )
        if matches and not allowed:
            where = f"only {', '.join(places)} may" if places else "nothing may"
            problems.append(f"{relative}:{line}: includes {name}; {where} ([only_in] in layers.toml)")


def check_includes(root: Path, relative: Path, room: str, text: str, layers: Layers, problems: list[str]) -> None:
    # The newline keeps the pattern's line numbers; comments go, so that an example in one is no include.
    for match in INCLUDE.finditer(without(text, "comment")):
        name, quoted, line = match[1], match[2] == '"', line_of(text, match.start(1))
        if not is_test(relative, layers):
            check_restricted(name, relative, line, layers, problems)
            if quoted and Path("src", name).with_suffix("") in layers.tests:
                problems.append(f"{relative}:{line}: includes {name}, which is listed under TESTS: it does not ship")
        if not quoted:
            continue
        other = name.partition("/")[0]
        if other in layers.rank and "/" in name:
            if not layers.may_include(room, other):
                same = layers.rank[room] == layers.rank[other]
                why = "they are on one layer" if same else f"{other} is on a higher layer"
                problems.append(
                    f"{relative}:{line}: {room} includes {name}, but {why}; move what is shared down, "
                    f'or declare "{room} -> {other}" in layers.toml with the reason'
                )
        elif (root / "src" / other).is_dir() and "/" in name:
            problems.append(f"{relative}:{line}: includes {name}, whose room {other} is not in layers.toml")
        elif relative.parts[0] == "src" and (root / relative.parent / name).exists():
            full = (relative.parent / name).relative_to("src").as_posix()
            problems.append(f'{relative}:{line}: write "{full}" instead of "{name}": paths start at src/')


def check_invariants(relative: Path, room: str, text: str, layers: Layers, problems: list[str]) -> None:
    code = without(text, "raw", "string", "character", "comment")
    for invariant in INVARIANTS:
        if layers.rank[room] >= layers.rank[invariant.lowest_room]:
            continue
        for match in invariant.pattern.finditer(code):
            problems.append(f"{relative}:{line_of(code, match.start())}: {match[0].strip()}…: {invariant.why}")


def owned_headers(room_folder: Path) -> set[str]:
    """Paths from the room's folder of the headers that its CMake files name."""
    owned = set()
    for listing in room_folder.rglob("CMakeLists.txt"):
        text = re.sub(r"#.*", "", listing.read_text(encoding="utf-8"))
        for name in re.findall(r"[\w./-]+\.(?:hpp|h)\b", text):
            path = (listing.parent / name).resolve()
            if path.is_relative_to(room_folder.resolve()):
                owned.add(path.relative_to(room_folder.resolve()).as_posix())
    return owned


def check_owners(root: Path, layers: Layers, problems: list[str]) -> None:
    for room in sorted(layers.rank):
        folder = root / "src" / room
        if not (folder / "CMakeLists.txt").exists():
            continue
        owned = owned_headers(folder)
        present = {
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.suffix in HEADER_SUFFIXES and path.is_file() and not is_test(path.relative_to(root), layers)
        }
        for name in sorted(present - owned):
            problems.append(
                f"src/{room}/{name}: no target owns it; add it to HEADERS in src/{room}/CMakeLists.txt, "
                "so that it is also compiled alone"
            )
        for name in sorted(owned):
            if (folder / name).is_file():
                continue
            problems.append(f"src/{room}/CMakeLists.txt: names {name}, which does not exist")


def check(root: Path) -> list[str]:
    problems: list[str] = []
    layers = read_layers(root / "layers.toml", problems)
    layers.tests = listed_tests(root)
    for missing in {invariant.lowest_room for invariant in INVARIANTS} - layers.rank.keys():
        return [*problems, f"layers.toml: room {missing} is not declared, and the invariants need it"]
    for folder in ("src", "plugins"):
        for path in source_files(root / folder):
            relative = path.relative_to(root)
            room = room_of(relative, layers, problems)
            if room is None:
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            check_includes(root, relative, room, text, layers, problems)
            if not is_test(relative, layers):
                check_invariants(relative, room, text, layers, problems)
    check_owners(root, layers, problems)
    for room, other in sorted(layers.allowed.keys() - layers.used):
        problems.append(f'layers.toml: [allowed] "{room} -> {other}" is used by nothing: remove it')
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root.resolve()
    problems = check(root)
    for problem in problems:
        print(problem)
    count = sum(len(source_files(root / folder)) for folder in ("src", "plugins"))
    print(f"{count} files read, {len(problems)} problems")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    sys.exit(main())
