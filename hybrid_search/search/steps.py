"""What a search asks of the outside, and the two loops that carry it out.

The procedure is a generator that yields steps and receives their results, or has their errors thrown into it; it
knows neither sockets nor models nor threads. The synchronous and the asynchronous loop below are all that differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError, HybridSearchError, ModelError
from hybrid_search.images import ImageSource

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Encode:
    """Vectors of query texts, please; answered with :class:`Encoded`.

    ``patience`` is how many seconds to wait for an encoder that is busy, as for a reranker in :class:`Score`.
    """

    texts: Sequence[str]
    patience: float


@dataclass(frozen=True, slots=True)
class EncodeImage:
    """The vector of a query's image, please; answered with :class:`Encoded` of one row, dense alone."""

    image: ImageSource
    patience: float


@dataclass(frozen=True, slots=True)
class EncodePassages:
    """Vectors of texts as passages have them, please; answered with :class:`Encoded`, which has ``tokens`` too.

    ``tokens_only`` asks for no vectors: which terms of the sparse model a text holds is known without its network.
    """

    texts: Sequence[str]
    patience: float
    tokens_only: bool = False


Token = tuple[str, int, int]
"""A term of the sparse model that stands in a text, and from which character to which."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors of n texts; for the texts that a leg's model cuts, the tokens that it reads and those that there are.

    ``tokens`` are those of each text, of passages alone.
    """

    vectors: EncodedTexts
    cut: Mapping[str, Mapping[int, tuple[int, int]]] = field(default_factory=dict)
    tokens: Sequence[Sequence[Token]] = ()


@dataclass(frozen=True, slots=True)
class Send:
    """An engine request; answered with the decoded body of a successful answer."""

    request: Request


@dataclass(frozen=True, slots=True)
class Score:
    """Passages to score against a query; answered with float32 of shape (n,).

    ``stored`` are the passages' token states, where the index has all of them: then no passage is encoded.
    """

    query: str
    passages: Sequence[str]
    patience: float
    stored: Sequence[bytes] = ()


ModelStep = Encode | EncodeImage | EncodePassages | Score
Single = ModelStep | Send


@dataclass(frozen=True, slots=True)
class All:
    """Steps of which none depends on another; answered with a list of their results, or errors, in order."""

    steps: Sequence[Single]


Step = Single | All
Steps = Generator[Step, Any, T]


def run(
    steps: Steps[T],
    carry_out: Callable[[Single], Any],
    begin: Callable[[ModelStep], Callable[[], Any]] | None = None,
) -> T:
    """Carry out every step and return what the procedure returns.

    Args:
        steps: the procedure.
        carry_out: the result of a step.
        begin: begins what a model is asked, and returns what waits for it: of steps that go together, models work
            while requests are under way. Without, they go one after the other.

    Raises:
        HybridSearchError: nothing else leaves (:func:`boundary`).
    """
    with boundary():
        try:
            step = next(steps)
            while True:
                if isinstance(step, All):
                    step = steps.send(_together(step.steps, carry_out, begin))
                elif isinstance(result := caught(step, partial(carry_out, step)), HybridSearchError):
                    step = steps.throw(result)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            outcome: T = end.value
            return outcome
        finally:
            steps.close()


async def run_async(steps: Steps[T], carry_out: Callable[[Single], Awaitable[Any]]) -> T:
    """The same with awaitables, those that go together side by side; a cancelled search closes its procedure."""
    with boundary():
        try:
            step = next(steps)
            while True:
                if isinstance(step, All):
                    step = steps.send(await asyncio.gather(*(_awaited(one, carry_out) for one in step.steps)))
                elif isinstance(result := await _awaited(step, carry_out), HybridSearchError):
                    step = steps.throw(result)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            outcome: T = end.value
            return outcome
        finally:
            steps.close()


def together(*procedures: Steps[Any]) -> Generator[Step, Any, list[Any]]:
    """Procedures side by side: what they ask for at the same time goes out as one :class:`All`. Results in order.

    Whatever one of them raises ends the others.
    """
    results: dict[int, Any] = {}
    asked: dict[int, Single] = {}
    resume: dict[int, Callable[[], Step]] = {n: partial(next, one) for n, one in enumerate(procedures)}
    try:
        while resume:
            asked.clear()
            for n, going_on in resume.items():
                try:
                    asked[n] = _single(going_on())
                except StopIteration as end:
                    results[n] = end.value
            answers = (yield All(list(asked.values()))) if asked else []
            resume = {
                n: partial(procedures[n].throw if isinstance(answer, HybridSearchError) else procedures[n].send, answer)
                for n, answer in zip(asked, answers, strict=True)
            }
    finally:
        for one in procedures:
            one.close()
    return [results[n] for n in range(len(procedures))]


def _single(step: Step) -> Single:
    if isinstance(step, All):
        raise TypeError("procedures that go together must not ask for several steps at once themselves")
    return step


def _together(
    steps: Sequence[Single],
    carry_out: Callable[[Single], Any],
    begin: Callable[[ModelStep], Callable[[], Any]] | None,
) -> list[Any]:
    """The results, or errors, of steps that go together: models begin, requests are made, models are waited for."""
    begun: dict[int, Any] = {}
    for n, step in enumerate(steps):
        if begin is not None and not isinstance(step, Send):
            begun[n] = caught(step, partial(begin, step))
    results = {n: caught(step, partial(carry_out, step)) for n, step in enumerate(steps) if n not in begun}
    for n, wait in begun.items():
        results[n] = wait if isinstance(wait, HybridSearchError) else caught(steps[n], wait)
    return [results[n] for n in range(len(steps))]


def caught(step: Single, carry_out: Callable[[], Any]) -> Any:
    """The result of a step, or its error as a value."""
    try:
        with boundary(step):
            return carry_out()
    except HybridSearchError as error:
        return error


async def _awaited(step: Single, carry_out: Callable[[Single], Awaitable[Any]]) -> Any:
    try:
        with boundary(step):
            return await carry_out(step)
    except HybridSearchError as error:
        return error


@contextmanager
def boundary(step: Single | None = None, *, what: str = "the search") -> Iterator[None]:
    """Nothing but the package's errors leaves: any other is the cause of one that says which part failed."""
    try:
        yield
    except HybridSearchError:
        raise
    except Exception as error:
        kind, part = _PARTS.get(type(step), (HybridSearchError, what))
        raise kind(f"{part} failed: {type(error).__name__}: {error}") from error


_PARTS: Mapping[type, tuple[type[HybridSearchError], str]] = {
    Encode: (ModelError, "the encoder"),
    EncodeImage: (ModelError, "the encoder"),
    EncodePassages: (ModelError, "the encoder"),
    Score: (ModelError, "the reranker"),
    Send: (EngineError, "the request"),
}
