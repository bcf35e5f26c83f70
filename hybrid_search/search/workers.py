"""Where models run: one thread for the encoder, one for the reranker, each with a queue of its own.

A model takes one caller at a time, for cores are busy anyway and not every tokenizer can be shared. A search that
reranks holds up nobody who only needs the encoder, and nobody waits longer for a busy model than he allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Any

from hybrid_search.errors import ModelBusyError, ModelError
from hybrid_search.search.steps import Encode, Score

Ask = Callable[[Encode | Score], Any]


class ModelWorkers:
    """The two threads; both clients use them."""

    def __init__(self) -> None:
        self._encoding = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hybrid-search-encoder")
        self._reranking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hybrid-search-reranker")

    def answer(self, ask: Ask, step: Encode | Score, *, together: bool) -> Any:
        """What the model answers.

        Args:
            ask: answers the step; called in the model's thread.
            step: what is asked.
            together: encoder and reranker are one object, which takes one caller at a time.

        Raises:
            ModelBusyError: the model was busy with others for as long as the step may wait.
        """
        future = self._submitted(ask, step, together=together)
        wait([future], timeout=step.patience)
        if not future.done() and future.cancel():
            raise _busy(step)
        return future.result()

    async def answer_async(self, ask: Ask, step: Encode | Score, *, together: bool) -> Any:
        """The same, while the event loop goes on."""
        future = self._submitted(ask, step, together=together)
        awaited = asyncio.wrap_future(future)
        try:
            await asyncio.wait([awaited], timeout=step.patience)
        except asyncio.CancelledError:
            future.cancel()
            raise
        if not future.done() and future.cancel():
            raise _busy(step)
        return await awaited

    def close(self) -> None:
        """End both threads once they are idle; what still waits is given up."""
        for executor in (self._encoding, self._reranking):
            executor.shutdown(wait=False, cancel_futures=True)

    def _submitted(self, ask: Ask, step: Encode | Score, *, together: bool) -> Future[Any]:
        executor = self._encoding if together or isinstance(step, Encode) else self._reranking
        try:
            return executor.submit(copy_context().run, ask, step)
        except RuntimeError as error:
            raise ModelError("the client is closed", remedy="Search before it is closed, or open another") from error


def _busy(step: Encode | Score) -> ModelBusyError:
    model = "encoder" if isinstance(step, Encode) else "reranker"
    return ModelBusyError(
        f"the {model} was busy with other searches for {step.patience:g} s",
        remedy="Search less at a time, or raise search.timeout",
    )
