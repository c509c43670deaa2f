"""The page of `joulery report`: what it says, that it needs nothing else, and how it looks in a browser."""

import html.parser
import itertools
import json
import re
import signal
import sqlite3
import sys
import time

import pytest
from browser import browser  # noqa: F401
from conftest import check_schema

BUSY = (sys.executable, "-c", "sum(range(6_000_000))")
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(html.parser.HTMLParser):
    """Elements with their attributes, text, figures, and whether every element is closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements = []
        self.figures = {}
        self.words = ""
        self.open = []
        self.unbalanced = []
        self.feed(text)
        self.close()
        self.unbalanced += self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        if tag == "data":
            self.figures[attributes["data-figure"]] = float(attributes["value"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def check_page(path):
    """A page of ours that needs nothing else and runs nothing; its elements, words and figures."""
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert not page.unbalanced
    assert not page.all("script") and not page.all("link") and not page.all("img") and not page.all("iframe")
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on") and name not in ("src", "srcset"), (tag, name)
            if name == "href":
                assert value.startswith("#")
    assert "url(" not in text and "@import" not in text
    policy = [each for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy and policy[0]["content"].startswith("default-src 'none'")
    levels = [int(tag[1]) for tag, _ in page.elements if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit()]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert page.all("html")[0]["lang"] == "en"
    assert all("scope" in each for each in page.all("th"))
    for each in page.all("svg"):
        assert each.get("role") == "img" or each.get("aria-hidden") == "true"
    return page


def report(joulery, *runs, **options):
    path = joulery.home / "report.html"
    joulery("report", *runs, "--html", path, **options)
    return check_page(path)


def test_the_page_says_what_show_says(joulery):
    joulery("run", "--zone", "FR", "--price", "0.25 EUR", "--name", "job", "--", *BUSY)
    page = report(joulery)
    document = joulery.json("show", schema="show")["evidence"][0]["content"]
    for key in ("energy_joules", "carbon_gco2e", "cost", "embodied_gco2e", "water_litres"):
        assert page.figures[key] == document[key]["value"], key
    for key in ("duration_seconds", "cpu_seconds"):
        assert page.figures[key] == document[key], key
    for question in ("What did it cost?", "How sure is that?", "What should I do?"):
        assert question in page.words
    assert document["energy_joules"]["provenance"] in page.words
    for derivation in document["derivations"]:
        assert derivation["words"] in page.words
    assert "The chart as a table" in page.words


def test_the_same_as_data(joulery):
    joulery("run", "--name", "job", "--", *BUSY)
    document = joulery.json("report", schema="report")
    (run,) = document["runs"]
    shown = joulery.json("show", "--power", schema="show")
    content = shown["evidence"][0]["content"]
    assert run["energy_joules"] == content["energy_joules"]
    assert abs(sum(part["share"] for part in run["machine_parts"]) - 1) < 1e-9
    kinds = [line["kind"] for line in run["power"]]
    assert kinds.count("machine") == 1
    stored = {series["device_id"]: sum(s["energy_joules"] for s in series["samples"]) for series in shown["power"]}
    workload = [line for line in run["power"] if line["kind"] == "workload"]
    for line in workload:
        assert any(abs(line["energy_joules"] - joules) < 1e-9 for joules in stored.values())
    assert all(advice["title"] and advice["effect"] and advice["text"] for advice in run["advice"])
    saved = [advice for advice in run["advice"] if advice["kind"] == "saves"]
    assert run["advice"][: len(saved)] == saved


def test_hostile_names_stay_text(joulery):
    bad = "</title></style><script>alert(1)</script>\"'><svg onload=alert(2)> \u202e"
    joulery("run", "--name", bad, "--tag", f"note={bad}", "--", sys.executable, "-c", "pass", bad)
    page = report(joulery)
    assert "<script>alert(1)</script>" in page.words
    assert "<U+202E>" in page.words


def test_a_run_that_failed(joulery):
    joulery("run", "--", sys.executable, "-c", "raise SystemExit(3)", code=3)
    page = report(joulery)
    assert "failed with exit code 3" in page.words
    assert "energy_joules" in page.figures or "energy is unknown" in page.words


def test_a_run_that_a_signal_ended(joulery):
    joulery("run", "--", "sh", "-c", "kill -9 $$", code=128 + 9)
    assert "ended by signal 9" in report(joulery).words


def test_a_run_whose_meter_was_killed(joulery):
    process = joulery.start("run", "--name", "cut", "--", "sleep", "60")
    time.sleep(1.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    page = report(joulery)
    assert "its meter was killed" in page.words
    assert "How energy, carbon and the rest came about was not kept" in page.words


def test_a_run_that_took_no_time(joulery):
    joulery("run", "--", "true")
    page = report(joulery)
    assert "nan" not in page.words.lower().split() and "inf" not in page.words.split()


def test_a_run_without_samples_and_one_with_damaged_samples(joulery):
    joulery("run", "--", *BUSY)
    store = joulery.home / ".local/share/joulery/joulery.db"
    with sqlite3.connect(store) as database:
        database.execute("UPDATE power_blocks SET samples = x'0011'")
    assert "power over time can't be read" in report(joulery).words
    with sqlite3.connect(store) as database:
        database.execute("DELETE FROM power_blocks")
    assert "there is no power over time" in report(joulery).words


def test_an_imported_run(joulery):
    source = joulery.home / "emissions.csv"
    source.write_text(
        "timestamp,project_name,run_id,duration,emissions,energy_consumed\n"
        "2025-01-02T03:04:05,old,3f1c,120.5,0.0021,0.0123\n"
    )
    joulery("import", source)
    page = report(joulery)
    assert "CodeCarbon" in page.words
    assert abs(page.figures["energy_joules"] - 0.0123 * 3.6e6) < 1e-6
    assert "no range is known" in page.words


def test_runs_side_by_side(joulery):
    joulery("run", "--name", "one", "--", *BUSY)
    joulery("run", "--name", "two", "--", sys.executable, "-c", "pass")
    page = report(joulery, "one", "two")
    assert "The runs side by side" in page.words
    assert "A (“one”) against B (“two”)" in page.words
    targets = {attributes.get("id") for _, attributes in page.elements}
    assert {each["href"][1:] for each in page.all("a")} <= targets


def test_a_series_by_its_id(joulery):
    document = joulery.run(sys.executable, "-c", "pass", flags=("--repeat", "3"))
    page = report(joulery, document["series_id"])
    assert "What 3 runs cost" in page.words
    assert "The series as a whole" in page.words


def test_the_score_of_sci_for_ai_is_seen_wherever_figures_are(joulery):
    said = joulery("run", "--sci-ai", "consumer", "--per", "100 tokens", "--", *BUSY).stderr
    assert re.search(r"SCI for AI +[\d.]+ \wg +assumed +[\d.]+ \wg to [\d.]+ \wg, .*consumer score", said)
    assert "operation and monitoring" in said
    assert "SCI for AI" in joulery("show").stdout
    why = joulery("show", "--why", "last", "sci").stdout
    assert re.search(r"SCI for AI, consumer score: \S+ g per token \(\S+ to \S+\), assumed", why)
    assert "energy of the run's share" in why and "what is reserved" not in why
    page = report(joulery)
    assert "SCI for AI, consumer score" in page.words and "per token: operation and monitoring" in page.words
    joulery("run", "--reserved", "--", *BUSY)
    assert "energy of what is reserved" in joulery("show", "--why", "last", "sci").stdout
    assert "SCI for AI" not in joulery("show").stdout and "SCI for AI" not in report(joulery).words


def test_numbers_of_things_read_as_they_are_said(joulery):
    said = joulery("run", "--per", "1 images", "--", *BUSY).stderr
    assert "of 1 image;" in said and "of 1 image" in report(joulery).words
    assert "of 1000 units;" in joulery("run", "--per", "1000", "--", *BUSY).stderr
    joulery("run", "--per", "6 matmuls", "--", *BUSY)
    page = report(joulery)
    assert "one of 6 matmuls" in page.words
    shares = re.findall(r"\. (?:The run at work|Its share|Other programs|Idle)[^%]*?(\d+) %", page.words)
    if shares:
        assert sum(map(int, shares[:4])) == 100


def test_a_series_by_its_name(joulery):
    joulery("run", "--name", "old", "--repeat", "3", "--", "true")
    joulery("run", "--name", "new", "--repeat", "2", "--", "true")
    assert "What 3 runs cost" in report(joulery, "old").words
    assert "What 5 runs cost" in report(joulery, "old", "new").words
    joulery("run", "--name", "old", "--", "true")
    said = joulery("report", "old", "--html", "-", code=2).stderr
    assert "more than one run is named 'old'" in said and "joulery runs \"run_name = 'old'\"" in said


def test_where_the_page_goes(joulery):
    joulery("run", "--", "true")
    assert joulery("report", "--html", "-").stdout.startswith("<!DOCTYPE html>")
    result = joulery("report", "--html", joulery.home, code=2)
    assert "is a folder" in result.stderr and "report.html" in result.stderr
    result = joulery("report", code=2)
    assert "hint: joulery report --html report.html" in result.stderr
    result = joulery("report", "--html", joulery.home / "none/there.html", code=2)
    assert "there is no folder" in result.stderr and "mkdir -p" in result.stderr
    # As for every file that we write.
    for words in (("run", "-o"), ("export", "-o")):
        tail = ("--", "true") if words[0] == "run" else ()
        assert "mkdir -p" in joulery(*words, joulery.home / "none/there", *tail, code=2).stderr
    # What was there stays if the new page can't be made.
    page = joulery.home / "kept.html"
    page.write_text("old")
    joulery("report", "nothing-of-that-name", "--html", page, code=2)
    assert page.read_text() == "old"


def test_an_unknown_run_is_the_error_of_show(joulery):
    joulery("run", "--name", "job", "--", "true")
    shown = joulery("show", "jbo", code=2).stderr
    assert joulery("report", "jbo", "--html", "-", code=2).stderr == shown


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Pages of an ordinary run, and of all sorts of runs together."""
    from conftest import Joulery

    home = tmp_path_factory.mktemp("pages")
    joulery = Joulery(home)
    long = "unbroken" * 30
    joulery("run", "--zone", "FR", "--price", "0.25 EUR", "--name", "job", "--per", "10 images", "--", *BUSY)
    joulery("report", "--html", home / "one.html")
    joulery("run", "--name", "failed", "--", sys.executable, "-c", "raise SystemExit(3)", code=3)
    joulery("run", "--name", long, "--tag", f"{long}={long}", "--", sys.executable, "-c", "pass", long)
    joulery("report", "job", "failed", "last", "--html", home / "many.html")
    check_schema(json.loads(joulery("report", "job", "failed", "--json").stdout), "report")
    return [home / "one.html", home / "many.html"]


# Of every element with text of its own: contrast by WCAG 2 against the nearest background that is painted.
CONTRAST = """
(() => {
  const rgba = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const part = v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = c => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
  const behind = e => { for (; e; e = e.parentElement) {
    const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > 0) return c; } return [255, 255, 255, 1]; };
  const poor = [];
  for (const e of document.body.querySelectorAll('*')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || e.closest('svg')) continue;
    const a = light(rgba(getComputedStyle(e).color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(e.className + ' ' + e.textContent.slice(0, 30) + ' ' + ratio.toFixed(2));
  }
  return poor;
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser(browser, pages, width, scheme):  # noqa: F811
    for path in pages:
        browser.show(path, width, scheme)
        browser.ask("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert browser.ask("document.scrollingElement.scrollWidth") <= width
        assert browser.complaints == []
        assert browser.requests == [path.as_uri()]
        assert browser.ask(CONTRAST) == []
        # The chart is there, and as wide as its place.
        assert browser.ask("document.querySelector('.plot svg').getBoundingClientRect().width") > width / 2


def test_on_paper(browser, pages):  # noqa: F811
    for path in pages:
        browser.show(path, 794, "dark", media="print")
        assert browser.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert browser.ask(CONTRAST) == []
        # What is folded on the screen is not lost.
        assert browser.ask("document.querySelector('details table').getBoundingClientRect().height") > 20
