"""What is swept: the ways to build an index, each with the ways to search it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hybrid_search.engine.protocols import Capabilities
from hybrid_search.engine.templates import is_quantised
from hybrid_search.errors import UnsupportedError
from hybrid_search.records import Leg

FLAT = "flat"
DISK = "disk"
SEISMIC = "seismic"
"""Measured where the engine has it, and no setting (:mod:`hybrid_search.evaluate.sweep.seismic`)."""


@dataclass(frozen=True, slots=True, order=True)
class Build:
    """One way to index the vectors of a leg.

    Attributes:
        leg: ``dense`` or ``sparse``.
        kind: ``engine.dense_index`` or ``engine.sparse_index``.
        m: ``engine.hnsw_m``; None where there is no graph.
        ef_construction: ``engine.hnsw_ef_construction``; None where there is no graph.
        min_share: ``sparse.min_share``, the share of a passage's heaviest term below which terms are left out; 0
            keeps all.
    """

    leg: Leg
    kind: str
    m: int | None = None
    ef_construction: int | None = None
    min_share: float = 0.0

    @property
    def has_graph(self) -> bool:
        """Whether ``m`` and ``ef_construction`` say anything."""
        return has_graph(self.kind) and self.leg == Leg.DENSE

    @property
    def can_be_set(self) -> bool:
        """Whether an index can be made so by settings."""
        return self.kind != SEISMIC


@dataclass(frozen=True, slots=True)
class Way:
    """One way to search an index, by the settings ``search.candidates``, ``two_phase`` and ``oversample``."""

    candidates: int
    two_phase: float = 0.0
    oversample: float | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """The values that are combined; ``dense_kinds`` and ``sparse_kinds`` None are all that the engine's version has."""

    dense_kinds: Sequence[str] | None = None
    sparse_kinds: Sequence[str] | None = None
    m: Sequence[int] = (16,)
    ef_construction: Sequence[int] = (128,)
    candidates: Sequence[int] = (100, 200, 400)
    min_shares: Sequence[float] = (0.0, 0.1, 0.2)
    two_phase: Sequence[float] = (0.0, 0.4)
    oversample: Sequence[float] = ()

    def builds(self, leg: Leg, capabilities: Capabilities) -> list[Build]:
        """Every way to build the leg, once.

        Raises:
            UnsupportedError: a kind that this version does not have.
        """
        if leg == Leg.SPARSE:
            known = capabilities.sparse_index_types | capabilities.sparse_measured
            kinds = _known("sparse_index", self.sparse_kinds, known)
            return [Build(leg, kind, min_share=share) for kind in kinds for share in self.min_shares]
        kinds = _known("dense_index", self.dense_kinds, capabilities.dense_index_types)
        return list(dict.fromkeys(build for kind in kinds for build in self._graphs(leg, kind)))

    def _graphs(self, leg: Leg, kind: str) -> Iterator[Build]:
        if not has_graph(kind):
            yield Build(leg, kind)
            return
        for m in self.m:
            for width in self.ef_construction:
                if width >= m:
                    yield Build(leg, kind, m, width)

    def ways(self, build: Build) -> list[Way]:
        """Every way to search it: a comparison with whole vectors has no width, and only sparse terms have phases."""
        if build.kind == SEISMIC:
            return [Way(max(self.candidates))]
        if build.leg == Leg.SPARSE:
            return [Way(max(self.candidates), share) for share in self.two_phase]
        is_exact = build.kind == FLAT
        times = [None, *self.oversample] if is_quantised(build.kind) else [None]
        return [Way(width, 0.0, x) for width in (self.candidates[:1] if is_exact else self.candidates) for x in times]


def has_graph(kind: str) -> bool:
    """Whether a kind is searched by a graph whose shape can be chosen: flat ones and ``bbq_disk`` are not."""
    return FLAT not in kind and kind != "bbq_disk"


def settings_of(build: Build, way: Way) -> dict[str, dict[str, Any]]:
    """The settings of a row, by section, as a settings file has them."""
    if build.leg == Leg.SPARSE:
        engine: dict[str, Any] = {"sparse_index": build.kind}
        share = {"sparse": {"min_share": build.min_share}} if build.min_share else {}
        return {"engine": engine, **share, "search": {"two_phase": way.two_phase}}
    engine = {"dense_index": build.kind}
    if build.has_graph:
        engine |= {"hnsw_m": build.m, "hnsw_ef_construction": build.ef_construction}
    times = {} if way.oversample is None else {"oversample": way.oversample}
    return {"engine": engine, "search": {"candidates": way.candidates, **times}}


def _known(section: str, wanted: Sequence[str] | None, known: frozenset[str]) -> list[str]:
    """The kinds that are wanted, or all; one that is not there is refused with those that are."""
    missing = sorted(set(wanted or ()) - known)
    if missing:
        raise UnsupportedError(
            f"this version of the engine has no {section} {', '.join(missing)}",
            where="sweep",
            remedy=f"It has: {', '.join(sorted(known))}",
        )
    return sorted(known) if wanted is None else list(dict.fromkeys(wanted))
