"""tools/check_text.py must find what no tracked file should hold, and nothing else."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import check_text

# Put together here, so that this file itself holds none of it.
FORBIDDEN = (
    "see /" + "work/notes.md",
    "https://" + "pypi" + ".org/simple",
    "deb http://deb." + "debian.org/debian",
    "https://registry." + "npmjs.org/x",
    "index.crates" + ".io",
    "// TO" + "DO: later",
    "# FIX" + "ME",
)
ALLOWED = (
    "network/work/x",
    "the framework/base part",
    "https://www.debian.org/doc",
    "the crates of a registry",
    "methods, todos and fixmes",
    "PyPI's packages",
)


class CheckText(unittest.TestCase):
    def test_each_forbidden_thing_is_found_in_its_line(self):
        for text in FORBIDDEN:
            found = check_text.check_text(f"first\n{text}\n")
            self.assertEqual([line for line, _, _ in found], [2], text)

    def test_what_only_looks_like_it_is_left_alone(self):
        for text in ALLOWED:
            self.assertEqual(check_text.check_text(text), [], text)

    def test_a_tree_without_git(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "build").mkdir()
            for name in ("a.md", "build/b.md"):
                (root / name).write_text(FORBIDDEN[0] + "\n", encoding="utf-8")
            (root / "c.bin").write_bytes(b"\0" + FORBIDDEN[0].encode())
            count, problems = check_text.check(root)
        self.assertEqual(count, 2)
        self.assertEqual(len(problems), 1, problems)
        self.assertTrue(problems[0].startswith("a.md:1:"), problems)


if __name__ == "__main__":
    unittest.main()
