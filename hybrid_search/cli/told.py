"""Who else is told of the progress of a load."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hybrid_search.ingest.state.ledger import OnProgress

ALSO: ContextVar[OnProgress | None] = ContextVar("also", default=None)
"""Who else is told of the progress of loads."""


@contextmanager
def also_told(index: str, metrics_port: int | None) -> Iterator[None]:
    """The progress of the loads of a block is served as metrics too, where a port is given."""
    if metrics_port is None:
        yield
        return
    from hybrid_search.scale.metrics import metrics_served

    with metrics_served(index, metrics_port) as follow:
        before = ALSO.set(follow)
        try:
            yield
        finally:
            ALSO.reset(before)
