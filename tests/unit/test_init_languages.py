"""What ``init`` writes for data that is not English: settings that work together, and a warning."""

from __future__ import annotations

import orjson
import pytest
import typer
from msgspec.structs import replace
from tiny_models import save_bi_encoder
from typer.testing import CliRunner

from hybrid_search.cli import init
from hybrid_search.encode import load_encoder
from hybrid_search.errors import ModelError, SettingsError
from hybrid_search.model_languages import SPARSE, reads_english_only, suggested, warning
from hybrid_search.read.settings_file import load_settings
from hybrid_search.settings import DENSE_MODEL, NO_MODEL, DenseSettings

E5 = "intfloat/multilingual-e5-small"

SENTENCES = {
    "de": [
        "Die alten Häuser am Fluss wurden im letzten Sommer renoviert und neu gestrichen.",
        "Wir suchen eine Wohnung mit Balkon, die nicht weit vom Bahnhof entfernt ist.",
        "Der Koch bereitet die Suppe mit frischem Gemüse aus dem eigenen Garten zu.",
    ],
    "es": [
        "Las casas viejas junto al río fueron renovadas y pintadas el verano pasado.",
        "Buscamos un piso con balcón que no esté lejos de la estación de tren.",
        "El cocinero prepara la sopa con verduras frescas de su propio huerto.",
    ],
    "en": [
        "The old houses by the river were renovated and painted again last summer.",
        "We are looking for a flat with a balcony that is not far from the station.",
        "The cook prepares the soup with fresh vegetables from a garden of his own.",
    ],
}


@pytest.fixture
def settings_of(tmp_path, monkeypatch):
    """Runs ``init`` on records of some languages in turn; the settings that it wrote, their text, and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")
    app = typer.Typer()
    init.register(app)

    def run(languages, *options, **more):
        texts = [text for code in languages for text in SENTENCES[code]]
        records = [{"id": f"d{n}", "text": f"{text} {n}", **more} for n, text in enumerate(texts * 4)]
        (tmp_path / "d.jsonl").write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
        said = CliRunner().invoke(app, ["d.jsonl", "-o", "s.toml", "--force", *options], catch_exceptions=False)
        text = (tmp_path / "s.toml").read_text()
        return load_settings(tmp_path / "s.toml", {}, {}), text, said.output

    run.folder = tmp_path
    return run


def test_an_english_collection_is_left_alone(settings_of) -> None:
    """No warning, no other model, and the analyzer is the default."""
    settings, text, said = settings_of(["en"])
    assert (settings.engine.analyzer, settings.dense.model, settings.sparse.model) == (
        "english",
        DENSE_MODEL,
        "starter",
    )
    assert "Warning" not in said
    assert E5 not in text


@pytest.mark.parametrize(("code", "analyzer", "sparse"), [("de", "german", NO_MODEL), ("es", "spanish", SPARSE)])
def test_another_language_is_warned_of(settings_of, code, analyzer, sparse) -> None:
    """The default models stay, for they are there; the lines to take together are in the file, in comments."""
    settings, text, said = settings_of([code])
    assert (settings.engine.analyzer, settings.dense.model, settings.sparse.model) == (analyzer, DENSE_MODEL, "starter")
    assert f"Warning: the texts are {code} 100%, and dense.model {DENSE_MODEL} and sparse.model starter read" in said
    assert f'dense.model = "{E5}", dense.query_prompt = "query: ", dense.document_prompt = "passage: "' in said
    assert f'sparse.model = "{sparse}"' in said
    taken = text.replace(f'# model = "{E5}"', f'model = "{E5}"').replace(f'# model = "{sparse}"', f'model = "{sparse}"')
    path = settings_of.folder / "taken.toml"
    path.write_text(taken)
    both = load_settings(path, {}, {})
    assert (both.dense.model, both.sparse.model) == (E5, sparse)


def test_models_of_many_languages_are_written_on_demand(settings_of, monkeypatch) -> None:
    """With their prompts, and with no sparse head that needs another bi-encoder; all they lack is the model itself."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    settings, _, said = settings_of(["de"], "--multilingual")
    assert settings.dense == DenseSettings(model=E5, query_prompt="query: ", document_prompt="passage: ")
    assert settings.sparse.model == NO_MODEL
    assert "Warning" not in said
    with pytest.raises(ModelError, match=f"model '{E5}': not found on this machine"):
        load_encoder(settings)


def test_what_is_written_loads_with_a_model_in_its_place(settings_of) -> None:
    """Another bi-encoder with those settings encodes; with the starter head it would not."""
    model = str(save_bi_encoder(settings_of.folder / "model"))
    settings, _, _ = settings_of(["de"], "--multilingual")
    here = replace(settings, dense=replace(settings.dense, model=model))
    encoder = load_encoder(here)
    assert encoder.encode_documents(["Die Häuser"]).dense.shape[0] == 1
    assert (encoder.sparse, encoder.dense.query_prompt) == (None, "query: ")
    with pytest.raises(SettingsError, match="the starter head works on the token states of all-MiniLM-L6-v2"):
        load_encoder(replace(here, sparse=replace(here.sparse, model="starter")))


@pytest.mark.parametrize(("code", "sparse"), [("en", "idf"), ("de", NO_MODEL)])
def test_carried_vectors_have_no_starter_head_beside_them(settings_of, code, sparse) -> None:
    """The head needs the forward pass of its own model, and there is none: what ``init`` writes loads."""
    settings, _, _ = settings_of([code], vector=[0.5, 1.0, 2.0, 0.25, 1.0, 1.0, 1.0, 1.0])
    assert (settings.dense.model, settings.dense.dimension, settings.sparse.model) == ("precomputed", 8, sparse)
    encoder = load_encoder(settings)
    assert (encoder.dense.name, encoder.sparse is None) == ("precomputed", code == "de")


def test_models_are_known_by_the_last_part_of_their_names() -> None:
    """A copy in a folder keeps it; what is suggested reads more than English; an unknown model is believed."""
    english = ["starter", DENSE_MODEL, "BAAI/bge-small-en-v1.5", "/models/bge-small-en-v1.5/", "naver/splade-v3"]
    assert all(map(reads_english_only, english))
    several = suggested(["es"])
    others = [several.dense["model"], several.sparse["model"], "BAAI/bge-m3", "acme/own", "none", "precomputed", ""]
    assert not any(map(reads_english_only, others))


def test_when_there_is_a_warning() -> None:
    """From a fifth of the texts on, where a model is known to read English alone."""
    models = {"dense.model": DENSE_MODEL, "sparse.model": NO_MODEL}
    assert warning({"en": 0.85, "de": 0.15}, models) is None
    assert warning({"de": 1.0}, {"dense.model": E5, "sparse.model": SPARSE}) is None
    assert warning({}, models) is None
    said = warning({"en": 0.6, "de": 0.25, "fr": 0.15}, models)
    assert said is not None
    assert said.startswith(f"the texts are de 25%, fr 15%, and dense.model {DENSE_MODEL} reads English alone.")
