"""What a load is about to do, said before it encodes: documents, passages and minutes, by a sample."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hybrid_search.cli.estimate import expected_documents
from hybrid_search.errors import HybridSearchError
from hybrid_search.settings import NO_MODEL
from hybrid_search.settings.documents import REFUSE

if TYPE_CHECKING:
    from hybrid_search.encode.protocols import TextEncoder
    from hybrid_search.ingest.source import SourceOptions
    from hybrid_search.read.indexed import Origin
    from hybrid_search.records import Document
    from hybrid_search.settings import Settings

SAMPLE = 64
"""Documents that are read and cut to see how many passages they have."""
MEASURED = 1.5
"""Seconds in which passages are encoded to see how fast that is."""
AT_ONCE = 8
"""Passages that are encoded together while it is measured."""
SMALL = 4 * SAMPLE
"""Sources of fewer documents are loaded before a measurement would be worth it."""
LONG = 600.0
"""Seconds from which on it is said what would be faster."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Documents (None: not known), passages for each, and passages encoded in a second (None: not measured)."""

    documents: int | None
    passages_each: float
    speed: float | None

    @property
    def passages(self) -> int | None:
        """Of the whole source, about."""
        return None if self.documents is None else round(self.documents * self.passages_each)

    @property
    def seconds(self) -> float | None:
        """Of encoding, where no document is in the index or the cache yet."""
        return self.passages / self.speed if self.passages is not None and self.speed else None


def outlook_of(source: str, settings: Settings, encoder: TextEncoder, what: SourceOptions) -> Outlook | None:
    """What a look at the first documents promises; None for a pipe or a data set of the hub, or where it fails.

    An error of the source is left to the load, which says it in its place.
    """
    from hybrid_search.ingest.origin import origin_of
    from hybrid_search.read.splits import can_be_split

    if not can_be_split(source):
        return None
    try:
        with origin_of(source, settings) as origin:
            total, first = _total(source, what, origin), _first(source, settings, what, origin)
        passages = _passages(first, settings, encoder)
        if not first:
            return None
        total = len(first) if len(first) < SAMPLE else total
        worth_it = passages and (total is None or total >= SMALL)
        speed = _speed(passages, encoder.encode_documents, time.perf_counter) if worth_it else None
    except HybridSearchError:
        return None
    carried = sum(document.carries_vectors for document in first)
    return Outlook(total, (len(passages) + carried) / len(first), speed)


def sentences(outlook: Outlook, settings: Settings, index: str, *, is_terminal: bool) -> list[str]:
    """The outlook in words, for standard error."""
    documents = "an unknown number of" if outlook.documents is None else f"about {outlook.documents:,}"
    said = f"{documents} documents of {outlook.passages_each:.1f} passages"
    if outlook.speed is not None:
        said += f", {outlook.speed:,.0f} passages/s encoded here"
    seconds = outlook.seconds
    if seconds is not None:
        said += f": {_duration(seconds)}, less for what is there already"
    lines = [f"{index}: {said}."]
    if seconds is not None and seconds >= LONG:
        lines += _faster(settings)
    if is_terminal and (seconds is None or seconds >= LONG / 10):
        lines.append("Ctrl-C stops it in order; run again, it goes on where it stopped.")
    return lines


def _faster(settings: Settings) -> list[str]:
    """What would shorten a long load, of what is not done already."""
    ways = []
    if _is_on_processor(settings):
        ways.append("a GPU")
        if settings.sparse.model not in {"starter", "idf", "precomputed", NO_MODEL}:
            ways.append("sparse.model = starter or idf rather than a SPLADE model")
        if settings.dense.model not in {"precomputed", NO_MODEL}:
            ways.append("a smaller dense.model")
            ways.append("--set dense.model=none --set sparse.model=idf for words alone")
    ways.append("--limit 1000 for a first look")
    return [f"Faster: {'; '.join(ways)}."]


def _is_on_processor(settings: Settings) -> bool:
    """Whether models run on the CPU; what needs none is not asked."""
    torch = sys.modules.get("torch")
    device = settings.dense.device or settings.sparse.device or ""
    return torch is not None and (device.startswith("cpu") or not torch.cuda.is_available())


def _total(source: str, what: SourceOptions, origin: Origin | None) -> int | None:
    from hybrid_search.read.indexed import Asked

    total = expected_documents(Path(source)) if origin is None else origin.count(Asked(source, what.query))
    return what.limit if total is None else min(total, what.limit or total)


def _first(source: str, settings: Settings, what: SourceOptions, origin: Origin | None) -> list[Document]:
    """The first documents; bad records are passed over, ids that come again do not matter."""
    from hybrid_search.read import documents

    plain = replace(settings.documents, repeated_ids=REFUSE)
    found = documents(
        source,
        plain,
        format=what.format,
        unique_ids=False,
        on_bad=lambda _error, _data: None,
        records_path=what.records_path,
        query=what.query,
        origin=origin,
    )
    return list(islice(found, SAMPLE if what.limit is None else min(SAMPLE, what.limit)))


def _passages(first: Sequence[Document], settings: Settings, encoder: TextEncoder) -> list[str]:
    """The texts of the passages that would be encoded."""
    from hybrid_search.ingest.stages.chunking import Chunking
    from hybrid_search.ingest.target import passage_title
    from hybrid_search.ingest.work import Batch, NumberedDocument

    texts = [document for document in first if not document.carries_vectors]
    if not texts:
        return []
    numbered = [NumberedDocument(number, document, "") for number, document in enumerate(texts)]
    cut = Chunking(encoder, settings.chunking, passage_title(settings))(Batch(0, len(numbered), numbered))
    return [passage.for_models for part in cut.items for passage in part.passages]


def _speed(passages: Sequence[str], encode: Callable[[Sequence[str]], object], clock: Callable[[], float]) -> float:
    """Passages in a second, after a first one that warms up."""
    encode(passages[:1])
    began, done = clock(), 0
    while done < len(passages) and (done == 0 or clock() - began < MEASURED):
        batch = passages[done : done + AT_ONCE]
        encode(batch)
        done += len(batch)
    return done / max(clock() - began, 1e-9)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {seconds / 60:,.0f} minutes" if seconds < 5400 else f"about {seconds / 3600:,.1f} hours"
