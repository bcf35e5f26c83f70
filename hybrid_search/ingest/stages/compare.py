"""The stage that leaves out documents that the index already holds as they are, and finds passages gone stale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from hybrid_search.ingest.state.indexed import IndexedDocument
from hybrid_search.ingest.work import Batch, ChunkedDocument


def changed(
    work: Iterable[Batch[ChunkedDocument]],
    indexed: Callable[[Sequence[str]], Mapping[str, IndexedDocument]],
    unchanged: Callable[[int], None],
) -> Iterator[Batch[ChunkedDocument]]:
    """Pass on what is new or different.

    Args:
        work: documents cut into passages.
        indexed: what the index holds of documents with these ids.
        unchanged: told how many documents were left out.
    """
    for batch in work:
        held = indexed([item.document.id for item in batch.items])
        kept = [_with_stale(item, held.get(item.document.id)) for item in batch.items if not _is_held(item, held)]
        unchanged(len(batch.items) - len(kept))
        yield Batch(batch.first, batch.end, kept)


def _is_held(item: ChunkedDocument, held: Mapping[str, IndexedDocument]) -> bool:
    there = held.get(item.document.id)
    return there is not None and there.is_whole(item.digest) and there.passages == len(item.passages)


def _with_stale(item: ChunkedDocument, there: IndexedDocument | None) -> ChunkedDocument:
    if there is None or there.highest < len(item.passages):
        return item
    stale = tuple(f"{item.document.id}#{number}" for number in range(len(item.passages), there.highest + 1))
    return replace(item, stale=stale)
