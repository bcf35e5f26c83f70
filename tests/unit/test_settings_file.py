"""Settings merged from a file, the environment and overrides."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybrid_search
from hybrid_search.errors import SettingsError
from hybrid_search.read.settings_file import ALIASES, NO_SETTINGS, TYPES, load_settings, to_toml
from hybrid_search.settings import (
    ChunkingSettings,
    DocumentSettings,
    EngineSettings,
    SearchSettings,
    Settings,
)

TOML = """
[documents]
text = ["title", "body"]
keyword = ["tag"]

[search]
k = 5
weights = { bm25 = 1, dense = 0.5 }

[engine]
url = "https://file:9200"
"""


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "search.toml"
    path.write_text(TOML)
    return path


def refusal(*args):
    with pytest.raises(SettingsError) as caught:
        load_settings(*args)
    return str(caught.value)


def test_without_anything_the_defaults_hold():
    """No file, no variable and no override give the defaults."""
    assert load_settings(None, {}, {}) == Settings()


def test_the_file_is_read(toml):
    """Keys of the file replace the defaults, the others stay."""
    settings = load_settings(toml, {}, {})
    assert settings.documents == DocumentSettings(text=("title", "body"), keyword=("tag",))
    assert settings.search == SearchSettings(k=5, weights={"bm25": 1.0, "dense": 0.5})


@pytest.mark.parametrize("text", ["kind, size.eu", '["kind", "size.eu"]', " ['kind','size.eu'] "])
def test_a_list_may_be_written_as_in_the_file(text):
    """Names between commas, or TOML's own list; a table likewise."""
    assert load_settings(None, {"documents.keyword": text}, {}).documents.keyword == ("kind", "size.eu")
    for weights in ("bm25=2,dense=1", "{bm25 = 2, dense = 1.0}"):
        assert load_settings(None, {"search.weights": weights}, {}).search.weights == {"bm25": 2.0, "dense": 1.0}


def test_a_list_that_is_no_toml_is_refused():
    """Not taken for the name of a field."""
    with pytest.raises(SettingsError, match=r"override: documents.keyword: not valid TOML: \[kind\]"):
        load_settings(None, {"documents.keyword": "[kind]"}, {})
    with pytest.raises(SettingsError, match="expected a list of strings"):
        load_settings(None, {"documents.keyword": "[1]"}, {})


def test_overrides_beat_the_environment_which_beats_the_file(toml):
    """The order of precedence is file, environment, override."""
    environ = {"HYBRID_SEARCH_SEARCH_K": "6", "HYBRID_SEARCH_URL": "https://environ:9200"}
    assert load_settings(toml, {}, {}).search.k == 5
    assert load_settings(toml, {}, environ).search.k == 6
    settings = load_settings(toml, {"search.k": "7"}, environ)
    assert (settings.search.k, settings.engine.url) == (7, "https://environ:9200")


def test_strings_become_the_type_of_the_key():
    """Numbers, booleans, lists and tables are read from the text of a flag."""
    overrides = {
        "engine.compress": " Yes ",
        "engine.timeout": ".5",
        "dense.batch_size": "8",
        "search.legs": "bm25, dense",
        "search.weights": "bm25=1, dense=.5",
    }
    settings = load_settings(None, overrides, {})
    assert settings.engine == EngineSettings(compress=True, timeout=0.5)
    assert settings.dense.batch_size == 8
    assert settings.search.legs == ("bm25", "dense")
    assert settings.search.weights == {"bm25": 1.0, "dense": 0.5}


def test_empty_variables_and_those_of_others_are_passed_over():
    """A variable that is set to nothing, or names no section, changes nothing and is no error."""
    environ = dict.fromkeys(
        (
            "HYBRID_SEARCH_TEST_OPENSEARCH",
            "HYBRID_SEARCH_DEBUG",
            "HYBRID_SEARCH_LOCAL_DIR",
            "HOME",
            "HYBRID_SEARCH_SERVICE_HOST",
            "HYBRID_SEARCH_PORT_9200_TCP_ADDR",
            "HYBRID_SEARCH_PORT",
            "HYBRID_SEARCH_ENGINE_SERVICE_PORT_HTTP",
        ),
        "x",
    )
    assert load_settings(None, {}, environ | {"HYBRID_SEARCH_URL": "", "HYBRID_SEARCH_SERCH_K": ""}) == Settings()


UNKNOWN = [
    ({"dense.modle": "x"}, "override: unknown key 'dense.modle'. Did you mean dense.model?"),
    ({"search.shards": "1"}, "override: unknown key 'search.shards'. Did you mean engine.shards?"),
    ({"serch.window": "1"}, "override: unknown key 'serch.window'. Did you mean search.window?"),
    ({"model": "x"}, "override: unknown key 'model'. Did you mean dense.model or sparse.model or rerank.model?"),
]


@pytest.mark.parametrize(("overrides", "message"), UNKNOWN)
def test_an_unknown_key_is_answered_with_the_nearest_right_one(overrides, message):
    """A slip of spelling or of section gets the key that was probably meant."""
    assert refusal(None, overrides, {}) == message


def test_a_key_that_another_section_has_nothing_like_is_no_slip_of_section():
    """``max_per`` is an option of searches; ``sparse.max_terms`` is not what was meant."""
    said = refusal(None, {"search.max_per": "brand"}, {})
    assert said.startswith("override: unknown key 'search.max_per'. Known keys: search.legs, ")


def test_a_key_like_no_other_is_answered_with_the_keys_of_its_section():
    """Where nothing is near, the remedy lists what there is."""
    message = refusal(None, {"chunking.qqq": "1"}, {})
    known = "chunking.max_tokens, chunking.overlap, chunking.with_title"
    assert message == f"override: unknown key 'chunking.qqq'. Known keys: {known}"


def test_an_unknown_section_and_an_unknown_variable_are_errors(tmp_path):
    """Unknown tables of the file and unknown keys of the environment are named with their place."""
    path = tmp_path / "s.toml"
    path.write_text("[serach]\nk = 1\n")
    assert refusal(path, {}, {}) == f"{path}: unknown key 'serach'. Did you mean [search]?"
    environ = {"HYBRID_SEARCH_DENSE_MODLE": "x"}
    expected = "HYBRID_SEARCH_DENSE_MODLE: unknown key 'dense.modle'. Did you mean dense.model?"
    assert refusal(None, {}, environ) == expected


@pytest.mark.parametrize(
    ("variable", "remedy"),
    [
        ("HYBRID_SEARCH_SERCH_K", "Did you mean HYBRID_SEARCH_SEARCH_K?"),
        ("HYBRID_SEARCH_ULR", "Did you mean HYBRID_SEARCH_URL?"),
        ("HYBRID_SEARCH_DEBUGG", "Did you mean HYBRID_SEARCH_DEBUG?"),
        ("HYBRID_SEARCH_ENGINEPASSWORD", "Did you mean HYBRID_SEARCH_ENGINE_PASSWORD?"),
        ("HYBRID_SEARCH_XQZW", "HYBRID_SEARCH_SECTION_KEY sets a key; sections: documents, chunking"),
    ],
)
def test_a_variable_that_sets_nothing_is_answered_with_the_nearest(variable, remedy):
    """A slip in the name of the section is no less a slip than one in the key; what it holds may be a secret."""
    message = refusal(None, {}, {variable: "geheim"})
    assert message.startswith(f"{variable}: no such variable. {remedy}")
    assert "geheim" not in message


def test_every_variable_that_the_project_reads_is_known():
    """One that is read elsewhere in the package must be listed, or those who set it could not load their settings."""
    root = Path(hybrid_search.__file__).parents[1]
    read = [path.read_text(encoding="utf-8") for path in (root / "hybrid_search").rglob("*.py")]
    named = set(re.findall(r"\bHYBRID_SEARCH_[A-Z_]*[A-Z]\b", "\n".join(read))) - {"HYBRID_SEARCH_SECTION_KEY"}
    assert {"HYBRID_SEARCH_LOCAL_DIR", "HYBRID_SEARCH_URL"} <= named
    for variable in sorted(named):
        keys = [key for key in TYPES if variable == "HYBRID_SEARCH_" + key.replace(".", "_").upper()]
        assert keys or variable in {*ALIASES, *NO_SETTINGS}, f"{variable} belongs in NO_SETTINGS"


YES, NO = ("yes", "On", "TRUE", "1", " true "), ("no", "off", "False", "0")


@pytest.mark.parametrize(("text", "value"), [*((text, True) for text in YES), *((text, False) for text in NO)])
def test_a_switch_takes_the_usual_words(text, value):
    """In the environment and in overrides; a file has TOML's own true and false."""
    assert load_settings(None, {"engine.compress": text}, {}).engine.compress is value
    assert load_settings(None, {}, {"HYBRID_SEARCH_ENGINE_COMPRESS": text}).engine.compress is value


def test_a_word_that_is_no_switch_is_refused(tmp_path):
    """What it may be is said; a file's string is no switch."""
    expected = "override: engine.compress: expected true or false (yes or no, on or off), got a string ('ja')"
    assert refusal(None, {"engine.compress": "ja"}, {}) == expected
    (tmp_path / "s.toml").write_text("[engine]\ncompress = 'yes'")
    assert "expected true or false" in refusal(tmp_path / "s.toml", {}, {})


@pytest.mark.parametrize("key", ["engine.timeout", "search.timeout"])
@pytest.mark.parametrize("value", ["inf", "nan", "-inf", "-1", "0", "1e9"])
def test_a_time_to_wait_is_a_time(key, value):
    """No infinity, no NaN, nothing below zero, by every way in."""
    variable = "HYBRID_SEARCH_" + key.replace(".", "_").upper()
    what = f"{key}: must be more than 0 and at most 86,400 seconds, got {float(value)}"
    assert refusal(None, {key: value}, {}) == f"override: {what}"
    assert refusal(None, {}, {variable: value}) == f"{variable}: {what}"


@pytest.mark.parametrize("value", ["inf", "nan", "-inf", "-1"])
@pytest.mark.parametrize("key", ["rerank.weight", "search.weights", "engine.bm25_k1", "engine.bm25_b"])
def test_a_number_is_finite(key, value):
    """The siblings: weights and the parameters of BM25."""
    given = f"bm25={value}" if key == "search.weights" else value
    assert key in refusal(None, {key: given}, {})


WRONG_TYPES = [
    ("[search]\nk = 'ten'", "search.k: expected a whole number, got a string ('ten')"),
    ("[search]\nk = true", "search.k: expected a whole number, got true or false (True)"),
    ("[documents]\ntext = 'title'", "documents.text: expected a list of strings, got a string ('title')"),
    ("[documents]\ntext = [1]", "documents.text: expected a list of strings, got a list ([1])"),
    ("[dense]\nmodel = 1979-05-27", "dense.model: expected a string, got a date or time (datetime.date(1979, 5, 27))"),
    ("[engine]\npassword = 12", "engine.password: expected a string, got a whole number"),
]


@pytest.mark.parametrize(("text", "message"), WRONG_TYPES)
def test_wrong_types_name_key_expected_and_got(tmp_path, text, message):
    """The message says what was expected and what came, but never a secret."""
    path = tmp_path / "s.toml"
    path.write_text(text)
    assert refusal(path, {}, {}) == f"{path}: {message}"


def test_a_value_where_a_section_belongs(tmp_path):
    """A section must be a table."""
    path = tmp_path / "s.toml"
    path.write_text("search = 3")
    assert refusal(path, {}, {}) == f"{path}: [search] must be a table, got a whole number"


def test_ranges_are_checked_with_the_place_that_gave_the_value(toml):
    """A value out of range is traced to the file, the variable or the override."""
    environ = {"HYBRID_SEARCH_SEARCH_K": "0"}
    expected = "HYBRID_SEARCH_SEARCH_K: search.k: must be between 1 and 10000, got 0"
    assert refusal(toml, {}, environ) == expected
    assert refusal(toml, {"search.k": "0"}, environ).startswith("override: search.k: ")


def test_two_variables_for_one_key_must_agree():
    """The short and the long name of the address may not say different things."""
    environ = {"HYBRID_SEARCH_URL": "http://a", "HYBRID_SEARCH_ENGINE_URL": "http://b"}
    message = refusal(None, {}, environ)
    assert message == "engine.url: HYBRID_SEARCH_ENGINE_URL and HYBRID_SEARCH_URL differ. Set only one of them"
    assert load_settings(None, {}, dict.fromkeys(environ, "http://a")).engine.url == "http://a"


def test_a_missing_or_broken_file_is_named(tmp_path):
    """No file, no UTF-8 and no TOML each get a message with the path."""
    path = tmp_path / "s.toml"
    expected = f"{path}: no such settings file. Write one with: hybrid-search init SOURCE -o FILE"
    assert refusal(path, {}, {}) == expected
    path.write_text("[search\n")
    assert refusal(path, {}, {}).startswith(f"{path}: not valid TOML: ")
    assert "line 1, column 8" in refusal(path, {}, {})
    path.write_bytes(b"\xff")
    assert refusal(path, {}, {}).startswith(f"{path}: the settings file cannot be read: ")


def test_written_settings_are_read_back(tmp_path):
    """What to_toml writes, load_settings reads, without the secrets."""
    engine = EngineSettings(url="https://me:geheim@a:1", api_key="geheim")
    path = tmp_path / "s.toml"
    path.write_text(to_toml(Settings(engine=engine, search=SearchSettings(weights={"bm25": 2.0}))))
    assert "geheim" not in path.read_text()
    expected = Settings(engine=EngineSettings(url="https://a:1"), search=SearchSettings(weights={"bm25": 2.0}))
    assert load_settings(path, {}, {}) == expected


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1).filter(
    lambda name: name not in {"_id", "title", "text"}
)


@given(keyword=st.lists(NAMES, unique=True), overlap=st.integers(0, 10**6), token=NAMES)
def test_any_names_and_numbers_survive_the_round_trip(tmp_path_factory, keyword, overlap, token):
    """Whatever the names and numbers, the file says the same again."""
    settings = Settings(
        documents=DocumentSettings(keyword=tuple(keyword), id=f"id {token}"), chunking=ChunkingSettings(overlap=overlap)
    )
    path = tmp_path_factory.mktemp("toml") / "s.toml"
    path.write_text(to_toml(settings), encoding="utf-8")
    assert load_settings(path, {}, {}) == settings
