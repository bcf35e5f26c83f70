"""An index in parts: ranges of the sequence numbers of its shards, each known again by what it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybrid_search.engine.snapshots import SEQUENCE, Held, PointExpiredError, Shard, Snapshots, within
from hybrid_search.errors import SourceChangedError

MOST_PARTS = 2_000
"""Of a shard; one that has had more operations is cut into larger ones."""

FIRST_PAGE, LARGEST_PAGE, PAGE_BYTES = 100, 2_000, 4 << 20
"""Documents of the first page, the most of any, and the characters that a page is to have."""

REOPENED = 20
"""Points in time that may be lost in a row without a page between them."""

Query = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Part:
    """Sequence numbers of a shard, from ``begin`` to before ``end``, and what they had of documents at the start."""

    index: str
    uuid: str
    shard: int
    begin: int
    end: int
    held: Held

    @property
    def key(self) -> str:
        """What it is known by as long as the index is the same."""
        return f"{self.uuid}[{self.shard}]:{self.begin}-{self.end}"


def parts_of(snapshots: Snapshots, shard: Shard, uuid: str, query: Query, operations: int) -> Iterator[Part]:
    """The parts of a shard that hold a document, ascending; each of so many operations, or more where it has many."""
    while True:
        try:
            end = snapshots.greatest(shard, query) + 1
            while end > operations * MOST_PARTS:
                operations *= 2
            ranges = [(begin, min(begin + operations, end)) for begin in range(0, end, operations)]
            found = snapshots.held(shard, ranges, query)
        except PointExpiredError:
            continue
        for (begin, behind), held in zip(ranges, found, strict=True):
            if held.count:
                yield Part(shard.index, uuid, shard.number, begin, behind, held)
        return


def hits_of(
    snapshots: Snapshots, part: Part, begin: int, body: Mapping[str, Any], query: Query
) -> Iterator[Mapping[str, Any]]:
    """The hits of a part from a sequence number on, which is the only value of their ``sort``; page by page.

    Args:
        snapshots: where it is read.
        part: as it was planned.
        begin: the first number.
        body: what is asked of each hit: ``_source``.
        query: which documents of the part.

    Raises:
        SourceChangedError: the point in time was lost, and the part has not the same documents any more.
    """
    shard, size, lost = Shard(part.index, part.shard), FIRST_PAGE, 0
    must = [] if query is None else [query]
    while begin < part.end:
        matching = {"bool": {"filter": [within(begin, part.end), *must]}}
        asked = {**body, "size": size, "query": matching, "sort": [{SEQUENCE: "asc"}], "track_total_hits": False}
        try:
            hits = snapshots.search(shard, asked)["hits"]["hits"]
        except PointExpiredError:
            lost += 1
            _check_unchanged(snapshots, part, query, lost)
            continue
        yield from hits
        if len(hits) < size:
            return
        lost, begin, size = 0, hits[-1]["sort"][0] + 1, _next_size(hits, size)


def _check_unchanged(snapshots: Snapshots, part: Part, query: Query, lost: int) -> None:
    """Raise SourceChangedError unless the shard as it is now has the same documents in a part."""
    shard, what = Shard(part.index, part.shard), "points in time are lost at once"
    while lost < REOPENED:
        try:
            held = snapshots.held(shard, [(part.begin, part.end)], query)
        except PointExpiredError:
            lost += 1
            continue
        if held == [part.held]:
            return
        what = "has changed since its point in time was lost"
        break
    remedy = "Run the same command again: it goes on with what was not loaded or has changed"
    raise SourceChangedError(what, where=str(shard), remedy=remedy)


def _next_size(hits: Sequence[Mapping[str, Any]], size: int) -> int:
    """Documents of the next page: by the length of some of these."""
    some = hits[:: max(1, len(hits) // 8)]
    average = sum(len(str(hit.get("_source"))) for hit in some) / len(some)
    return max(1, min(2 * size, LARGEST_PAGE, int(PAGE_BYTES / max(1.0, average))))
