"""Rankings of many queries, and the files in which the field exchanges them.

A line of a TREC run is ``query Q0 document rank score tag``, split at white space. trec_eval looks at neither the order
of lines nor the rank: it reads scores as float32 and orders equal ones by document id, descending. So a file that is
to give the figures that were reported must hold scores that fall from line to line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from hybrid_search.errors import RecordError, SettingsError, SourceError
from hybrid_search.private_files import make_folder, open_new
from hybrid_search.records import SearchResult

Ranking = Sequence[tuple[str, float]]
Rankings = Mapping[str, Ranking]

COLUMNS = 6

STEP = np.float32(1e-12)
"""The least by which a written score falls: float32's own steps near 0 are lost in programs that round them to 0."""


def run_of(results: Iterable[SearchResult]) -> dict[str, dict[str, float]]:
    """Scores by query id and document id, as ``ranx.Run`` and ``ir_measures`` take them.

    They order by score alone, so scores fall from hit to hit, as in a file (:func:`write_run`). A query without an id
    has its place in ``results`` as one, from 1.

    Raises:
        RecordError: two queries have one id.
    """
    run: dict[str, dict[str, float]] = {}
    for query_id, ranking in rankings_of(results).items():
        scores = falling([score for _, score in ranking])
        run[query_id] = {id_: float(score) for (id_, _), score in zip(ranking, scores, strict=True)}
    return run


def rankings_of(results: Iterable[SearchResult]) -> dict[str, list[tuple[str, float]]]:
    """Rankings as :func:`write_run` takes them; see :func:`run_of`."""
    found: dict[str, list[tuple[str, float]]] = {}
    for number, result in enumerate(results, start=1):
        query_id = str(number) if result.query.id is None else result.query.id
        if query_id in found:
            raise RecordError(f"two queries have the id {query_id!r}", remedy="Give each Query its own id")
        found[query_id] = [(hit.id, hit.score) for hit in result.hits]
    return found


def write_run(path: Path, rankings: Rankings, tag: str) -> None:
    """Write a TREC run; the folder is made if need be.

    Scores are written as float32, each at least a little below the one before, so that every program that sorts by
    them has the ranking as it is: a tie is told apart by its last digit.

    Args:
        path: where.
        rankings: by query id, ``(document id, score)`` pairs in rank order.
        tag: the name of the system, without white space.

    Raises:
        RecordError: a query or document id that holds white space, which the format cannot say.
        SettingsError: the file is there and is no TREC run.
    """
    _check_is_run(path)
    make_folder(path.parent)
    with open_new(path) as file:
        for query_id, ranking in rankings.items():
            scores = falling([score for _, score in ranking])
            for rank, ((document_id, _), score) in enumerate(zip(ranking, scores, strict=True), start=1):
                for id_ in (query_id, document_id):
                    if len(id_.split()) != 1:
                        raise RecordError(f"the id {id_!r} holds white space", where=str(path), remedy="Use other ids")
                file.write(f"{query_id} Q0 {document_id} {rank} {score!s} {tag}\n")


def _check_is_run(path: Path) -> None:
    """A run of an earlier evaluation is replaced; anything else is left untouched."""
    if not path.exists():
        return
    try:
        with path.open(encoding="utf-8") as file:
            columns = file.readline().split()
    except (OSError, UnicodeDecodeError):
        columns = ["?"]
    if columns and (len(columns) != 6 or columns[1] != "Q0"):
        raise SettingsError(
            "is not a TREC run, so it is left untouched", where=str(path), remedy="Name another folder with --runs"
        )


def falling(scores: Sequence[float]) -> Iterator[np.float32]:
    """The scores as float32, strictly decreasing: those that are not below the one before are set just below it."""
    last: np.float32 | None = None
    for score in scores:
        value = np.float32(score)
        if last is not None and not value < last:
            value = last - max(STEP, np.spacing(abs(last)))
        last = value
        yield value


def read_run(path: Path) -> dict[str, list[tuple[str, float]]]:
    """The rankings of a TREC run, each by descending score, ties as the ranks of the file say.

    Raises:
        SourceError: the file cannot be read.
        RecordError: a line has not six columns, or no whole rank, or no finite score.
    """
    found: dict[str, list[tuple[float, int, str]]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"the run cannot be read: {error}", where=str(path), remedy="Give a TREC run") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            query_id, document_id, rank, score = _cells(line, f"{path}:{number}")
            found.setdefault(query_id, []).append((-score, rank, document_id))
    return {query_id: [(id_, -score) for score, _, id_ in sorted(hits)] for query_id, hits in found.items()}


def _cells(line: str, where: str) -> tuple[str, str, int, float]:
    cells = line.split()
    if len(cells) != COLUMNS:
        raise RecordError(f"{len(cells)} columns", where=where, remedy="Expected: query Q0 document rank score tag")
    try:
        rank, score = int(cells[3]), float(cells[4])
    except ValueError:
        raise RecordError(
            f"rank {cells[3]!r} or score {cells[4]!r} is no number", where=where, remedy="Expected a rank and a score"
        ) from None
    if not math.isfinite(score):
        raise RecordError(f"the score {cells[4]} is not finite", where=where, remedy="Expected a finite score")
    return cells[0], cells[2], rank, score
