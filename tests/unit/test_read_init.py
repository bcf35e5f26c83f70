"""``hybrid-search init``: what it sees in data, and the settings file that it writes."""

import base64
import io
import json
import struct
import sys

import orjson
import pytest
import typer
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hybrid_search.cli import init
from hybrid_search.errors import SettingsError, SourceError
from hybrid_search.read import documents
from hybrid_search.read.settings_file import load_settings
from hybrid_search.read.settings_text import settings_text
from hybrid_search.read.survey import Role, survey
from hybrid_search.rehearsal import rehearsed
from hybrid_search.settings import DocumentSettings, Settings

COLORS = ["red", "green", "blue"]


def product(number):
    """A record with a field of every kind."""
    return {
        "sku": f"P-{number}",
        "title": f"Thing number {number}",
        "description": f"This is the long description of thing {number}, with many words in it.",
        "color": COLORS[number % 3],
        "tags": ["new", "sale"][: number % 3],
        "in_stock": number % 2 == 0,
        "price": 9.5 + number,
        "added": f"2024-05-{number % 28 + 1:02}",
        "link": f"https://example.com/{number}",
        "details": {"brand": "Acme" if number % 2 else "Ajax", "weight": number},
        "embedding": [0.5, 1.0, 2.0, 0.25, 1.0, 1.0, 1.0, 1.0 + number],
        "terms": {f"t{number + step}": 1.5 for step in range(6)},
        "mixed": number if number % 2 else "odd",
        "shop": {"lat": 48.1, "lon": 11.0 + number},
    }


@pytest.fixture
def products(tmp_path):
    path = tmp_path / "products.jsonl"
    path.write_bytes(b"".join(orjson.dumps(product(number)) + b"\n" for number in range(30)))
    return path


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command in an empty folder, on a wide terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    app = typer.Typer()
    init.register(app)

    def invoke(*arguments, **options):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)

    return invoke


def test_every_field_gets_a_role(products):
    """Each role has its fields in the order in which they first held something; texts with the title first."""
    seen = survey(products)
    assert {role.value: seen.names(role) for role in Role} == {
        "id": ["sku"],
        "text": ["title", "description"],
        "keyword": ["color", "in_stock", "details.brand", "tags"],
        "number": ["price", "details.weight"],
        "date": ["added"],
        "boolean": [],
        "geo": ["shop"],
        "dense": ["embedding"],
        "sparse": ["terms"],
        "stored": ["link", "mixed"],
    }
    views = {view.name: view for view in seen.fields}
    assert (views["color"].kind, views["color"].share, views["color"].example) == ("text", 1.0, "red")
    assert (views["color"].reason, views["sku"].reason) == ("3 values", "different in all")
    assert views["tags"].share == pytest.approx(20 / 30)  # every third list is empty
    assert views["embedding"].reason == "8 numbers in each"


def test_the_written_settings_are_read_and_index_the_data(products, run, tmp_path):
    """The file says which field is what, and the documents come out as they should."""
    result = run(products)
    assert result.exit_code == 0
    settings = load_settings(tmp_path / "hybrid-search.toml", {}, {})
    assert settings.documents == DocumentSettings(
        id="sku",
        text=("title", "description"),
        keyword=("color", "in_stock", "details.brand", "tags"),
        number=("price", "details.weight"),
        date=("added",),
        geo=("shop",),
        dense="embedding",
        sparse="terms",
    )
    assert (settings.dense.model, settings.dense.dimension, settings.sparse.model) == ("precomputed", 8, "precomputed")
    first = next(documents(products, settings.documents))
    assert (first.id, first.dense.size, len(first.sparse)) == ("P-0", 8, 6)


def test_the_table_says_what_was_seen_and_what_comes_next(products, run):
    """One row for each field, then the next command."""
    result = run(products, "-o", "my.toml")
    assert "products.jsonl: 30 records" in result.output
    rows = [line.split() for line in result.output.splitlines()]
    assert ["color", "text", "100%", "red", "keyword", "3", "values"] in rows
    assert ["price", "number", "100%", "9.5", "number", "numbers"] in rows
    assert f"hybrid-search index {products} INDEX --settings my.toml" in result.output


def test_commented_lines_show_the_defaults(products, tmp_path):
    """Taking the comment off any line of a section changes nothing, as it shows the default."""
    lines = settings_text(survey(products)).splitlines()
    shown = [
        line.removeprefix("# ") if line.startswith("# ") and " = " in line and "example" not in line else line
        for line in lines
        if not line.startswith(("model = ", "dimension = ", "# query_prompt", "# document_prompt", "# max_tokens"))
        and not line.startswith(("# url", "# user", "# weights", "# replicas"))
    ]
    path = tmp_path / "all.toml"
    path.write_text("\n".join(shown))
    settings = load_settings(path, {}, {})
    for section in ("chunking", "dense", "sparse", "rerank", "search", "engine"):
        assert getattr(settings, section) == getattr(Settings(), section)


def test_a_file_that_is_there_is_kept(products, run, tmp_path):
    """Only --force writes over it."""
    target = tmp_path / "hybrid-search.toml"
    target.write_text("mine")
    result = run(products)
    assert isinstance(result.exception, SettingsError)
    assert str(result.exception) == "hybrid-search.toml: the file is there already. Give --force to write over it"
    assert target.read_text() == "mine"
    assert run(products, "--force").exit_code == 0
    assert load_settings(target, {}, {}).documents.id == "sku"


def test_the_source_itself_is_never_written_over(run, products):
    """Not even with --force."""
    before = products.read_bytes()
    assert "is the source itself" in str(run(products, "--force", "-o", products).exception)
    assert products.read_bytes() == before


def test_a_dash_prints_the_settings_and_nothing_else_on_standard_output(products, run, tmp_path):
    """The table goes to standard error, so that the output can be sent to a file."""
    result = run(products, "-o", "-")
    path = tmp_path / "printed.toml"
    path.write_text(result.stdout)
    assert load_settings(path, {}, {}).documents.id == "sku"
    assert "30 records" in result.stderr
    assert not (tmp_path / "hybrid-search.toml").exists()


def test_json_for_programs(products, run):
    """The same facts as the table."""
    seen = json.loads(run(products, "--json", "--sample", 10).stdout)
    assert (seen["records"], seen["fields"][0]["name"], seen["fields"][0]["role"]) == (10, "sku", "id")


def test_a_folder_that_cannot_be_written_is_an_error(products, run):
    """The system's reason is passed on."""
    result = run(products, "-o", "no/such/folder.toml")
    assert str(result.exception) == "no/such/folder.toml: cannot be written (No such file or directory)"


def test_a_beir_folder_is_recognised(tmp_path, run):
    """Its fields are the defaults."""
    line = b'{"_id": "%d", "title": "A title of some words", "text": "And a text", "metadata": {}}\n'
    folder = tmp_path / "beir"
    folder.mkdir()
    (folder / "corpus.jsonl").write_bytes(b"".join(line % number for number in range(3)))
    result = run(folder)
    assert "A BEIR folder" in result.output
    assert load_settings(tmp_path / "hybrid-search.toml", {}, {}).documents == DocumentSettings()


def test_text_of_numbers_dates_and_vectors_is_recognised(tmp_path):
    """CSV has nothing but text, which may hold numbers, dates and base64 vectors."""
    vector = base64.b64encode(struct.pack("<16f", *range(16))).decode()
    path = tmp_path / "a.csv"
    rows = [f"{n},{n / 2},2024-01-0{n % 9 + 1} 10:00,{vector},yes\n" for n in range(10)]
    path.write_text("id,n,when,v,ok\n" + "".join(rows))
    seen = survey(path)
    roles = {view.name: view.role.value for view in seen.fields}
    assert roles == {"id": "id", "n": "number", "when": "date", "v": "dense", "ok": "boolean"}
    text = settings_text(seen)
    assert "No field looked like text: name one." in text
    assert "dimension = 16" in text


def test_digits_with_leading_zeros_or_plus_signs_are_labels(tmp_path):
    """In any of the values: post codes and telephone numbers; a zero before a point is a number's."""
    path = tmp_path / "shops.csv"
    path.write_text(
        "sku,name,zip,price,share,phone\n"
        "00123,Corner bakery with rye bread,01730,4.50,0.5,+4912345\n"
        "123,Harbour bakery with fish rolls,10730,12,-0.25,0049123\n"
        "0x1F,Hill bakery,99501,1e3,0,12.0\n"
    )
    seen = survey(path)
    roles = {view.name: view.role.value for view in seen.fields}
    assert roles == {
        "sku": "id",
        "name": "text",
        "zip": "keyword",
        "price": "number",
        "share": "number",
        "phone": "keyword",
    }
    settings = load_settings_of(seen, tmp_path)
    first = next(documents(path, settings.documents))
    name = "Corner bakery with rye bread"
    assert first.fields == {"name": name, "zip": "01730", "price": "4.50", "share": "0.5", "phone": "+4912345"}


def load_settings_of(seen, folder):
    """The settings that are written for a survey, read back."""
    target = folder / "settings.toml"
    target.write_text(settings_text(seen), encoding="utf-8")
    return load_settings(target, {}, {})


def test_standard_input_can_be_looked_at(monkeypatch, products):
    """The sample is taken from the pipe."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(products.read_bytes()))))
    assert survey("-").names(Role.ID) == ["sku"]


def test_what_the_reader_detected_is_said_once(tmp_path, run):
    """One note in the output of one array."""
    path = tmp_path / "a.json"
    path.write_text('[{"id": 1, "text": "some words in a text"}]')
    assert run(path).output.count("is read as a JSON array") == 1


def test_bad_records_are_counted_and_the_rest_is_looked_at(tmp_path, run):
    """Broken lines do not stop the look; a source of nothing else does."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "text": "some words in a text"}\nbroken\n')
    assert "\n1 record could not be read. The first:" in run(path).output
    path.write_text("broken\n")
    with pytest.raises(SourceError, match=r"no record can be read; the first: .*a\.jsonl:1: broken JSON"):
        survey(path)
    path.write_text("")
    with pytest.raises(SourceError, match="holds no record"):
        survey(path)


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.lists(st.text(max_size=3), max_size=3)


@given(
    st.lists(
        st.dictionaries(
            st.text(min_size=1, max_size=4), VALUES | st.dictionaries(st.text(max_size=2), VALUES), max_size=4
        ),
        min_size=1,
        max_size=5,
    )
)
def test_whatever_the_data_the_settings_are_valid(tmp_path_factory, rows):
    """Any names and values give a file that is read back without an error."""
    folder = tmp_path_factory.mktemp("survey")
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    seen = survey(path)
    target = folder / "settings.toml"
    target.write_text(settings_text(seen), encoding="utf-8")
    settings = load_settings(target, {}, {})
    assert list(settings.documents.keyword) == seen.names(Role.KEYWORD)


def test_the_settings_are_tried_before_they_are_written(tmp_path, run):
    """What would be left out is counted, and the next command allows for it; passages are counted too."""
    path = tmp_path / "a.jsonl"
    lines = [{"_id": n, "text": f"the words of number {n} " * 40, "pages": n} for n in range(20)]
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in [*lines, {"_id": 20, "pages": 1}]) + b"{\n")
    result = run(path)
    assert "Tried: 20 of 21 records make documents, about 20 passages." in result.output
    assert "1 without a text would be left out." in result.output
    assert "--skip-bad bad-records.jsonl --max-bad 19%" in result.output  # twice 2 / 22, rounded up


def test_settings_that_cannot_work_are_not_written(tmp_path, run):
    """Numbers alone cannot be searched."""
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    result = run(path)
    assert isinstance(result.exception, SourceError)
    assert "no field holds text to search in. It has: a (number), b (number)" in str(result.exception)
    assert not (tmp_path / "hybrid-search.toml").exists()


def test_json_says_what_was_decided_and_tried(products, run):
    """For programs that read it instead of the table."""
    seen = json.loads(run(products, "--json").stdout)
    assert (seen["id_from"], seen["repeated_ids"], seen["title"], seen["bad"]) == ("field", "refuse", "title", 0)
    assert (seen["tried"]["documents"], seen["tried"]["refused"], seen["tried"]["notes"]) == (30, [], [])
    assert {field["name"]: field["lenient"] for field in seen["fields"]}["price"] is False


WRITTEN = st.sampled_from(
    [
        *("12.50", "$1,299.00", "€53,05", "on request", "NaN", "7", "007", "+49", "1e3", "-", "", "1.299", "1,299"),
        *("26/05/2025", "05/07/2022", "Jun 15, 2021", "20240116", "2024-01-13", "2024", "16.01.2024", "2022-04-03T00Z"),
        *("yes", "no", "TRUE", "0", "1", "sale|kids", "new", "a; b", "['x', 'y']", "#ff8800", "<p>a &amp; b</p>"),
        *("https://a.b/c", "a text of some words", "Red", "red, blue", "\u732b\u304c\u5ead", "null", "x" * 200),
        *(1, 2.5, 20240116, 1705363200000, True, False, None, ["a", "b"], [1, 2], {"b": 1}, {"b": "2"}, [{"b": "1"}]),
    ]
)
NAMES = ["_id", "sku", "name", "title", "text", "price", "created_at", "in stock", "tags", "a.b", "a"]


@example([{"_id": "1", "a": {"b": 1}, "a.b": ""}])
@example([{"_id": "1", "a": {"b": 1}}, {"_id": "2", "a": "12.50", "a.b": "on request", "sku": "x"}])
@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, WRITTEN)), min_size=1, max_size=12))
def test_what_is_written_takes_the_records_that_were_seen(tmp_path_factory, rows):
    """Whatever a column mixes, its values are no reason to refuse a record; only the text and the id are."""
    path = tmp_path_factory.mktemp("mixed") / "a.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    seen = survey(path)
    if seen.texts:
        tried = rehearsed(seen.records, settings_text(seen), "a.jsonl")
        assert [str(error) for error in tried.refused] == []
