"""``hybrid-search attach | detach | enrich | status INDEX`` on real engines, with a model of the package."""

from __future__ import annotations

import json

import pytest
from test_attach import BOOKS, made, sources
from typer.testing import CliRunner

from hybrid_search.cli.app import app

MODELS = ["--set", "dense.model=none", "--set", "sparse.model=idf"]


@pytest.fixture
def invoke(engine_url):
    """The command line, with each engine in turn in its environment."""

    def run(*arguments):
        environment = {"HYBRID_SEARCH_URL": engine_url, "COLUMNS": "120"}
        return CliRunner().invoke(app, [str(one) for one in arguments], env=environment)

    return run


def test_an_owners_index_is_attached_searched_and_detached(invoke, connection, index_name) -> None:
    """The plan comes first and needs a yes; the end of it all is what was there before."""
    name = index_name()
    made(connection, name)
    planned = json.loads(invoke("attach", name, "--dry-run", "--json", *MODELS).stdout)
    assert planned["texts"] == ["title", "body"]
    assert planned["lacking"] == planned["documents"] == len(BOOKS)
    assert planned["added"]["hybrid_search.passages"] == "nested"
    unasked = invoke("attach", name, *MODELS)
    assert unasked.exit_code == 1
    assert "this was not confirmed: nothing is changed" in unasked.stderr
    assert "hybrid_search.passages  nested" in unasked.stderr
    done = invoke("attach", name, "--yes", *MODELS)
    assert done.exit_code == 0, done.output
    assert "4 documents encoded, 0 were up to date" in done.stdout
    assert "Note: 1 document without text" in done.stdout
    found = json.loads(invoke("search", name, "whale", "--json", "-k", 1).stdout)
    assert found["hits"][0]["id"] == "whale"
    told = json.loads(invoke("status", name, "--json").stdout)
    assert (told["documents"], told["with_vectors"]) == (5, 5)
    assert "5 documents are as before" in invoke("detach", name, "--yes").stdout
    assert sources(connection, name) == dict(BOOKS)
    assert invoke("detach", name, "--yes").exit_code == 0


def test_texts_are_loaded_first_and_encoded_later(invoke, index_name, tmp_path) -> None:
    """Words find them at once; the report, a search and status say that vectors are lacking, until enrich is done."""
    source, name = tmp_path / "books.jsonl", index_name()
    source.write_text("".join(json.dumps({"_id": id_, "text": f"a {id_}"}) + "\n" for id_ in ("whale", "river")))
    loaded = invoke("index", source, name, "--vectors", "later", "--set", "documents.text=text", *MODELS)
    assert loaded.exit_code == 0, loaded.output
    assert f"2 passages have no vectors yet: hybrid-search enrich {name}" in loaded.stdout.replace("\n", " ")
    found = json.loads(invoke("search", name, "whale", "--json").stdout)
    assert found["hits"][0]["id"] == "whale"
    assert "sparse: 0 % of passages have vectors" in json.dumps(found)
    assert f"{name}: 2 passages, 0 with vectors (0 %)" in invoke("status", name).stdout
    done = invoke("enrich", name)
    assert done.exit_code == 0, done.output
    assert "2 passages encoded" in done.stdout
    assert "2 with vectors (100 %)" in invoke("status", name).stdout
    assert "0 passages encoded" in invoke("enrich", name).stdout


def test_models_change_only_with_a_yes(invoke, index_name, tmp_path) -> None:
    """All would be encoded anew, and meanwhile vectors would find little."""
    source, name = tmp_path / "books.jsonl", index_name()
    source.write_text(json.dumps({"_id": "whale", "text": "a whale"}) + "\n")
    assert invoke("index", source, name, "--set", "documents.text=text", *MODELS).exit_code == 0
    refused = invoke("enrich", name, *MODELS, "--set", "sparse.max_terms=3")
    assert refused.exit_code == 1
    assert "made with other models" in refused.stderr
    assert "All 1 passage would be encoded anew" in refused.stderr
    changed = invoke("enrich", name, "--yes", *MODELS, "--set", "sparse.max_terms=3")
    assert changed.exit_code == 0, changed.output
    assert "1 passage encoded" in changed.stdout


@pytest.mark.parametrize("command", ["attach", "detach", "enrich"])
def test_a_pattern_is_refused(invoke, command) -> None:
    """What changes documents takes the name of one index."""
    result = invoke(command, "*", "--yes")
    assert result.exit_code != 0
    assert "may stand for several indices" in result.stderr
