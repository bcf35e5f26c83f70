"""What every leg found for every judged query: retrieved once, kept in a file, and tuned over as often as one likes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from hybrid_search.engine import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.evaluate.retrieval import OnProgress, retrieve_in_full
from hybrid_search.private_files import make_folder, open_new
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.search.leg import SearchLeg
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.search.searcher import Searcher
from hybrid_search.search.signals import unknown_in
from hybrid_search.weight_rules import words_of

FORMAT = 4


@dataclass(frozen=True, slots=True)
class QueryRuns:
    """What each leg found for one query: ``(document id, score)`` pairs by the leg's name.

    ``missing`` has the score of what a leg did not find, where it found all that it can; ``passages`` the id of the
    passage by which each leg found a document, by the leg's name and the document's id. ``words`` and ``unknown`` are
    signals of rules (:mod:`hybrid_search.weight_rules`).
    """

    runs: Mapping[str, Sequence[tuple[str, float]]]
    missing: Mapping[str, float]
    passages: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    words: int | None = None
    unknown: float | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """The runs of all queries by query id; ``window`` is how many documents each leg was to rank."""

    legs: tuple[str, ...]
    window: int
    queries: Mapping[str, QueryRuns]


@dataclass(frozen=True, slots=True)
class RunCache:
    """Files of runs in a folder, each named by a digest of what it depends on: what has changed is another file."""

    folder: Path
    connection: Connection

    def path(self, searcher: Searcher, queries: Sequence[Query], legs: Sequence[SearchLeg], window: int) -> Path:
        """The file of these queries on the index as it is now, as far as its name, which may be an alias, shows it."""
        target, settings = searcher.target, searcher.settings
        seen = [target.index, target.within, repr(target.schema), self._state(target.index)]
        ways = [
            settings.search.dfs,
            settings.search.candidates,
            settings.search.oversample,
            repr(settings.dense),
            repr(settings.sparse),
        ]
        how = [[str(leg.name) for leg in legs], window, *ways]
        what = [FORMAT, seen, how, [_asked(query) for query in queries]]
        return self.folder / f"runs-{hashlib.sha256(orjson.dumps(what)).hexdigest()[:24]}.jsonl"

    def _state(self, index: str) -> list[Any]:
        """What changes with every passage that is written or deleted: each shard's highest sequence number."""
        answer = self.connection.send(Request.json("GET", f"/{quote(index, safe='')}/_stats?level=shards"))
        return [[name, one.get("uuid"), *_last_writes(one)] for name, one in sorted(answer["indices"].items())]


def _asked(query: Query) -> list[Any]:
    """All of a query that decides what is found."""
    dense = None if query.dense is None else query.dense.tolist()
    sparse = None if query.sparse is None else sorted((term, float(weight)) for term, weight in query.sparse.items())
    return [query.id, query.text, dense, sparse, repr(query.filter)]


def _last_writes(stats: Mapping[str, Any]) -> list[int]:
    shards = sorted(stats["shards"].items())
    return [max(copy["seq_no"]["max_seq_no"] for copy in copies) for _, copies in shards]


def collect(
    client: SearchClient,
    queries: Sequence[Query],
    legs: Sequence[SearchLeg],
    window: int,
    *,
    cache: RunCache | None = None,
    progress: OnProgress | None = None,
) -> Collected:
    """The runs of ``legs``, from the file of an earlier call where nothing has changed since, else retrieved and kept.

    Args:
        client: of the index.
        queries: those that are judged.
        legs: which are asked.
        window: documents that each leg ranks.
        cache: where runs are kept; None to keep nothing.
        progress: told how many queries are retrieved.

    Raises:
        EngineError: a leg failed for a query, or answered in part: runs with holes are nothing to tune on.
    """
    names = tuple(str(leg.name) for leg in legs)
    path = None if cache is None else cache.path(client.searcher, queries, legs, window)
    if path is not None and (kept := _kept(path, queries)) is not None:
        return Collected(names, window, _with_signals(kept, client, queries))
    told = progress or (lambda *_: None)
    retrieved = retrieve_in_full(client, queries, told, legs=legs, window=window)
    found = {str(one.query.id): _runs(one) for one in retrieved}
    if path is not None:
        _keep(path, found)
    return Collected(names, window, _with_signals(found, client, queries))


def _with_signals(
    found: Mapping[str, QueryRuns], client: SearchClient, queries: Sequence[Query]
) -> dict[str, QueryRuns]:
    """The runs with what rules look at in the text of each query: it is no part of the file."""
    encoder = client.searcher.encoder
    return {
        (id_ := str(query.id)): replace(
            found[id_], words=words_of(query.plain) or None, unknown=unknown_in(query.plain, encoder)
        )
        for query in queries
    }


def _runs(one: Retrieved) -> QueryRuns:
    runs = {str(name): [(best.id, best.score) for best in run.values()] for name, run in one.runs.items()}
    passages = {str(name): {best.id: best.passage_id for best in run.values()} for name, run in one.runs.items()}
    return QueryRuns(runs, {str(name): score for name, score in one.missing.items()}, passages)


def _kept(path: Path, queries: Sequence[Query]) -> dict[str, QueryRuns] | None:
    """The runs of the file; None where there is none, or it is not whole."""
    try:
        lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        found = {line["query"]: _read(line) for line in lines}
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return found if set(found) == {str(query.id) for query in queries} else None


def _read(line: Mapping[str, Any]) -> QueryRuns:
    runs = {str(leg): [(str(id_), float(score)) for id_, score in run] for leg, run in line["runs"].items()}
    passages = {str(leg): {str(id_): str(of) for id_, of in its.items()} for leg, its in line["passages"].items()}
    return QueryRuns(runs, {str(leg): float(score) for leg, score in line["missing"].items()}, passages)


def _keep(path: Path, found: Mapping[str, QueryRuns]) -> None:
    """A file that cannot be written costs the next call a retrieval, and nothing else."""
    lines = (
        {
            "query": id_,
            "runs": one.runs,
            "missing": one.missing,
            "passages": one.passages,
        }
        for id_, one in found.items()
    )
    try:
        make_folder(path.parent)
        partial = path.with_suffix(".partial")
        with open_new(partial) as file:
            file.writelines(orjson.dumps(line).decode() + "\n" for line in lines)
        partial.replace(path)
    except OSError:
        return
