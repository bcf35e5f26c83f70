"""What a search asks of the outside, and the two loops that carry it out.

The procedure is a generator that yields steps and receives their results, or has their errors thrown into it; it
knows neither sockets nor models nor threads. The synchronous and the asynchronous loop below are all that differs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError, HybridSearchError, ModelError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Encode:
    """Vectors of query texts, please; answered with :class:`Encoded`.

    ``patience`` is how many seconds to wait for an encoder that is busy, as for a reranker in :class:`Score`.
    """

    texts: Sequence[str]
    patience: float


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors of n texts; for the texts that a leg's model cuts, the tokens that it reads and those that there are."""

    vectors: EncodedTexts
    cut: Mapping[str, Mapping[int, tuple[int, int]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Send:
    """An engine request; answered with the decoded body of a successful answer."""

    request: Request


@dataclass(frozen=True, slots=True)
class Score:
    """Passages to score against a query; answered with float32 of shape (n,)."""

    query: str
    passages: Sequence[str]
    patience: float


Step = Encode | Send | Score
Steps = Generator[Step, Any, T]


class ModelBusyError(ModelError):
    """A model served others for as long as the caller would wait: asking again now is another such wait."""


def run(steps: Steps[T], carry_out: Callable[[Step], Any]) -> T:
    """Carry out every step and return what the procedure returns.

    Raises:
        HybridSearchError: nothing else leaves (:func:`boundary`).
    """
    with boundary():
        try:
            step = next(steps)
            while True:
                try:
                    with boundary(step):
                        result = carry_out(step)
                except HybridSearchError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            outcome: T = end.value
            return outcome
        finally:
            steps.close()


async def run_async(steps: Steps[T], carry_out: Callable[[Step], Awaitable[Any]]) -> T:
    """The same with awaitables; a cancelled search closes its procedure."""
    with boundary():
        try:
            step = next(steps)
            while True:
                try:
                    with boundary(step):
                        result = await carry_out(step)
                except HybridSearchError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            outcome: T = end.value
            return outcome
        finally:
            steps.close()


@contextmanager
def boundary(step: Step | None = None) -> Iterator[None]:
    """Nothing but the package's errors leaves: any other is the cause of one that says which part failed."""
    try:
        yield
    except HybridSearchError:
        raise
    except Exception as error:
        kind, part = _PARTS.get(type(step), (HybridSearchError, "the search"))
        raise kind(f"{part} failed: {type(error).__name__}: {error}") from error


_PARTS: Mapping[type, tuple[type[HybridSearchError], str]] = {
    Encode: (ModelError, "the encoder"),
    Score: (ModelError, "the reranker"),
    Send: (EngineError, "the request"),
}
