"""A sample of a source: documents from places all over it, and about how many there are in all.

A source that is read in parts (:mod:`hybrid_search.read.splits`) is cut into small ones, of which some are read from
end to end: their documents for each byte, times the bytes of all, are how many there are. One that cannot be cut, such
as a compressed file, is counted as far as that takes little time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from msgspec.structs import replace

from hybrid_search.errors import SourceError
from hybrid_search.ingest.options import SourceOptions
from hybrid_search.ingest.origin import origin_of
from hybrid_search.read import documents
from hybrid_search.read.indexed import Asked, Origin
from hybrid_search.read.raw import OnBad
from hybrid_search.read.splits import Split, can_be_split, plan_splits, read_split
from hybrid_search.records import Document
from hybrid_search.settings import Settings
from hybrid_search.settings.documents import REFUSE

SPLIT_BYTES = 1 << 16
"""Of the parts that are read."""

PARTS = 16
"""How many of them, from the first to the last."""

SECONDS = 5.0
"""How long it is counted what cannot be cut."""


@dataclass(slots=True)
class Sample:
    """Documents of a source, and about how many there are (None: not known)."""

    documents: list[Document] = field(default_factory=list)
    total: int | None = None
    is_exact: bool = False


def sample_of(source: str, settings: Settings, what: SourceOptions, count: int) -> Sample:
    """About ``count`` documents of a source.

    Bad records are passed over, ids that come again do not matter.

    Raises:
        SourceError: it cannot be read, or has no document.
    """
    settings = replace(settings, documents=replace(settings.documents, repeated_ids=REFUSE))
    with origin_of(source, settings) as origin:
        found = _sampled(source, settings, what, count, origin)
    if not found.documents:
        raise SourceError("no document was found in it", where=source, remedy="Look at it with: hybrid-search init")
    return found


def _sampled(source: str, settings: Settings, what: SourceOptions, count: int, origin: Origin | None) -> Sample:
    if not can_be_split(source):
        return Sample(list(islice(_all(source, settings, what, origin), count)))
    if origin is not None:
        first = list(islice(_all(source, settings, what, origin), count))
        return Sample(first, origin.count(Asked(source, what.query)), True)
    splits = _splits(source, settings, what)
    if len(splits) == 1 or not all(split.size for split in splits):
        return _counted(_all(source, settings, what, origin), count)
    return _of_parts(splits, settings, count)


def _splits(source: str, settings: Settings, what: SourceOptions) -> list[Split]:
    return plan_splits(
        source,
        format=what.format,
        split_bytes=SPLIT_BYTES,
        records_path=what.records_path,
        query=what.query,
        follow_links=settings.documents.follow_links,
    )


def _of_parts(splits: Sequence[Split], settings: Settings, count: int) -> Sample:
    """Some parts from end to end, evenly spread; all of them where there are few."""
    step = max(1.0, len(splits) / PARTS)
    chosen = [splits[int(place * step)] for place in range(min(PARTS, len(splits)))]
    read = [list(read_split(split, settings.documents, on_bad=_pass_over)) for split in chosen]
    size, number = sum(split.size for split in chosen), sum(map(len, read))
    total = round(number * sum(split.size for split in splits) / size)
    each = max(1, count // len(chosen))
    kept = [document for part in read for document in part[:: max(1, len(part) // each)][:each]]
    return Sample(kept, total, len(chosen) == len(splits))


def _counted(found: Iterator[Document], count: int) -> Sample:
    """The first documents, and how many there are, if they are counted in time."""
    sample = Sample(list(islice(found, count)))
    began, number = time.monotonic(), len(sample.documents)
    for _ in found:
        number += 1
        if number % 64 == 0 and time.monotonic() - began > SECONDS:
            return sample
    sample.total, sample.is_exact = number, True
    return sample


def _all(source: str, settings: Settings, what: SourceOptions, origin: Origin | None) -> Iterator[Document]:
    on_bad: OnBad = _pass_over
    return documents(
        source,
        settings.documents,
        format=what.format,
        unique_ids=False,
        on_bad=on_bad,
        records_path=what.records_path,
        query=what.query,
        origin=origin,
    )


def _pass_over(_error: object, _data: bytes) -> None:
    """A load says what is wrong with it."""
