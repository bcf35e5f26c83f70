"""What a worker does, wherever it runs: its share of a load, told of in messages to whoever watches."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hybrid_search.errors import HybridSearchError
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.options import SourceOptions
from hybrid_search.ingest.pace import Pace, Refused
from hybrid_search.ingest.report import IngestProgress, IngestReport
from hybrid_search.ingest.state.folder import state_folder
from hybrid_search.ingest.tracing import flush
from hybrid_search.settings import Settings

SPLIT_BYTES = 4 << 20
"""About the bytes of a split: small, so that files of some megabytes keep several workers busy. It does not depend on
how many there are, so that a load goes on with another number of them."""
EACH = 0.5
"""Seconds between two messages about progress."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A worker begins: where it keeps dead letters, on its machine."""

    letters: Path


@dataclass(frozen=True, slots=True)
class Failed:
    """A worker has met an error, which ends it: its sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker is gone; ``died`` says how, where it has not come to an end."""

    died: str | None = None


Message = Begun | IngestProgress | IngestReport | Refused | Failed | Ended
Tell = Callable[[Message], None]


@dataclass(frozen=True, slots=True)
class Share:
    """What every worker is given; it travels to the workers, so all of it can be pickled.

    Attributes:
        source: where the documents are.
        index: where they go.
        settings: models, engine, chunking; secrets are masked in its ``repr``.
        files: those of the load.
        what: what of the source is loaded.
        careful: whether the models are in a process apart, because a worker has died.
        number: of the worker, from 0: of several GPUs it has the one of its number.
        folder: that of the command, which relative paths are meant from; None for that of the worker.
    """

    source: str
    index: str
    settings: Settings
    files: LoadFiles
    what: SourceOptions
    careful: bool = False
    number: int = 0
    folder: Path | None = None

    def of(self, number: int) -> Share:
        """That of one worker: files that are named for the load have a number for all but the first."""
        own = {name: numbered(getattr(self.files, name), number) for name in ("dead_letters", "skip_bad")}
        return replace(self, number=number, files=replace(self.files, **own), what=replace(self.what, join=True))


def numbered(path: Path | None, number: int) -> Path | None:
    """The file of worker ``number``: ``bad.jsonl``, ``bad-w2.jsonl``."""
    return path if path is None or number == 0 else path.with_stem(f"{path.stem}-w{number + 1}")


class StoppedError(KeyboardInterrupt):
    """Whoever watches wants a worker to end, or is gone: what is under way is finished, as at Ctrl-C."""


def work(share: Share, tell: Tell, pace: Pace, stopped: threading.Event) -> None:
    """Load a share; a report or a failure is told at the end, nothing where it was stopped.

    Args:
        share: what is loaded.
        tell: takes messages; raises StoppedError where nobody hears them.
        pace: that of this worker's senders; who starts it tells the others of refusals.
        stopped: ends the work at the next body.
    """
    from hybrid_search.engine.connection import connect
    from hybrid_search.ingest.load import LoadOptions
    from hybrid_search.ingest.source import index_source
    from hybrid_search.scale.apart import encoder_of

    letters = share.files.dead_letters or state_folder() / f"{share.index}-{os.getpid()}.dead-letters.jsonl"
    try:
        tell(Begun(letters))
        with connect(share.settings.engine) as connection, encoder_of(share) as encoder:
            report = index_source(
                share.source,
                share.index,
                connection,
                encoder,
                share.settings,
                files=replace(share.files, dead_letters=letters),
                what=share.what,
                progress=_seldom(tell, stopped),
                options=LoadOptions(split_bytes=SPLIT_BYTES, pace=pace),
            )
        tell(replace(report, refusals=tuple(report.refusals)))
    except HybridSearchError as error:
        tell(Failed(str(error)))
    except KeyboardInterrupt:  # senders have finished, and settings are restored
        return
    finally:
        flush()


def _seldom(tell: Tell, stopped: threading.Event) -> Callable[[IngestProgress], None]:
    """Tell of progress, but not of every body."""
    told = [0.0]

    def telling(progress: IngestProgress) -> None:
        if stopped.is_set():
            raise StoppedError
        if (now := time.monotonic()) - told[0] >= EACH:
            told[0] = now
            tell(progress)

    return telling
