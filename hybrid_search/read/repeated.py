"""Documents whose ids come again in one source: left out, kept instead of the earlier ones, or numbered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from hybrid_search.read.identity import IdHashes
from hybrid_search.records import Document
from hybrid_search.settings.documents import FIRST, LAST


@dataclass(slots=True)
class Repetitions:
    """How many documents a rule has left out or numbered, and the id of the first of them."""

    left_out: int = 0
    numbered: int = 0
    example: str = ""

    def notes(self) -> Iterator[str]:
        """Sentences for the report of a load."""
        for count, what in ((self.left_out, "left out"), (self.numbered, "numbered")):
            if count:
                many = "document was" if count == 1 else "documents were"
                yield f"{count:,} {many} {what}, as ids came again, {self.example!r} first (documents.repeated_ids)"


def settled(
    documents: Iterable[Document],
    rule: str,
    again: Callable[[], Iterable[Document]],
    counts: Repetitions,
) -> Iterator[Document]:
    """The documents with ids of their own, by ``documents.repeated_ids``, and without positions to resume at.

    Whether an id came before is known only to who reads from the beginning. ``again`` gives the documents once more,
    for ``last``. Memory holds about 16 bytes for each document, as :class:`IdHashes` says.
    """
    if rule == LAST:
        kept = _last(documents, again(), counts)
    else:
        kept = _first(documents, counts) if rule == FIRST else _numbered(documents, counts)
    return (replace(document, position=None) for document in kept)


def _first(documents: Iterable[Document], counts: Repetitions) -> Iterator[Document]:
    ids = IdHashes()
    for document in documents:
        if ids.add(document.id):
            yield document
        else:
            counts.left_out += 1
            counts.example = counts.example or document.id


def _last(documents: Iterable[Document], again: Iterable[Document], counts: Repetitions) -> Iterator[Document]:
    """Those that no later one has the id of."""
    to_come = _repeated(again)
    for document in documents:
        rest = to_come.get(document.id, 0)
        if rest:
            to_come[document.id] = rest - 1
            counts.left_out += 1
            counts.example = counts.example or document.id
        else:
            yield document


def _repeated(documents: Iterable[Document]) -> dict[str, int]:
    """How often each id comes again after its first time, of those that do."""
    ids = IdHashes()
    times: dict[str, int] = {}
    for document in documents:
        if not ids.add(document.id):
            times[document.id] = times.get(document.id, 0) + 1
    return times


def _numbered(documents: Iterable[Document], counts: Repetitions) -> Iterator[Document]:
    """``a``, ``a-2``, ``a-3``: the first keeps its id."""
    ids = IdHashes()
    times: dict[str, int] = {}
    for document in documents:
        if ids.add(document.id):
            yield document
            continue
        counts.numbered += 1
        counts.example = counts.example or document.id
        yield replace(document, id=_free_id(document.id, ids, times))


def _free_id(id_: str, ids: IdHashes, times: dict[str, int]) -> str:
    """The id with the next number that no document before has."""
    while True:
        times[id_] = times.get(id_, 1) + 1
        numbered = f"{id_}-{times[id_]}"
        if ids.add(numbered):
            return numbered
