"""What ``models check`` shows of every way to run a model: its results beside torch's in float32, and its speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median
from typing import Generic, TypeVar

import numpy as np

from hybrid_search.encode.agreement import keep
from hybrid_search.encode.backends.runtimes import installed
from hybrid_search.encode.protocols import Reranker, TextEncoder
from hybrid_search.encode.trials import alike_by_leg
from hybrid_search.errors import HybridSearchError, SettingsError
from hybrid_search.records import PRECISION, Fingerprint
from hybrid_search.settings import EncodeSettings
from hybrid_search.settings.models import COMPUTES

QUERIES = tuple(f"how many lakes were surveyed in {1990 + number}" for number in range(15))
"""Our own; they are timed one by one."""
AT_ONCE = 32
"""Passages of a call that is timed."""

T = TypeVar("T")
OnWay = Callable[[str], None]
Agreement = Mapping[str, float]
"""By leg."""


@dataclass(frozen=True, slots=True)
class WayMeasured:
    """One backend in one precision.

    Attributes:
        backend: its name.
        precision: what it computes in.
        agreement: with torch in float32, by leg: the least cosine over texts; of a reranker (``scores``), 1 less the
            largest difference of two scores in parts of the largest score. None where it cannot run the model.
        passages_per_second: encoded, or pairs scored.
        query_ms: median milliseconds for one query, or one pair.
        refused: why it cannot run the model.
    """

    backend: str
    precision: str
    agreement: Mapping[str, float] | None = None
    passages_per_second: float | None = None
    query_ms: float | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """How a kind of model is loaded, asked and compared.

    Attributes:
        load: it, to be run in some way.
        passages: what it does with several passages.
        query: what it does with one query.
        agreement: of one with the reference, over some passages.
        keep: remembers an agreement that a search may ask for.
    """

    load: Callable[[EncodeSettings], T]
    passages: Callable[[T, Sequence[str]], object]
    query: Callable[[T, str], object]
    agreement: Callable[[T, T, Sequence[str]], Agreement]
    keep: Callable[[T, Agreement], None] = lambda *_: None


def encoders(load: Callable[[EncodeSettings], TextEncoder]) -> Kind[TextEncoder]:
    """Bi-encoders, SPLADE models, and both at once."""
    return Kind(
        load,
        lambda encoder, texts: encoder.encode_documents(texts),
        lambda encoder, text: encoder.encode_queries([text]),
        lambda one, reference, texts: least(
            alike_by_leg(one.encode_documents(texts), reference.encode_documents(texts)),
            alike_by_leg(one.encode_queries(QUERIES), reference.encode_queries(QUERIES)),
        ),
        _keep,
    )


def rerankers(load: Callable[[EncodeSettings], Reranker]) -> Kind[Reranker]:
    """Cross-encoders."""

    def agreement(one: Reranker, reference: Reranker, texts: Sequence[str]) -> Agreement:
        ours, theirs = (reranker.score(QUERIES[0], texts) for reranker in (one, reference))
        return {"scores": 1.0 - float(np.abs(ours - theirs).max() / max(1.0, float(np.abs(theirs).max())))}

    return Kind(
        load,
        lambda reranker, texts: reranker.score(QUERIES[0], texts),
        lambda reranker, text: reranker.score(text, [QUERIES[0]]),
        agreement,
    )


def measure_ways(
    kind: Kind[T], passages: Sequence[str], *, seconds: float, on_way: OnWay = lambda _: None
) -> Iterator[WayMeasured]:
    """Every backend that is installed, in every precision that it has and this machine computes in; torch first.

    Args:
        kind: of the model.
        passages: some, of lengths as they come.
        seconds: for the timing of each.
        on_way: told what is about to be loaded.

    Raises:
        ModelError: torch cannot run it either.
    """
    reference = kind.load(EncodeSettings(backend="torch"))
    shown: dict[str, tuple[T, Agreement]] = {}
    for backend in ("torch", *installed()):
        for precision in COMPUTES[backend]:
            on_way(f"{backend} {precision}")
            try:
                is_reference = (backend, precision) == ("torch", "fp32")
                one = reference if is_reference else kind.load(EncodeSettings(backend=backend, precision=precision))
                agreement = kind.agreement(one, reference, passages)
            except SettingsError:  # a CPU has no fp16, a GPU no OpenVINO
                continue
            except HybridSearchError as error:
                yield WayMeasured(backend, precision, refused=error.what)
                continue
            speed = passages_per_second(lambda texts, one=one: kind.passages(one, texts), passages, seconds)  # type: ignore[misc]  # mypy has no type for the default
            yield WayMeasured(backend, precision, agreement, speed, milliseconds(lambda q, one=one: kind.query(one, q)))  # type: ignore[misc]
            shown[precision] = one, least(agreement, shown.get(precision, (one, agreement))[1])
    for one, found in shown.values():  # whichever backend a search will take
        kind.keep(one, found)


def least(one: Agreement, other: Agreement) -> Agreement:
    """The lower of two for each leg."""
    return {leg: min(value, other[leg]) for leg, value in one.items()}


def passages_per_second(encode: Callable[[Sequence[str]], object], passages: Sequence[str], seconds: float) -> float:
    """As many calls as fit into some seconds, and at least two."""
    texts, begin, count = list(islice(cycle(passages), AT_ONCE)), time.perf_counter(), 0
    while count < 2 * len(texts) or time.perf_counter() - begin < seconds:
        encode(texts)
        count += len(texts)
    return count / (time.perf_counter() - begin)


def milliseconds(ask: Callable[[str], object]) -> float:
    """The median for one query."""
    times = []
    for query in QUERIES:
        begin = time.perf_counter()
        ask(query)
        times.append(time.perf_counter() - begin)
    return 1000 * median(times)


def _keep(encoder: TextEncoder, agreement: Agreement) -> None:
    """For searches, where the precision is part of a fingerprint."""
    for leg, model in (("dense", encoder.dense), ("sparse", encoder.sparse)):
        if isinstance(model, Fingerprint) and PRECISION in model.extra:
            keep(model, agreement[leg])
