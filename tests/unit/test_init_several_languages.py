"""``init`` on data of several languages: each document is read by the analyzer of its own."""

from __future__ import annotations

import json

import orjson
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hybrid_search.cli import init
from hybrid_search.errors import SettingsError
from hybrid_search.languages import ANALYZERS
from hybrid_search.read.languages import Reading, languages_said, reading_of
from hybrid_search.read.settings_file import load_settings
from hybrid_search.settings import DocumentSettings, EngineSettings, Settings

TEXTS = {
    "de": "Die alten Häuser am Fluss wurden im letzten Sommer renoviert und neu gestrichen.",
    "en": "The old houses by the river were renovated and painted again last summer.",
    "pl": "Stare domy nad rzeką zostały odnowione i pomalowane zeszłego lata przez mieszkańców.",
}
STANDARD = "standard"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Runs ``init`` on records; the settings, and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    app = typer.Typer()
    init.register(app)

    def run(records, *options):
        numbered = [{"id": f"d{n}", **record} for n, record in enumerate(records)]
        (tmp_path / "d.jsonl").write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in numbered))
        said = CliRunner().invoke(app, ["d.jsonl", "-o", "s.toml", "--force", *options], catch_exceptions=False)
        return load_settings(tmp_path / "s.toml", {}, {}), said.output

    return run


def test_a_field_that_names_the_language_is_found(written) -> None:
    """It is filtered on too; what has no analyzer is read by the plain one."""
    records = [{"text": f"{text} {n}", "lang": code.upper()} for n in range(9) for code, text in TEXTS.items()]
    settings, said = written(records)
    assert (settings.documents.language, settings.documents.detect_language) == ("lang", False)
    assert settings.documents.keyword == ("lang",)
    assert (settings.engine.analyzer, settings.engine.analyzers) == (STANDARD, {"de": "german", "en": "english"})
    line = "Languages: named by the field lang; BM25 reads de german, en english, and others standard."
    assert line in said


def test_without_such_a_field_the_language_is_detected(written) -> None:
    """It is kept in a field that the records do not have, and filtered on."""
    records = [{"text": f"{TEXTS[code]} {n}", "language": n} for n in range(9) for code in ("de", "en")]
    settings, said = written(records)
    assert (settings.documents.language, settings.documents.detect_language) == ("detected_language", True)
    assert "detected_language" in settings.documents.keyword
    assert (settings.engine.analyzer, settings.engine.analyzers) == (STANDARD, {"de": "german", "en": "english"})
    assert "Languages: detected and kept in the field detected_language" in said
    _, printed = written(records, "--json")
    expected = {"analyzer": STANDARD, "analyzers": {"de": "german", "en": "english"}, "detects": True}
    assert json.loads(printed)["languages"] == {**expected, "field": "detected_language"}


@pytest.mark.parametrize(
    ("shares", "named", "expected"),
    [
        ({}, None, Reading()),
        ({"de": 1.0}, None, Reading("german")),
        ({"en": 0.85, "de": 0.15}, None, Reading("english")),
        ({"en": 0.6, "de": 0.4}, None, Reading(STANDARD, {"en": "english", "de": "german"}, "new", detects=True)),
        ({"ja": 0.5, "zh": 0.5}, None, Reading("cjk")),
        ({"pl": 1.0}, None, Reading(STANDARD)),
        ({"pl": 0.6, "en": 0.4}, None, Reading(STANDARD, {"en": "english"}, "new", detects=True)),
        ({"en": 0.75, "la": 0.12}, None, Reading("english")),  # names of products are Latin, to a detector
        ({"en": 0.99, "de": 0.01}, "lang", Reading(STANDARD, {"en": "english", "de": "german"}, "lang")),
        ({"de-at": 0.5, "de": 0.5}, "lang", Reading("german")),
        ({"pt-br": 0.5, "pt-pt": 0.5}, "lang", Reading(STANDARD, {"pt-br": "brazilian", "pt": "portuguese"}, "lang")),
        ({"pl": 1.0}, "lang", Reading(STANDARD)),
    ],
    ids=str,
)
def test_how_languages_are_read(shares, named, expected) -> None:
    """One analyzer where one does for all; a field that names languages is believed to the last document."""
    assert reading_of(shares, named, "new") == expected


def test_what_a_field_of_languages_holds() -> None:
    """Names and codes of them, but for a twentieth; a field of countries is none."""
    assert languages_said(["de", "German", "en_US", "fr"]) == {"de": 0.5, "en-us": 0.25, "fr": 0.25}
    assert languages_said(["de"] * 19 + ["?"]) == {"de": 1.0}
    assert languages_said(["de"] * 18 + ["?"]) == {}
    assert languages_said(["us", "gb", "de"]) == {}
    assert languages_said([]) == {}


shares_of_languages = st.dictionaries(st.sampled_from([*ANALYZERS, "pl", "la", "de-at", "xx"]), st.floats(0.01, 1))


@given(shares_of_languages, st.sampled_from([None, "lang"]))
def test_whatever_is_spoken_the_settings_hold_together(shares, named) -> None:
    """Every reading makes settings that are taken as they are."""
    total = sum(shares.values())
    ordered = sorted(((code, share / total) for code, share in shares.items()), key=lambda one: -one[1])
    reading = reading_of(dict(ordered), named, "new")
    settings = Settings(
        documents=DocumentSettings(language=reading.field, detect_language=reading.detects),
        engine=EngineSettings(analyzer=reading.analyzer or "english", analyzers=dict(reading.analyzers)),
    )
    assert (settings.documents.language is None) == (settings.engine.analyzers == {})


@pytest.mark.parametrize(
    ("documents", "engine", "where"),
    [
        ({"language": "lang"}, {}, "documents.language"),
        ({}, {"analyzers": {"de": "german"}}, "engine.analyzers"),
        ({"detect_language": True}, {}, "documents.detect_language"),
        ({"language": ""}, {}, "documents.language"),
        ({"language": "price", "number": ("price",)}, {"analyzers": {"de": "german"}}, "documents.language"),
        ({"language": "lang"}, {"analyzers": {"de": "german", "DE": "english"}}, "engine.analyzers.DE"),
        ({"language": "lang"}, {"analyzers": {"klingon": "german"}}, "engine.analyzers.klingon"),
        ({"language": "lang"}, {"analyzers": {"de": " "}}, "engine.analyzers.de"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_settings_that_contradict_each_other(documents, engine, where) -> None:
    """Each is refused by the key that is wrong."""
    with pytest.raises(SettingsError) as caught:
        Settings(documents=DocumentSettings(**documents), engine=EngineSettings(**engine))
    assert caught.value.where == where


def test_analyzers_of_languages_by_a_flag() -> None:
    """As a list of pairs, and as TOML writes a table."""
    given = {"documents.language": "lang", "engine.analyzers": "de=german,pt-br=brazilian"}
    expected = {"de": "german", "pt-br": "brazilian"}
    assert load_settings(None, given, {}).engine.analyzers == expected
    given["engine.analyzers"] = '{de = "german", pt-br = "brazilian"}'
    assert load_settings(None, given, {}).engine.analyzers == expected
