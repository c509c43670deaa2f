"""Place, carbon, water, money, embodied share, SCI, and why."""

import hashlib
import json
import re
import sqlite3

import pytest
from conftest import PROJECT, check_schema

TRUE = ["true"]
WORK = ["sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"]


def evaluate(derivation):
    values = {factor["key"]: factor["value"] for factor in derivation["factors"]}
    total = 0
    for term in derivation["terms"]:
        product = 1
        for key in term["times"]:
            product *= values[key]
        for key in term["over"]:
            product /= values[key]
        total += product
    return total


def test_a_run_without_a_place_is_of_the_world_and_assumed(joulery):
    document = joulery.run(*WORK)
    assert document["grid"]["zone"] == "WORLD"
    kwh = document["energy_joules"]["value"] / 3.6e6
    assert document["carbon_gco2e"]["value"] == pytest.approx(kwh * 472.94)
    assert document["carbon_gco2e"]["provenance"] == "assumed"
    assert "cost" not in document
    assert document["sci"]["per"] == {"count": 1, "unit": "run"}


def test_a_place_changes_carbon_water_and_money(joulery):
    document = joulery.run(*WORK, flags=["--zone", "aws:us-east-1", "--per", "10 images"])
    kwh = document["energy_joules"]["value"] / 3.6e6
    assert document["grid"]["pue"] == 1.15
    assert document["carbon_gco2e"]["value"] == pytest.approx(kwh * 1.15 * 383.55 * 290.6 / 340.8)
    assert document["water_on_site_litres"]["value"] == pytest.approx(kwh * 0.12)
    assert document["cost"]["value"] == pytest.approx(kwh * 1.15 * 0.0813)
    assert document["currency"] == "USD"
    sci = document["sci"]["sci_gco2e"]["value"]
    assert sci == pytest.approx((document["carbon_gco2e"]["value"] + document["embodied_gco2e"]["value"]) / 10)


def test_place_from_the_environment_the_file_and_the_flag(joulery):
    (joulery.home / "joulery.toml").write_text('zone = "DE"\npue = 1.4\nprice = "0.3 EUR"\n')
    assert joulery.run(*TRUE)["grid"]["zone"] == "DEU"
    assert joulery.run(*TRUE)["grid"]["pue"] == 1.4
    assert joulery.run(*TRUE)["currency"] == "EUR"
    assert joulery.run(*TRUE, env={"JOULERY_ZONE": "SE"})["grid"]["zone"] == "SWE"
    assert joulery.run(*TRUE, env={"JOULERY_ZONE": "SE"}, flags=["--zone", "CA-QC"])["grid"]["zone"] == "CA-QC"


def test_direct_intensity_only_when_asked(joulery):
    document = joulery.run(*TRUE, flags=["--zone", "gcp:europe-west9", "--intensity", "direct"])
    assert document["grid"]["gco2e_per_kwh"] == 16.3 and document["grid"]["boundary"] == "direct"
    assert joulery.run(*TRUE, flags=["--zone", "gcp:europe-west9"])["grid"]["gco2e_per_kwh"] == 44.18
    refused = joulery("run", "--zone", "FR", "--intensity", "direct", "--", "true", code=2)
    assert "no average direct location-based intensity for France" in refused.stderr


def test_reserved_takes_the_whole_machine(joulery):
    document = joulery.run(*WORK, flags=["--zone", "FR", "--reserved"])
    assert document["sci"]["energy"] == "whole machine"
    whole = document["energy_machine_joules"]["value"] / 3.6e6 * 44.18
    assert document["sci"]["operational_gco2e"]["value"] == pytest.approx(whole)


def test_sci_for_ai_is_one_score_of_two(joulery):
    document = joulery.run(*TRUE, flags=["--sci-ai", "consumer", "--per", "500 tokens"])
    assert document["sci_ai"]["score"] == "consumer" and document["sci_ai"]["per_unit"] == "tokens"
    provider = ["--sci-ai", "provider", "--per", "2e9 training tokens"]
    assert "why this unit" in joulery("run", *provider, "--", "true", code=2).stderr
    document = joulery.run(*TRUE, flags=[*provider, "--sci-ai-note", "deduplicated, one epoch"])
    assert document["sci_ai"]["rationale"] == "deduplicated, one epoch"
    assert "needs its functional unit" in joulery("run", "--sci-ai", "consumer", "--", "true", code=2).stderr
    assert (
        "not per 'images'" in joulery("run", "--sci-ai", "provider", "--per", "3 images", "--", "true", code=2).stderr
    )


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--zone", "Germny"], "did you mean 'Germany'?"),
        (["--zone", "aws:eu-wst-3"], "did you mean 'aws:eu-west-3'?"),
        (["--pue", "0.5"], "between 1 and 5"),
        (["--pue", "-1"], "between 1 and 5"),
        (["--price", "-1 EUR"], "negative"),
        (["--price", "99 EUR"], "more than a kWh costs anywhere"),
        (["--price", "0.2"], "no currency"),
        (["--data", "/no/such/folder"], "does not exist"),
    ],
)
def test_bad_input_is_told_before_the_command_runs(joulery, flags, words):
    result = joulery("run", *flags, "--", "touch", joulery.home / "ran", code=2)
    assert words in result.stderr
    assert not (joulery.home / "ran").exists()


def test_the_summary_names_place_water_embodied_cost_and_sci(joulery):
    text = joulery("run", "--zone", "US-CA", "--price", "0.2 USD", "--", *WORK).stderr
    for words in ("California", "g/kWh lifecycle", "PUE 1", "water", "embodied", "cost", "USD", "SCI"):
        assert words in text, words


def test_the_record_has_figures_zone_and_kind(joulery):
    joulery.run(*WORK, flags=["--zone", "FR", "--price", "0.2 EUR"])
    run = joulery.json("runs", schema="runs")["runs"][0]
    for key in ("carbon_gco2e", "water_litres", "embodied_gco2e", "sci_gco2e", "cost"):
        for end in ("", "_low", "_high"):
            assert run["metrics"][f"joulery/{key}{end}"] >= 0, key
    assert run["tags"]["joulery.zone"] == "FRA"
    assert run["tags"]["joulery.intensity"] == "average lifecycle location-based"
    assert run["tags"]["joulery.currency"] == "EUR"


def test_why_computes_to_the_figure_from_what_it_prints(joulery):
    document = joulery.run(*WORK, flags=["--zone", "US-CA", "--price", "0.2 USD", "--per", "7 calls"])
    why = joulery.json("show", "--why", "last", schema="why")
    figures = {derivation["figure"]: derivation for derivation in why["derivations"]}
    assert set(figures) == {"energy", "machine", "carbon", "grid_intensity", "water", "embodied", "cost", "sci"}
    for derivation in why["derivations"]:
        assert evaluate(derivation) == pytest.approx(derivation["value"], rel=1e-9), derivation["figure"]
    for figure, value in {
        "energy": document["energy_joules"],
        "carbon": document["carbon_gco2e"],
        "water": document["water_litres"],
        "embodied": document["embodied_gco2e"],
        "cost": document["cost"],
        "sci": document["sci"]["sci_gco2e"],
    }.items():
        assert figures[figure]["value"] == pytest.approx(value["value"], rel=1e-12)
        assert figures[figure]["low"] == pytest.approx(value["low"])
    assert all(one["source"] for one in why["equivalences"])

    # The text, too: each "= a × b / c + …" line gives the number in the heading of its figure.
    text = joulery("show", "--why", "last", "carbon").stdout
    assert "Ember yearly electricity data, CC BY 4.0" in text and "2024" in text
    checked = 0
    for block in text.split("\n\n"):
        heading = re.search(r"^.+?: ([-+.e0-9]+) (?:g|J|g/kWh)\b", block)
        sums = re.findall(r"^  = (.+)$", block, re.M)
        if not heading or not sums:
            continue
        expression = sums[-1].replace("×", "*")
        assert re.fullmatch(r"[-+*/.e0-9 ]+", expression)
        assert eval(expression) == pytest.approx(float(heading.group(1)), rel=1e-6)
        checked += 1
    assert checked == 4  # energy, machine, carbon, grid intensity


def test_why_knows_its_figures(joulery):
    joulery.run(*TRUE, flags=["--zone", "FR"])
    assert "software carbon intensity" in joulery("show", "--why", "sci").stdout
    assert "did you mean 'carbon'?" in joulery("show", "--why", "last", "carbn", code=2).stderr
    assert "no cost" in joulery("show", "--why", "last", "cost", code=2).stderr
    assert "--why" in joulery("show", "last", "carbon", code=2).stderr


def test_why_of_a_run_of_before_says_what_is_missing(joulery):
    joulery.run(*TRUE)
    store = joulery.home / ".local/share/joulery/joulery.db"
    with sqlite3.connect(store) as database:
        old = json.loads(database.execute("select json from evidence").fetchone()[0])
        for key in ("grid", "derivations", "sci", "water_litres", "embodied_gco2e"):
            del old[key]
        del old["water_on_site_litres"], old["water_reservoir_litres"]
        check_schema(old, "run")
        text = json.dumps(old).encode()
        database.execute("update evidence set json = ?, sha256 = ?", (text, hashlib.sha256(text).hexdigest()))
    assert "totals only" in joulery("show", "--why").stdout
    assert "carbon" in joulery("show").stdout
    with sqlite3.connect(store) as database:
        database.execute("delete from evidence")
    assert "no evidence" in joulery("show", "--why").stdout


def test_data_list_names_every_table_and_its_licence(joulery):
    document = joulery.json("data", "list", schema="data")
    tables = {table["name"]: table for table in document["tables"]}
    assert len(tables) == 14
    assert tables["grid_zone"]["origin"] == "none"
    assert any("CC BY 4.0" in source for source in tables["grid_country"]["sources"])
    assert "Ember" in joulery("data", "list").stdout


def test_a_table_of_data_dir_stands_before_the_built_in_one(joulery):
    folder = joulery.home / "tables"
    folder.mkdir()
    (folder / "provider_pue.csv").write_text("provider,pue,source_id\naws,1.5,mine\ndefault,2,mine\n")
    document = joulery.run(*TRUE, flags=["--zone", "aws:ap-east-1", "--data", folder])
    assert document["grid"]["pue"] == 1.5
    (folder / "provider_pue.csv").write_text("provider,pue,source_id\naws,0.5,mine\n")
    result = joulery("run", "--data", folder, "--", "true", code=2)
    assert "provider_pue.csv:2: pue is 0.5, but it must be between 1 and 3" in result.stderr


def test_import_brings_finer_zones_with_their_licence(joulery):
    source = joulery.home / "SE-SE3_2025_hourly.csv"
    source.write_text(
        "Datetime (UTC),Country,Zone name,Zone id,Carbon intensity gCO₂eq/kWh (direct),"
        "Carbon intensity gCO₂eq/kWh (Life cycle)\n"
        "2025-01-01 00:00:00,Sweden,South Central Sweden,SE-SE3,10,20\n"
        "2025-01-01 01:00:00,Sweden,South Central Sweden,SE-SE3,20,30\n"
    )
    assert "licence" in joulery("data", "import", source, code=2).stderr
    joulery("data", "import", source, "--licence", "ODbL", "--source", "Electricity Maps")
    listed = {table["name"]: table for table in joulery.json("data", "list", schema="data")["tables"]}
    assert listed["grid_zone"]["sources"] == ["Electricity Maps, ODbL"] and listed["grid_zone"]["origin"] == "imported"
    document = joulery.run(*TRUE, flags=["--zone", "se-se3"])
    assert document["grid"]["gco2e_per_kwh"] == 25 and document["grid"]["zone"] == "SE-SE3"
    assert "Electricity Maps (ODbL)" in joulery("show", "--why", "last", "carbon").stdout
    assert joulery.run(*TRUE, flags=["--zone", "SE-SE3", "--intensity", "direct"])["grid"]["gco2e_per_kwh"] == 15
    broken = joulery.home / "broken.csv"
    broken.write_text(source.read_text() + "2025-01-01 02:00:00,Sweden,x,SE-SE3,-4,30\n")
    assert "broken.csv:4:" in joulery("data", "import", broken, "--licence", "x", "--source", "y", code=2).stderr
    assert "did you mean 'joulery data import'?" in joulery("data", "imprt", source, code=2).stderr


def test_a_refused_import_changes_nothing(joulery):
    source = PROJECT / "data/grid_country.csv"
    file = joulery.home / "countries.csv"
    said = ["--licence", "CC BY 4.0", "--source", "Ember"]
    file.write_text(source.read_text())
    joulery("data", "import", file, *said)
    installed = joulery.home / ".local/share/joulery/data/grid_country.csv"
    file.write_text("".join(source.read_text().splitlines(keepends=True)[:3]))
    refused = joulery("data", "import", file, *said, code=2)
    assert f"{file}: there is no row 'WORLD'" in refused.stderr
    assert "nothing was changed" in refused.stderr and "delete" not in refused.stderr
    assert installed.read_text() == source.read_text()
    assert joulery.run(*TRUE, flags=["--zone", "FR"])["grid"]["zone"] == "FRA"
