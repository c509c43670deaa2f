"""The real binary, in a home of its own."""

import json
import os
import pathlib
import subprocess
import sys

import jsonschema
import pytest
from referencing import Registry, Resource

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("JOULERY_BINARY", str(PROJECT / "build/dev/bin/joulery"))


def check_schema(document, name):
    """Fails unless `document` is what docs/schemas/<name>.schema.json says."""
    folder = PROJECT / "docs/schemas"
    registry = Registry()
    for path in folder.glob("*.schema.json"):
        registry = registry.with_resource(path.name, Resource.from_contents(json.loads(path.read_text())))
    schema = json.loads((folder / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator(schema, registry=registry).validate(document)


BURN = "import time\nt = time.process_time()\nwhile time.process_time() - t < {}: pass"


def burn(seconds):
    return [sys.executable, "-c", BURN.format(seconds)]


class Joulery:
    """Runs the program with a store, a spool and settings that only this test sees."""

    def __init__(self, home):
        self.home = home
        self.binary = BINARY
        self.environment = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "JOULERY_SPOOL": str(home / "spool"),
            "LANG": "C.UTF-8",
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def start(self, *arguments, env=None, **options):
        options.setdefault("cwd", self.home)
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(
            [self.binary, *map(str, arguments)],
            env={**self.environment, **(env or {})},
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=options.pop("stderr", subprocess.PIPE),
            **options,
        )

    def __call__(self, *arguments, code=0, env=None, timeout=120, **options):
        text = options.pop("input", None)
        if text is not None:
            options["stdin"] = subprocess.PIPE
        process = self.start(*arguments, env=env, **options)
        out, err = process.communicate(text, timeout=timeout)
        result = subprocess.CompletedProcess(arguments, process.returncode, out.decode(), err.decode())
        if code is not None:
            assert result.returncode == code, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result

    def json(self, *arguments, schema, **options):
        document = json.loads(self(*arguments, "--json", **options).stdout)
        check_schema(document, schema)
        return document

    def run(self, *command, flags=(), code=0, **options):
        """Meters a command and returns its checked document."""
        output = self.home / "document.json"
        output.unlink(missing_ok=True)
        self("run", "--json", "--output", output, *flags, "--", *command, code=code, **options)
        document = json.loads(output.read_text())
        check_schema(document, "series" if "runs" in document else "run")
        return document


@pytest.fixture
def joulery(tmp_path):
    return Joulery(tmp_path)
