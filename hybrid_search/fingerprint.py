"""What a model is known by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hybrid_search.probes import ALIKE, PROBE, likeness_of

TRUNCATED_FROM = "truncated_from"
"""Key of a dense fingerprint's ``extra``: components that the model gives, where the first of them are kept."""
PRECISION = "precision"
"""Key of a fingerprint's ``extra``: the precision of the model, where it changes vectors enough to matter."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What makes two encoders interchangeable: all of it is kept in the index and compared when it is opened.

    ``weights`` and ``vocabulary`` are SHA-256 prefixes of the files (hexadecimal); ``name`` is for people and is
    not compared. ``extra`` holds what else changes the vectors (head, pruning, quantisation).
    """

    kind: str
    name: str
    weights: str
    dimension: int | None = None
    pooling: str | None = None
    normalized: bool | None = None
    max_tokens: int | None = None
    vocabulary: str | None = None
    query_prompt: str = ""
    document_prompt: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def difference(self, other: Fingerprint) -> list[str]:
        """Lines ``name: this one / the other`` for all that differs and matters; empty when interchangeable."""
        names = [n for n in self.__dataclass_fields__ if n not in {"name", "extra"}]
        mine, theirs = ({k: v for k, v in one.extra.items() if k != PROBE} for one in (self, other))
        pairs = [*((n, getattr(self, n), getattr(other, n)) for n in names), ("extra", mine, theirs)]
        lines = [f"{n}: {mine!r} / {theirs!r}" for n, mine, theirs in pairs if mine != theirs]
        likeness = likeness_of(self.extra.get(PROBE), other.extra.get(PROBE))
        return lines if likeness >= ALIKE else [*lines, f"{PROBE}: the vectors of one text have cosine {likeness:.3f}"]

    @property
    def precision(self) -> str:
        """The precision that it names; those that change vectors too little to matter go by ``fp32``."""
        return str(self.extra.get(PRECISION, "fp32"))

    def in_float32(self) -> Fingerprint:
        """The same model in full precision."""
        return replace(self, extra={key: value for key, value in self.extra.items() if key != PRECISION})
