"""Tuning on a real engine: the weights that judgements ask for, one retrieval for many looks, no change by chance."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import numpy as np
import pytest
from generated import BRANDS, SCHEMA, filled, passages, terms, unit, write
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine.protocols import Request
from hybrid_search.evaluate import measure
from hybrid_search.evaluate.tuning import RunCache, collect, run_tuning
from hybrid_search.filters import parse
from hybrid_search.records import Leg, Query
from hybrid_search.search import SearchClient
from hybrid_search.search.standard_legs import BM25, SPARSE
from hybrid_search.settings import RerankSettings, SearchSettings, Settings

COUNT = 40


class NoEncoder:
    """The queries of these tests bring their vectors."""

    dense = SCHEMA.dense
    sparse = SCHEMA.sparse
    max_tokens = 100
    tokenizer = None

    def encode_queries(self, texts):
        raise AssertionError(texts)


@pytest.fixture
def corpus():
    return passages(120)


@pytest.fixture
def task(corpus):
    """Queries and judgements: the vector of one document, the only relevant one, with words and terms of others."""
    random = np.random.default_rng(11)
    queries = [
        Query(corpus[number + 60].passage.text, id=f"q{number}", dense=corpus[number].dense, sparse=terms(random))
        for number in range(COUNT)
    ]
    return queries, {f"q{number}": {f"doc-{number}": 1} for number in range(COUNT)}


@pytest.fixture
def index(connection, index_name, corpus) -> str:
    return filled(connection, index_name(), corpus)


def opened(connection, index, **search) -> SearchClient:
    settings = Settings(search=SearchSettings(**search))
    return SearchClient(index, connection=connection, encoder=NoEncoder(), settings=settings)


def test_the_leg_that_knows_is_weighed_more(connection, index, task) -> None:
    """Only the vectors know the relevant document: the choice beats a fusion that hears them last, out of fold."""
    client = opened(connection, index, weights={"bm25": 0.6, "dense": 0.1, "sparse": 0.3})
    tuned, found = run_tuning(client, *task, steps=10, windows=(100,))
    weights = dict(zip(found.legs, tuned.chosen.weights, strict=True))
    assert tuned.is_better
    assert weights[Leg.DENSE] > 0.1
    assert tuned.mean > tuned.default_mean
    queries, qrels = task
    better = opened(connection, index, fusion=tuned.chosen.method, rank_constant=tuned.chosen.rank_constant)
    searched = {
        query.id: [(hit.id, hit.score) for hit in better.search(query, fusion=tuned.chosen.fusion(found.legs))]
        for query in queries
    }
    assert measure(qrels, searched).mean["nDCG@10"] == pytest.approx(tuned.surface[tuned.chosen], abs=1e-6)


class Reads:
    """A reranker that prefers long passages; it keeps what it is asked."""

    name = "reads"

    def __init__(self):
        self.asked = []

    def score(self, query, passages):
        self.asked += [(query, passage) for passage in passages]
        return [float(len(passage)) for passage in passages]


def test_the_choice_with_a_reranker_is_what_searches_find(connection, index, task) -> None:
    """The settings in use, reranked: their value is that of real searches, and each passage is read once a query."""
    settings = Settings(search=SearchSettings(), rerank=RerankSettings(window=20, weight=0.4))
    reads = Reads()
    given = {"connection": connection, "encoder": NoEncoder(), "settings": settings}
    client = SearchClient(index, reranker=reads, **given)
    tuned, _ = run_tuning(client, *task, steps=4, windows=(100,))
    assert len(reads.asked) == len(set(reads.asked)) > COUNT * 20
    queries, qrels = task
    searched = {query.id: [(hit.id, -hit.rank) for hit in client.search(query)] for query in queries}
    assert tuned.default_mean == pytest.approx(measure(qrels, searched).mean["nDCG@10"], abs=1e-6)
    assert {fold.chosen.reranking is None for fold in tuned.folds} == {False}


@pytest.fixture
def retrieved(monkeypatch):
    """The queries that are retrieved, as they are."""
    asked, retrieve = [], SearchClient.retrieve
    monkeypatch.setattr(
        SearchClient, "retrieve", lambda self, some, **more: asked.extend(some) or retrieve(self, some, **more)
    )
    return asked


def test_runs_are_kept_until_the_index_changes(connection, index, task, retrieved, tmp_path) -> None:
    """The second look retrieves nothing; a passage that is written later makes the next one retrieve anew."""
    client, cache = opened(connection, index), RunCache(tmp_path, connection)
    given = {"steps": 4, "windows": (100,), "cache": cache}
    first, second = (run_tuning(client, *task, **given)[0] for _ in range(2))
    assert len(retrieved) == COUNT
    assert first == second
    extra = passages(1, seed=3)[0]
    document = replace(extra.passage.document, id="new")
    write(connection, index, [replace(extra, passage=replace(extra.passage, document=document))])
    run_tuning(client, *task, **given)
    assert len(retrieved) == 2 * COUNT
    kept = list(tmp_path.iterdir())
    assert len(kept) == 2
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}  # ids of documents are nobody else's


@pytest.mark.parametrize("otherwise", ["alias", "filter", "terms", "dfs"])
def test_runs_that_are_kept_are_found_by_nobody_else(connection, index, task, tmp_path, otherwise) -> None:
    """What an alias shows of an index, a query's own filter and terms, how terms are counted: each has its file."""
    alias, cache = f"{index}-cheap", RunCache(tmp_path, connection)
    cheap = {"range": {"filter.price": {"lt": 25}}}
    connection.send(Request.json("PUT", f"/{index}/_alias/{alias}", {"filter": cheap}))
    (query, *_), legs = task[0], [BM25, SPARSE]
    other = {
        "alias": (opened(connection, alias), query),
        "filter": (opened(connection, index), replace(query, filter=parse("price<25"))),
        "terms": (opened(connection, index), replace(query, sparse={"1": 1.0})),
        "dfs": (opened(connection, index, dfs=False), query),
    }
    collect(opened(connection, index), [query], legs, 100, cache=cache)
    client, asked = other[otherwise]
    kept, found = collect(client, [asked], legs, 100, cache=cache), collect(client, [asked], legs, 100)
    assert kept == found
    assert len(list(tmp_path.iterdir())) == 2


def test_a_kept_file_that_is_cut_is_retrieved_again(connection, index, task, tmp_path) -> None:
    """Half a line at the end of a file of runs is no run: the result is as before."""
    client, cache = opened(connection, index), RunCache(tmp_path, connection)
    given = {"steps": 4, "windows": (100,), "cache": cache}
    first = run_tuning(client, *task, **given)[0]
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-40])
    assert run_tuning(client, *task, **given)[0] == first


def test_runs_of_one_tenant_are_not_those_of_another(connection, index, task, retrieved, tmp_path) -> None:
    """Two aliases of one index, each of its own brand, and the same queries: each has its own documents, kept apart."""
    cache = RunCache(tmp_path, connection)
    for brand in ("Sony", "Canon"):
        alias = {"index": index, "alias": f"{index}-{brand.lower()}", "filter": {"term": {"filter.brand": brand}}}
        connection.send(Request.json("POST", "/_aliases", {"actions": [{"add": alias}]}))
    for number, brand in enumerate(("Sony", "Canon", "Sony")):
        client = opened(connection, f"{index}-{brand.lower()}")
        _, found = run_tuning(client, *task, steps=4, windows=(100,), cache=cache)
        ids = {id_ for one in found.queries.values() for run in one.runs.values() for id_, _ in run}
        assert {BRANDS[int(id_.removeprefix("doc-")) % 3] for id_ in ids} == {brand}
        assert len(retrieved) == COUNT * min(number + 1, 2)


@pytest.mark.parametrize("known", [True, False], ids=["bm25 knows", "nothing knows"])
def test_the_command_writes_settings_only_if_they_are_better(judged, index, engine_url, tmp_path, known) -> None:
    """A document's own words as the query, weighed least; judgements by chance, for which no weights are better."""
    (tmp_path / "now.toml").write_text("[search.weights]\nbm25 = 0.01\ndense = 1.0\nsparse = 1.0\n")
    written = tmp_path / "search.toml"
    named = {"--queries": judged(known), "--qrels": tmp_path / "qrels.txt", "--settings": tmp_path / "now.toml"}
    flags = [str(part) for pair in {**named, "--url": engine_url, "--write": written}.items() for part in pair]
    result = CliRunner().invoke(app, ["tune", index, *flags], env={"COLUMNS": "140"})
    assert result.exit_code == 0, result.output
    assert written.exists() == known
    if known:
        assert tomllib.loads(written.read_text())["search"]["weights"]["bm25"] > 0.01
    else:
        assert "is not written" in result.output


def test_a_place_that_settings_cannot_go_to_is_said_first(judged, index, engine_url, tmp_path) -> None:
    """A folder that is not there, and a file that is: nothing is touched."""
    there = tmp_path / "there.toml"
    there.write_text("# mine")
    flags = ["--queries", judged(True), "--qrels", tmp_path / "qrels.txt", "--url", engine_url]
    for place, said in ((tmp_path / "no" / "search.toml", "no such folder"), (there, "is there and is not touched")):
        result = CliRunner().invoke(app, ["tune", index, *map(str, flags), "--write", str(place)])
        assert (result.exit_code, said in result.output) == (2, True), result.output
    assert there.read_text() == "# mine"


@pytest.fixture
def judged(corpus, tmp_path, monkeypatch):
    """Writes queries and judgements; an encoder that knows nothing of a text takes the place of the index's models."""

    def write_files(known):
        random = np.random.default_rng(2)
        right = {n: n if known else int(random.integers(len(corpus))) for n in range(COUNT)}
        (tmp_path / "queries.tsv").write_text("".join(f"q{n}\t{corpus[n].passage.text}\n" for n in right))
        (tmp_path / "qrels.txt").write_text("".join(f"q{n} 0 doc-{found} 1\n" for n, found in right.items()))
        return tmp_path / "queries.tsv"

    monkeypatch.setattr("hybrid_search.search.searcher.load_encoder", lambda *_, **__: Unknowing())
    return write_files


class Unknowing(NoEncoder):
    """Vectors that say nothing of their text."""

    def encode_queries(self, texts):
        drawn = [np.random.default_rng(len(text)) for text in texts]
        return EncodedTexts(np.stack([unit(random) for random in drawn]), [terms(random) for random in drawn])
