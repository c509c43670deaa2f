"""Makes an npz of what magika's model sees of files: some of their first and last bytes.

    python features.py FOLDER… --output files.npz
    python features.py FOLDER… --output files.npz --labelled --class-names kinds.txt

magika (`pip install magika`) tells what kind a file is with a small neural network. Its configuration says
which bytes it is given; this program needs no more than that and NumPy.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import shutil
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Endings that leave no doubt, and the kinds that magika's model calls them.
KIND_OF_ENDING = {
    ".bib": "bib",
    ".bmp": "bmp",
    ".c": "c",
    ".cpp": "cpp",
    ".css": "css",
    ".csv": "csv",
    ".deb": "deb",
    ".eml": "eml",
    ".gif": "gif",
    ".gz": "gzip",
    ".html": "html",
    ".ini": "ini",
    ".ipynb": "ipynb",
    ".java": "java",
    ".jpg": "jpeg",
    ".js": "javascript",
    ".json": "json",
    ".lua": "lua",
    ".md": "markdown",
    ".mp3": "mp3",
    ".npy": "npy",
    ".npz": "npz",
    ".onnx": "onnx",
    ".parquet": "parquet",
    ".pdf": "pdf",
    ".png": "png",
    ".proto": "proto",
    ".ps1": "powershell",
    ".py": "python",
    ".pyc": "pythonbytecode",
    ".rb": "ruby",
    ".rst": "rst",
    ".sh": "shell",
    ".so": "elf",
    ".sql": "sql",
    ".svg": "svg",
    ".tif": "tiff",
    ".toml": "toml",
    ".ttf": "ttf",
    ".wav": "wav",
    ".xml": "xml",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".zip": "zip",
}


@dataclass(frozen=True)
class Settings:
    """What the model's configuration says of its input."""

    first: int
    last: int
    block: int
    padding: int
    least: int
    kinds: list[str]


def model_folder() -> Path:
    """Where the installed package keeps its model; nothing of the package is imported."""
    package = importlib.util.find_spec("magika")
    if package is None:
        sys.exit("error: magika is not installed\nhint: pip install --no-deps magika")
    return Path(package.origin).parent / "models/standard_v3_3"


def read_settings(folder: Path) -> Settings:
    text = json.loads((folder / "config.min.json").read_text())
    if text["mid_size"] or text["use_inputs_at_offsets"]:
        sys.exit(f"error: {folder}: this model is given bytes of the middle too, which is not known here")
    return Settings(
        first=text["beg_size"],
        last=text["end_size"],
        block=text["block_size"],
        padding=text["padding_token"],
        least=text["min_file_size_for_dl"],
        kinds=text["target_labels_space"],
    )


def features(path: Path, settings: Settings) -> np.ndarray | None:
    """The model's input for one file, [first + last] of int32; None for a file with too little in it to tell.

    The first bytes after leading white space, filled up behind, and the last ones before trailing white space, filled
    up in front. White space is looked for in a block at either end only, however large the file is.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(settings.block).lstrip()[: settings.first]
        file.seek(max(0, size - settings.block))
        tail = file.read(settings.block).rstrip()[-settings.last :]
    if len(head) < settings.least:
        return None
    row = np.full(settings.first + settings.last, settings.padding, np.int32)
    row[: len(head)] = np.frombuffer(head, np.uint8)
    row[len(row) - len(tail) :] = np.frombuffer(tail, np.uint8)
    return row


def files_below(folders: list[Path]) -> list[Path]:
    """Regular files, each once, in an order that does not depend on the file system."""
    found = set()
    for folder in folders:
        if folder.is_file():
            found.add(folder.resolve())
        for place, _, names in os.walk(folder):
            paths = (Path(place, name) for name in names)
            found.update(path.resolve() for path in paths if path.is_file() and not path.is_symlink())
    return sorted(found)


def chosen(paths: list[Path], limit: int, seed: int) -> list[Path]:
    """At most `limit` of each ending: else most of what a machine holds would be of two or three kinds."""
    by_ending = defaultdict(list)
    for path in paths:
        by_ending[path.suffix.lower()].append(path)
    generator = random.Random(seed)
    kept = []
    for _, same in sorted(by_ending.items()):
        kept += sorted(generator.sample(same, min(limit, len(same))))
    return kept


def write_features(arguments: argparse.Namespace) -> None:
    settings = read_settings(arguments.model)
    paths = files_below(arguments.folders)
    if arguments.labelled:
        paths = [path for path in paths if path.suffix.lower() in KIND_OF_ENDING]
    rows, kinds, folders, too_short = [], [], [], 0
    for path in chosen(paths, arguments.limit, arguments.seed):
        try:
            row = features(path, settings)
        except OSError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        if row is None:
            too_short += 1
            continue
        rows.append(row)
        kinds.append(KIND_OF_ENDING.get(path.suffix.lower(), ""))
        folders.append(str(path.parent))
    if not rows:
        sys.exit("error: none of the files can be used\nhint: name folders with more files, or leave --labelled out")
    # Files of one folder are often alike: they are no independent samples.
    columns = {"bytes": np.stack(rows), "folder": np.array(folders)}
    if arguments.labelled:
        columns["y"] = np.array(kinds)
    np.savez_compressed(arguments.output, **columns)
    print(
        f"{len(rows)} files of {len(set(kinds) - {''})} known kinds; {too_short} with less than {settings.least} bytes"
    )
    if arguments.copy_model:
        shutil.copyfile(arguments.model / "model.onnx", arguments.copy_model)
    if arguments.class_names:
        arguments.class_names.write_text("".join(f"{kind}\n" for kind in settings.kinds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--output", type=Path, required=True, help="the npz file")
    parser.add_argument("--labelled", action="store_true", help="only files whose ending tells their kind, as column y")
    parser.add_argument("--class-names", type=Path, help="write the names of the model's kinds there, one a line")
    parser.add_argument("--copy-model", type=Path, metavar="FILE", help="copy the model there")
    parser.add_argument("--limit", type=int, default=40, help="files of one ending at most (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the choice (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=None, help="folder of the model (default: the installed one)")
    arguments = parser.parse_args()
    arguments.model = arguments.model or model_folder()
    write_features(arguments)


if __name__ == "__main__":
    main()
