"""The model server on a port of its own, in a thread of the test run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import uvicorn

from hybrid_search.serve.access import Access
from hybrid_search.serve.models.app import make_model_app
from hybrid_search.serve.models.served import WAITING, Served, served_models
from hybrid_search.serve.server import listen, server_config


@contextmanager
def model_server(
    encoder: Any = None, reranker: Any = None, *, token: str | None = None, waiting: int = WAITING
) -> Iterator[tuple[str, Served]]:
    """The address of a server of loaded models, and what it serves."""
    with ThreadPoolExecutor(1) as thread:
        served = served_models(encoder, reranker, thread, waiting)
        app = make_model_app(served, Access.at("127.0.0.1", token))
        listening = listen("127.0.0.1", 0)
        server = uvicorn.Server(server_config(app))
        running = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
        running.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", served
        finally:
            server.should_exit = True
            running.join(10)
            listening.close()
