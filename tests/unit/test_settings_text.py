"""``[text.NAME]`` sections from a file, the environment and overrides."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hybrid_search.errors import SettingsError
from hybrid_search.read.settings_file import load_settings, to_toml
from hybrid_search.settings import DocumentSettings, Settings, TextFieldSettings

TOML = """
[text]
brand = 1.5

[text.title]
weight = 2.0
analyzer = "german"

[text."meta.x"]
weight = 3

[text.meta.y]
weight = 4
"""


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "search.toml"
    path.write_text(TOML)
    return path


def test_a_file_names_fields(toml) -> None:
    """A number is the weight; a table in a table is a name with a dot."""
    assert load_settings(toml, {}, {}).text == {
        "brand": TextFieldSettings(weight=1.5),
        "title": TextFieldSettings(weight=2.0, analyzer="german"),
        "meta.x": TextFieldSettings(weight=3.0),
        "meta.y": TextFieldSettings(weight=4.0),
    }


def test_one_key_of_a_field_is_overridden(toml) -> None:
    """The other stays; the variable comes after the file, the flag after both."""
    variables = {"HYBRID_SEARCH_TEXT_TITLE_WEIGHT": "3", "HYBRID_SEARCH_TEXT_BRAND_ANALYZER": "simple"}
    found = load_settings(toml, {"text.title.weight": "4"}, variables).text
    assert found["title"] == TextFieldSettings(weight=4.0, analyzer="german")
    assert found["brand"] == TextFieldSettings(weight=1.5, analyzer="simple")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"text": "title=2,brand=.5"}, {"title": TextFieldSettings(2.0), "brand": TextFieldSettings(0.5)}),
        ({"text.title": "2"}, {"title": TextFieldSettings(2.0)}),
        ({"text.a.b.weight": "2"}, {"a.b": TextFieldSettings(2.0)}),
        ({"text": '{title = {weight = 2, analyzer = "x"}}'}, {"title": TextFieldSettings(2.0, "x")}),
        ({"text.title.analyzer": "x"}, {"title": TextFieldSettings(1.0, "x")}),
        ({"text.weight": "2"}, {"weight": TextFieldSettings(2.0)}),
    ],
    ids=["pairs", "weight", "dots", "table", "analyzer", "name"],
)
def test_forms_of_overrides(overrides, expected) -> None:
    """As variables take them too."""
    assert load_settings(None, overrides, {}).text == expected
    if "text" in overrides:
        assert load_settings(None, {}, {"HYBRID_SEARCH_TEXT": overrides["text"]}).text == expected


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"text.title.wieght": "2"}, "override: unknown key 'text.title.wieght'. Known: text.title.weight"),
        ({"text.title.weight": "x"}, r"override: text.title.weight: expected a number, got a string \('x'\)"),
        ({"text.title.weight": "-1"}, "override: text.title.weight: must be 0, or from 0.001 to 1000.0, got -1.0"),
        ({"text.title.weight": "nan"}, "override: text.title.weight: must be 0"),
        ({"text.title.analyzer": ""}, "override: text.title.analyzer: is empty"),
        ({"text.text.analyzer": "x"}, "override: text.text.analyzer: cannot be given.*Set engine.analyzer"),
        ({"text.": "2"}, "holds an empty name"),
        ({"text": "title"}, "override: text.title.weight: expected a number"),
        ({"text": "{title"}, "override: text: not valid TOML: {title"),
        ({"text.text": "0"}, "gives every text the weight 0"),
    ],
    ids=["key", "number", "negative", "nan", "empty", "whole", "name", "pair", "toml", "nothing"],
)
def test_what_is_refused_names_the_key(overrides, message) -> None:
    """And the place that gave it."""
    with pytest.raises(SettingsError, match=message):
        load_settings(None, overrides, {})


def test_a_key_in_a_file_that_is_none(tmp_path) -> None:
    """With those that are."""
    path = tmp_path / "a.toml"
    path.write_text("[text.title]\nboost = 2\n")
    with pytest.raises(SettingsError, match=r"unknown key 'text\.title\.boost'\. Known: text\.title\.weight"):
        load_settings(path, {}, {})


def test_a_vector_is_no_text() -> None:
    """It cannot be searched by words."""
    with pytest.raises(SettingsError, match=r"text\.v: is documents\.dense, which is no text"):
        Settings(documents=DocumentSettings(dense="v"), text={"v": TextFieldSettings()})


FIELDS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda name: name.strip() and name != "text"),
    st.builds(
        TextFieldSettings,
        weight=st.floats(0.001, 1000.0),
        analyzer=st.none() | st.text("abcdef_", min_size=1),
    ),
    max_size=4,
)


@given(fields=FIELDS)
@example(fields={"cursor_key": TextFieldSettings(), "password": TextFieldSettings(weight=2.0)})
def test_what_is_written_is_read_back(fields, tmp_path_factory) -> None:
    """Whatever fields are called."""
    path = tmp_path_factory.mktemp("settings") / "a.toml"
    path.write_text(to_toml(Settings(text=fields)))
    assert load_settings(path, {}, {}).text == fields
