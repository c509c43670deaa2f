"""Each rule of tools/check_layers.py must catch a tree that breaks it, and leave a sound tree alone."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import check_layers

LAYERS = """
layers = [["base"], ["record", "power"], ["meter"], ["app"], ["cli"], ["main"]]
[allowed]
[only_in]
"heavy/" = ["src/power/"]
"sqlite3.h" = ["src/record/store.cpp"]
"iostream" = []
"""

SOUND = {
    "layers.toml": LAYERS,
    "src/base/CMakeLists.txt": "joulery_room(NAME base SOURCES text.cpp HEADERS text.hpp)",
    "src/base/text.hpp": "#pragma once\n",
    "src/base/text.cpp": '#include "base/text.hpp"\n',
    "src/record/CMakeLists.txt": "joulery_room(NAME record SOURCES store.cpp HEADERS store.hpp TESTS store_test.cpp)",
    "src/record/store.hpp": '#include "base/text.hpp"\n',
    "src/record/store.cpp": '#include "record/store.hpp"\n#include <sqlite3.h>\n',
    "src/record/store_test.cpp": '#include "record/store.hpp"\n#include <iostream>\nint f() { return puts("x"); }\n',
    "src/main.cpp": '#include "cli/cli.hpp"\n',
    "src/cli/CMakeLists.txt": "joulery_room(NAME cli NOT_IN_CORE HEADERS cli.hpp)",
    "src/cli/cli.hpp": '#include "record/store.hpp"\n#include <cstdio>\ninline void f() { std::puts("x"); }\n',
    "plugins/systemd/scope.cpp": '#include "record/store.hpp"\n#include "scope.hpp"\n',
    "plugins/systemd/scope.hpp": "#pragma once\n",
}


class CheckLayers(unittest.TestCase):
    def problems(self, changes: dict[str, str | None]) -> list[str]:
        """What is found in the sound tree with these files changed (None: left out)."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in (SOUND | changes).items():
                if text is not None:
                    (root / name).parent.mkdir(parents=True, exist_ok=True)
                    (root / name).write_text(text, encoding="utf-8")
            return check_layers.check(root)

    def assert_only(self, problems: list[str], *parts: str) -> None:
        self.assertEqual(len(problems), 1, problems)
        for part in parts:
            self.assertIn(part, problems[0])

    def test_a_sound_tree_has_no_problem(self):
        self.assertEqual(self.problems({}), [])

    def test_an_arrow_upwards(self):
        problems = self.problems({"src/base/text.cpp": '\n#include "record/store.hpp"\n'})
        self.assert_only(problems, "src/base/text.cpp:2", "base includes record/store.hpp", "higher layer")

    def test_an_arrow_within_a_layer(self):
        problems = self.problems(
            {
                "src/power/CMakeLists.txt": "joulery_room(NAME power SOURCES probe.cpp)",
                "src/power/probe.cpp": '#include "record/store.hpp"\n',
            }
        )
        self.assert_only(problems, "power includes record/store.hpp", "on one layer")

    def test_an_arrow_in_a_test_of_the_room(self):
        problems = self.problems({"src/record/store_test.cpp": '#include "meter/session.hpp"\n'})
        self.assert_only(problems, "record includes meter/session.hpp")

    def test_a_plugin_may_not_include_the_command_line(self):
        problems = self.problems({"plugins/systemd/scope.cpp": '#include "cli/cli.hpp"\n'})
        self.assert_only(problems, "plugins/systemd/scope.cpp:1", "app includes cli/cli.hpp")

    def test_a_declared_arrow(self):
        declared = LAYERS.replace("[allowed]", '[allowed]\n"power -> record" = "it is told to"')
        arrow = {"layers.toml": declared, "src/power/probe.cpp": '#include "record/store.hpp"\n'}
        self.assertEqual(self.problems(arrow), [])
        self.assert_only(self.problems({"layers.toml": declared}), "power -> record", "used by nothing")

    def test_a_declared_arrow_that_is_no_exception(self):
        declared = LAYERS.replace("[allowed]", '[allowed]\n"record -> base" = "because"')
        self.assert_only(self.problems({"layers.toml": declared}), "record -> base", "without it")

    def test_a_declared_arrow_without_a_reason_or_a_room(self):
        for arrow in ('"power -> record" = ""', '"power -> cellar" = "why"', '"power record" = "why"'):
            declared = LAYERS.replace("[allowed]", f"[allowed]\n{arrow}")
            self.assert_only(self.problems({"layers.toml": declared}), "[allowed]")

    def test_a_restricted_header(self):
        for header in ("heavy/a.hpp", "sqlite3.h", "iostream"):
            problems = self.problems({"src/base/text.cpp": f"#include <{header}>\n"})
            self.assert_only(problems, "src/base/text.cpp:1", header, "[only_in]")

    def test_a_header_with_a_longer_name_is_not_restricted(self):
        self.assertEqual(self.problems({"src/base/text.cpp": "#include <iostream_like>\n"}), [])

    def test_an_include_in_a_comment_is_none(self):
        text = '// #include "record/store.hpp"\n/*\n#include "record/store.hpp"\n*/\n'
        self.assertEqual(self.problems({"src/base/text.cpp": text}), [])

    def test_a_file_in_no_room(self):
        self.assert_only(self.problems({"src/stray.cpp": "\n"}), "src/stray.cpp", "no room")

    def test_a_room_that_is_not_declared(self):
        problems = self.problems({"src/cellar/box.cpp": "\n", "src/cli/cli.hpp": '#include "cellar/box.hpp"\n'})
        self.assertEqual(len(problems), 2, problems)
        self.assertTrue(all("cellar" in problem for problem in problems))

    def test_a_header_that_no_target_owns(self):
        problems = self.problems({"src/record/sqlite/statement.hpp": "#pragma once\n"})
        self.assert_only(problems, "src/record/sqlite/statement.hpp", "HEADERS")
        commented = {"src/base/CMakeLists.txt": "joulery_room(NAME base SOURCES text.cpp) # text.hpp"}
        self.assert_only(self.problems(commented), "src/base/text.hpp")

    def test_an_owned_header_that_is_gone(self):
        self.assert_only(self.problems({"src/record/store.hpp": None}), "names store.hpp")

    def test_a_path_from_the_same_folder(self):
        self.assert_only(self.problems({"src/base/text.cpp": '#include "text.hpp"\n'}), '"base/text.hpp"')

    def test_reading_the_environment(self):
        for code in (
            'std::getenv("HOME")',
            "secure_getenv(name)",
            "extern char** environ;",
            'setenv("A", "b", 1)',
        ):
            self.assert_only(self.problems({"src/record/store.cpp": code}), "environment")
        self.assertEqual(self.problems({"src/app/wiring.cpp": 'getenv("HOME");'}), [])

    def test_printing_and_exiting(self):
        codes = (
            "std::cout << 1;",
            "std::cerr << 1;",
            'printf("x");',
            "std::fprintf(stderr, x);",
            'fputs("x", stdout);',
            'puts ("x");',
            'fmt::print("x");',
            "std::exit(1);",
            "exit (1);",
        )
        for code in codes:
            for file in ("src/record/store.cpp", "src/app/wiring.cpp", "plugins/systemd/scope.cpp"):
                self.assert_only(self.problems({file: code}), file, "prints or exits")

    def test_what_only_looks_like_printing(self):
        codes = (
            "std::snprintf(a, b, c);",
            'fmt::format("x");',
            "_exit(127);",
            "on_exit(f);",
            'auto hint = "printf(x), then exit(1)";',
            "// exit(1) ends it\n",
            'auto s = R"x(getenv( " exit(1))x";',
            "char c = '\"'; int i = 1'000'000;",
        )
        for code in codes:
            self.assertEqual(self.problems({"src/record/store.cpp": code}), [], code)

    def test_what_is_listed_as_a_test_is_free_but_does_not_ship(self):
        support = {
            "src/base/CMakeLists.txt": "joulery_room(NAME base SOURCES text.cpp HEADERS text.hpp\n"
            "  TESTS text_test.cpp fake_clock.cpp\n  LINKS fmt::fmt)",
            "src/base/fake_clock.hpp": "#pragma once\n",
            "src/base/fake_clock.cpp": '#include "base/fake_clock.hpp"\n#include <iostream>\nvoid f() { exit(1); }\n',
            "src/base/text_test.cpp": '#include "base/fake_clock.hpp"\n',
        }
        self.assertEqual(self.problems(support), [])
        shipped = support | {"src/base/text.cpp": '#include "base/fake_clock.hpp"\n'}
        self.assert_only(self.problems(shipped), "src/base/text.cpp:1", "does not ship")

    def test_code_after_a_string_is_still_seen(self):
        self.assert_only(self.problems({"src/base/text.cpp": "f('\"', \"'\"); exit(1);"}), "exit")

    def test_a_room_on_two_layers(self):
        doubled = LAYERS.replace('["meter"]', '["meter", "base"]')
        self.assertTrue(any("two layers" in problem for problem in self.problems({"layers.toml": doubled})))


if __name__ == "__main__":
    unittest.main()
