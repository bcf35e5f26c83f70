"""Sweeps on a real engine: figures that can be known beforehand, copies that are gone, an index that is untouched."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest
from generated import SCHEMA, filled, passages
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine.indices import count
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import UnsupportedError
from hybrid_search.evaluate.sweep import Grid, SweepRequest, Way, asked_of, read_sample, run_sweep
from hybrid_search.evaluate.sweep.cheapest import cheapest
from hybrid_search.evaluate.sweep.copies import OWNER, PREFIX, clear_leftovers, copied, own
from hybrid_search.evaluate.sweep.options import Build
from hybrid_search.evaluate.sweep.report import notes
from hybrid_search.evaluate.sweep.seismic import WHY_NOT_CHOSEN
from hybrid_search.records import Leg

COUNT = 240
ASKED = 20
GRID = Grid(["hnsw", "int8_hnsw"], ["rank_features"], candidates=(20, 100), min_shares=(0.0, 0.5), two_phase=(0.0, 0.4))


@pytest.fixture
def index(connection, index_name) -> str:
    return filled(connection, index_name(), passages(COUNT))


def copies_of(connection, index) -> list[str]:
    """The names of the copies of an index that are there."""
    answer = connection.send(Request.json("GET", f"/{PREFIX}{index}*/_settings"))
    return sorted(answer)


def request_of(connection, index, grid=GRID, **more) -> SweepRequest:
    first, rest = read_sample(connection, index, SCHEMA, COUNT).split(ASKED)
    return SweepRequest(index, SCHEMA, rest, asked_of(first), grid=grid, **more)


def test_the_sample_is_what_was_written(connection, index) -> None:
    """Vectors and terms come back as they were given, the first half in the order of the whole."""
    written = {(f"doc-{number}", 0): one for number, one in enumerate(passages(COUNT))}
    sample, half = (read_sample(connection, index, SCHEMA, some) for some in (COUNT, COUNT // 2))
    assert set(sample.ids) == set(written)
    assert sample.ids != sorted(sample.ids)
    assert half.ids == sample.ids[: COUNT // 2]
    assert half.total == COUNT
    for id_, dense, sparse in zip(sample.ids, sample.dense, sample.sparse, strict=True):
        assert dense == pytest.approx(written[id_].dense, abs=1e-6)
        assert sparse == pytest.approx(written[id_].sparse, rel=1e-6)


def test_every_way_is_measured_and_nothing_is_left(connection, index) -> None:
    """A graph of whole vectors finds all, unpruned terms all but ties of 9 bits, half of the terms less."""
    sweep = run_sweep(connection, request_of(connection, index), in_use=Way(100))
    dense = {(row.build.kind, row.way.candidates): row for row in sweep.rows if row.build.leg == Leg.DENSE}
    sparse = {(row.build.min_share, row.way.two_phase): row for row in sweep.rows if row.build.leg == Leg.SPARSE}
    assert set(dense) == {(kind, width) for kind in ("hnsw", "int8_hnsw") for width in (20, 100)}
    assert set(sparse) == {(share, phase) for share in (0.0, 0.5) for phase in (0.0, 0.4)}
    assert dense["hnsw", 100].recall == 1.0
    assert dense["int8_hnsw", 100].recall > 0.9
    assert sparse[0.0, 0.0].recall > 0.95
    assert sparse[0.5, 0.0].recall < sparse[0.0, 0.0].recall
    assert [row for row in sweep.rows if row.in_use] == [dense["hnsw", 100], sparse[0.0, 0.0]]
    assert all(0 < row.p50 <= row.p99 and row.disk > 0 and row.seconds > 0 for row in sweep.rows)
    assert dense["int8_hnsw", 100].memory < dense["hnsw", 100].memory
    assert copies_of(connection, index) == []
    assert count(connection, index) == COUNT


def test_a_copy_is_gone_after_an_interruption(connection, index) -> None:
    """Ctrl-C in the middle of a measurement leaves nothing."""
    sample = read_sample(connection, index, SCHEMA, 50)

    def interrupted() -> None:
        with copied(connection, index, SCHEMA, sample, Build(Leg.DENSE, "hnsw", 16, 128)) as copy:
            assert copies_of(connection, index) == [copy.index]
            assert count(connection, copy.index) == 50
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert copies_of(connection, index) == []


def test_the_copy_of_a_killed_sweep_is_removed_by_the_next(connection, index) -> None:
    """One whose process is gone; that of this process, of another machine, or that nobody owns stays and is named."""
    copies = [f"{PREFIX}{index}-{name}" for name in ("mine", "nobody", "elsewhere", "dead")]
    mine, _, elsewhere, dead = copies
    try:
        for name in copies:
            connection.send(Request.json("PUT", f"/{name}", {"settings": {"number_of_replicas": 0}}))
        own(connection, mine)
        [answer] = connection.send(Request.json("GET", f"/{mine}/_mapping")).values()
        me = answer["mappings"]["_meta"][OWNER]
        changes = {elsewhere: {"place": "another machine"}, dead: {"born": me["born"] - 100}}
        for name, change in changes.items():
            connection.send(Request.json("PUT", f"/{name}/_mapping", {"_meta": {OWNER: {**me, **change}}}))
        found = clear_leftovers(connection)
        assert [name for name in found.removed if index in name] == [dead]
        assert set(copies) - set(found.kept) == {dead}
        assert copies_of(connection, index) == sorted(set(copies) - {dead})
    finally:
        for name in copies:
            connection.transport.send(Request.json("DELETE", f"/{name}"))


def test_seismic_is_measured_where_the_engine_has_it(connection, index) -> None:
    """OpenSearch finds nearly all by it, it is chosen by nobody; Elasticsearch has none, and says what it has."""
    grid = Grid(["hnsw"], ["rank_features", "seismic"], candidates=(100,), min_shares=(0.0,), two_phase=(0.0,))
    request = request_of(connection, index, grid, legs=(Leg.SPARSE,))
    if connection.dialect.engine == "elasticsearch":
        with pytest.raises(UnsupportedError, match=r"no sparse_index seismic.*rank_features"):
            run_sweep(connection, request)
        return
    sweep = run_sweep(connection, request)
    rows = {row.build.kind: row for row in sweep.rows}
    assert set(rows) == {"rank_features", "seismic"}, sweep.refused
    assert rows["seismic"].recall > 0.5
    assert cheapest(sweep.rows, at_least=0.0, by="latency")[Leg.SPARSE] == rows["rank_features"]
    assert WHY_NOT_CHOSEN in list(notes(sweep, request, at_least=0.9, by="disk"))
    assert copies_of(connection, index) == []


def test_a_kind_that_is_not_there_is_refused_with_those_that_are(connection, index) -> None:
    """Nothing is built; the error names what the version has."""
    grid = Grid(["ivf"], candidates=(20,))
    with pytest.raises(UnsupportedError, match=r"no dense_index ivf.*int8_hnsw"):
        run_sweep(connection, request_of(connection, index, grid))


def test_an_alias_shows_what_it_shows(connection, index) -> None:
    """Only what passes the alias's filter is copied: 3 brands in turn, of one of them a third."""
    alias = {"filter": {"term": {"filter.brand": "Sony"}}}
    connection.send(Request.json("PUT", f"/{index}/_alias/{index}-sony", alias))
    sample = read_sample(connection, f"{index}-sony", SCHEMA, COUNT)
    assert len(sample.ids) == sample.total == COUNT // 3


def invoked(index, url, *flags):
    usual = ["--kinds", "hnsw", "--candidates", "100", "--min-share", "0,0.5", "--sample", "200", "--asked", "20"]
    return CliRunner().invoke(app, ["sweep", index, "--url", url, *usual, *flags], env={"COLUMNS": "160"})


def test_the_command_prints_draws_and_writes(index, engine_url, connection, tmp_path) -> None:
    """A table with marks, a picture, and settings that a settings file may have."""
    plot, settings = tmp_path / "sweep.svg", tmp_path / "sweep.toml"
    result = invoked(index, engine_url, "--plot", str(plot), "--write", str(settings), "--at-least", "0.9")
    assert result.exit_code == 0, result.output
    assert "recall@10" in result.output
    assert "200 passages" in result.output
    written = tomllib.loads(settings.read_text())
    assert written["engine"]["dense_index"] == "hnsw"
    assert written["search"]["candidates"] == 100
    rows = sum(result.output.count(f" {kind} ") for kind in ("rank_features", "hnsw", "seismic"))
    assert plot.read_text().count("<circle") == rows
    assert copies_of(connection, index) == []


def test_the_command_prints_json(index, engine_url) -> None:
    """Every row with its settings and figures, in bytes, milliseconds and seconds."""
    result = invoked(index, engine_url, "--json", "--legs", "dense")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["passages"], report["of"], report["queries"]) == (200, COUNT, "passages")
    [row] = report["rows"]
    assert row["settings"] == {
        "engine": {"dense_index": "hnsw", "hnsw_m": 16, "hnsw_ef_construction": 128},
        "search": {"candidates": 100},
    }
    assert (row["recall"], row["pareto"], row["chosen"]) == (1.0, True, True)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--candidates", "20"], "search.candidates: must be between search.window (100)"),
        (["--m", "few"], "--m: 'few' is no list of numbers"),
        (["--legs", "bm25"], "--legs: no options of bm25"),
        (["--two-phase", "1"], "search.two_phase: must be from 0 to below 1"),
        (["--plot", "sweep.pdf"], "only .svg and .png are drawn"),
    ],
    ids=["candidates", "m", "legs", "two-phase", "plot"],
)
def test_what_cannot_be_swept_is_said_first(index, engine_url, flags, said) -> None:
    """Values that are no settings, and places that are none, before anything is copied."""
    result = invoked(index, engine_url, *flags)
    assert (result.exit_code, said in result.output) == (2, True), result.output


class Known:
    """An encoder that gives each text, the name of a document, that document's own vectors."""

    dense, sparse, max_tokens, tokenizer = SCHEMA.dense, SCHEMA.sparse, 100, None

    def encode_queries(self, texts):
        own = {one.passage.document.id: one for one in passages(COUNT)}
        return EncodedTexts(np.stack([own[text].dense * 3 for text in texts]), [own[text].sparse for text in texts])


def test_queries_of_a_file_are_encoded(index, engine_url, tmp_path, monkeypatch) -> None:
    """Every passage is copied then; vectors need not have length one."""
    monkeypatch.setattr("hybrid_search.search.searcher.load_encoder", lambda *_, **__: Known())
    queries = tmp_path / "queries.tsv"
    queries.write_text("".join(f"q{number}\tdoc-{number}\n" for number in range(30)))
    result = invoked(index, engine_url, "--queries", str(queries), "--sample", "240", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["passages"], report["asked"], report["queries"]) == (COUNT, 20, "given")
    assert {row["leg"] for row in report["rows"]} == {"dense", "sparse"}
    assert max(row["recall"] for row in report["rows"] if row["leg"] == "dense") == 1.0
