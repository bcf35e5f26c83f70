"""Models made ready at the start of a program that stays: what runs them is chosen before anybody waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Preparable(Protocol):
    """A network that may have something to choose (:class:`~hybrid_search.encode.backends.choice.Switched`)."""

    def prepare(self) -> None:
        """Choose once."""
        ...


def prepare(model: object) -> None:
    """Let ``encode.backend = "auto"`` make graphs and choose, for every network of an encoder or a reranker.

    That takes some ten seconds for each, once on a machine. Models that run elsewhere, or have no network, have nothing
    to choose.
    """
    networks: Sequence[Preparable] = getattr(model, "networks", ())
    for network in networks:
        network.prepare()
