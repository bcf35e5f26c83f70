"""A program that loads a source, for tests that kill it or take its disk away; its arguments are one JSON object.

The signals of ``told`` (numbers) are handled as by the command ``index``, and said on standard output when they come.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path

from loading import GeneratedEncoder

from hybrid_search.cli.signals import stop_cleanly
from hybrid_search.engine import connect
from hybrid_search.errors import HybridSearchError
from hybrid_search.ingest import LoadOptions
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.patience import RetryPolicy
from hybrid_search.ingest.source import SourceOptions, index_source
from hybrid_search.read.splits import SPLIT_BYTES
from hybrid_search.settings import DocumentSettings, EngineSettings, Settings

TOLD = "told"
"""The line that says that a signal has come."""


def tell(number: int) -> None:
    """Say when the signal comes, before it is handled; one that would end the program at once does so unsaid."""
    handle = signal.getsignal(number)
    if not callable(handle):
        return

    def told(*arguments: object) -> None:
        os.write(sys.stdout.fileno(), f"{TOLD}\n".encode())
        handle(*arguments)

    signal.signal(number, told)


def main() -> int:
    """Load; 0 when it is finished, 1 with one line on stderr when not."""
    given = json.loads(sys.argv[1])
    if limit := given.get("largest_file"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background commands begin with it ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and those of nohup with this
    stop_cleanly()
    for number in given.get("told", ()):
        tell(number)
    folder = Path(given["folder"])
    letters = f"letters-{os.getpid()}.jsonl" if given.get("join") else "letters.jsonl"
    files = LoadFiles(
        journal=None if given.get("join") else folder / "journal",
        dead_letters=folder / letters,
        cache=folder / "cache" if given.get("cache") else None,
    )
    settings = Settings(
        documents=DocumentSettings(text=("text",), number=("place",), dense="dense", sparse="sparse"),
        engine=EngineSettings(url=given["url"]),
    )
    options = LoadOptions(
        body_bytes=given["body_bytes"],
        most_body_bytes=given["body_bytes"],
        retry=RetryPolicy(first=0.05, longest=0.5),
        split_bytes=given.get("split_bytes", SPLIT_BYTES),
    )
    what = SourceOptions(join=given.get("join", False), sync=given.get("sync", False))
    try:
        with connect(settings.engine) as connection:
            encoder = GeneratedEncoder(max_tokens=64)
            source, index = given.get("source", folder / "source.jsonl"), given["index"]
            report = index_source(source, index, connection, encoder, settings, files=files, what=what, options=options)
    except HybridSearchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(report.as_json()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
