"""A program that copies and is killed: at the nth thing that it asks an engine or a disk, then run again to its end.

Its argument is one JSON object: ``source``, ``source_url``, ``url``, ``targets``, ``seed``. For each target it prints a
line of JSON: at which of how many steps it was killed, and the exit status of the same copy run again.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any

from hybrid_search.copying import copy_index, folder, index_origin, index_target
from hybrid_search.engine.elasticsearch_transport import ElasticsearchTransport
from hybrid_search.engine.opensearch_transport import OpenSearchTransport
from hybrid_search.errors import HybridSearchError
from hybrid_search.settings import EngineSettings, Settings, SourceSettings

USUAL_STEPS = 40
"""Before the first copy tells how many there are."""


def counting(last: int | None) -> list[int]:
    """Count steps in the one number that is returned, and die before the last."""
    steps = [0]

    def step(function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            steps[0] += 1
            if steps[0] == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return counted

    for transport in (ElasticsearchTransport, OpenSearchTransport):
        transport.send = step(transport.send)  # type: ignore[method-assign]
    os.fsync = step(os.fsync)
    os.replace = step(os.replace)
    return steps


def child(given: dict[str, Any], target: str, last: int | None) -> tuple[int, int]:
    """Copy in a process of its own; how it ended (minus the signal), and its steps where it was not killed."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        steps, status = counting(last), 0
        try:
            engine, source = EngineSettings(url=given["url"]), SourceSettings(url=given["source_url"])
            copy_index(given["source"], target, Settings(engine=engine, source=source))
        except HybridSearchError as error:
            sys.stderr.write(f"{error}\n")
            status = error.exit_status
        os.write(writer, json.dumps(steps[0]).encode())
        os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    _, ended = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(ended), int(told or 0)


def main() -> None:
    """One copy after the other."""
    given = json.loads(sys.argv[1])
    index_origin.OPERATIONS, index_target.PAGE, folder.ROWS = 10, 4, 4
    index_origin.IndexOrigin.__init__.__defaults__ = (10,)  # type: ignore[misc]
    chance, steps = random.Random(given["seed"]), USUAL_STEPS  # no secret
    for target in given["targets"]:
        at = chance.randint(1, steps)
        killed, _ = child(given, target, at)
        again, taken = child(given, target, None)
        steps = max(steps, taken)
        sys.stdout.write(json.dumps({"at": at, "of": steps, "killed": killed, "again": again}) + "\n")


if __name__ == "__main__":
    main()
