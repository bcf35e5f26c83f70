"""Every error that the package raises, in one tree.

HybridSearchError                 exit status 1: something failed
├── InputError                    exit status 2: what the caller gave is wrong
│   ├── SettingsError             a settings file, environment variable or flag
│   ├── SourceError               a source of documents that cannot be read
│   │   └── SourceChangedError    it has changed while it was read: what was not read can be read once more
│   ├── RecordError               one record of a source: a broken line, a bad id or vector
│   │   ├── RepeatedIdError       one with the id of another
│   │   └── EmptyTextError        one without text, which a load leaves out and counts
│   └── QueryError                an empty query, k out of range, an unknown leg or field
│       └── CursorError           a cursor that was changed, has expired, or is of another search
├── MissingExtraError             a library of an optional extra is not installed
├── FrameworkError                a framework that an adapter is for is not installed, or too old
├── ModelError                    a model that cannot be found, loaded or trusted
│   ├── ModelBusyError            it served others for as long as the caller would wait
│   ├── ModelTimeoutError         it did not answer in the time that the caller gave
│   └── ModelUnavailableError     it kept failing, and is not asked for a while
├── BusyError                     a client has as many searches in progress as it may: try again later
├── IngestError                   documents were refused, or the load could not be finished
├── LocalNodeError                Java, memory, disk, port or download of the local node
├── OutputError                   standard output is closed, full, or has no reader any more
├── RefusedError                  a request that this package's own server does not let in
├── AliasMovedError               another index answered than the one that was opened under this name
└── EngineError                   the cluster
    ├── EngineUnreachableError    nothing answers at the address
    ├── EngineTimeoutError        no answer in time
    ├── AuthenticationError       401 or 403
    ├── ClientVersionError        the installed client cannot speak to this server
    ├── UnsupportedError          this engine, version or licence lacks what was asked for
    ├── IndexMissingError         no such index or alias
    ├── IndexMismatchError        the index was built with other models, dimensions or schema
    ├── ReadOnlyError             the index or cluster takes no writes
    ├── OverloadedError           429 or 503: try again later
    └── RequestRefusedError       any other 4xx or 5xx

No exception of a vendor's client leaves the engine package. Every message is one line that says what went
wrong, where, and what to do next.
"""

from __future__ import annotations

import re
from typing import ClassVar

_LOGIN = re.compile(r"([a-z][a-z0-9+.-]*:/{1,2})[^\s/@]+@", re.IGNORECASE)


class HybridSearchError(Exception):
    """Base of every error that the package raises.

    Args:
        what: what went wrong, a sentence without its full stop.
        where: the place: a file and line, an index, a URL without credentials.
        remedy: what to do next, a sentence.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what, where, remedy)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        """One line: ``where: what. remedy``, without the logins of addresses, whatever those were given for."""
        place = f"{self.where}: " if self.where else ""
        advice = f". {self.remedy}" if self.remedy else ""
        return _LOGIN.sub(r"\1***@", " ".join(f"{place}{self.what}{advice}".split()))


class InputError(HybridSearchError):
    """What the caller gave is wrong; the same call will fail again."""

    exit_status: ClassVar[int] = 2


class SettingsError(InputError):
    """A settings file, environment variable or flag holds an unknown key or a wrong or contradictory value."""


class SourceError(InputError):
    """A source of documents cannot be read."""


class SourceChangedError(SourceError):
    """A source has changed while it was read, and is not kept as it was; the same load goes on when it is repeated."""

    exit_status: ClassVar[int] = 1


class RecordError(InputError):
    """One record of a source is broken; ``where`` names the file and line, or the document."""


class RepeatedIdError(RecordError):
    """One record of a source has the ``id`` of another; where the first is can be looked for then."""

    id: str | None = None


class EmptyTextError(RecordError):
    """One record of a source has no text, so that nothing could find it; a load leaves it out and counts it."""


class QueryError(InputError):
    """A query that no engine should be asked: empty, k out of range, an unknown leg or field."""


class CursorError(QueryError):
    """A cursor that no page can be made of: no cursor, changed, expired, of another index or of another search."""

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what, where=where or "the cursor", remedy=remedy)


class MissingExtraError(HybridSearchError):
    """A library of an optional extra is not installed; the remedy is the pip command."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the extra [{extra}]", remedy=f"Run: pip install 'hybrid-search[{extra}]'")


class FrameworkError(HybridSearchError):
    """A framework is not installed, or older than its adapter is written for; the remedy is the pip command."""


class ModelError(HybridSearchError):
    """A model cannot be found, loaded or trusted."""


class ModelBusyError(ModelError):
    """A model served others for as long as the caller would wait: asking again now is another such wait."""


class ModelTimeoutError(ModelError):
    """A model did not answer in the time that the caller gave; its answer is dropped when it comes."""


class ModelUnavailableError(ModelError):
    """A model kept failing and is not asked for a while, so that searches go on without it at once."""


class BusyError(HybridSearchError):
    """A client has as many searches in progress as it may; the same call may be answered a little later."""


class IngestError(HybridSearchError):
    """Documents were refused, or the load could not be finished."""


class LocalNodeError(HybridSearchError):
    """The local node cannot be brought, started or stopped."""


class OutputError(HybridSearchError):
    """Standard output is closed, full, or has no reader any more."""


class RefusedError(HybridSearchError):
    """A request that this package's own server does not let in, with its HTTP ``status``."""

    def __init__(self, status: int, what: str, remedy: str) -> None:
        super().__init__(what, remedy=remedy)
        self.status = status


class AliasMovedError(HybridSearchError):
    """Another index answered than the one that was opened: its models were not checked.

    Clients open the name again, once; so it leaves them only where an alias moves twice within one search.
    """


class EngineError(HybridSearchError):
    """The cluster refused, failed or did not answer."""


class EngineUnreachableError(EngineError):
    """Nothing answers at the address, or TLS could not be agreed."""


class EngineTimeoutError(EngineError):
    """The engine did not answer in time; the request may still have been carried out."""


class AuthenticationError(EngineError):
    """The engine refused the credentials (401) or the user's rights (403)."""


class ClientVersionError(EngineError):
    """The installed vendor client cannot speak to this server."""


class UnsupportedError(EngineError):
    """This engine, version or licence lacks what was asked for."""


class IndexMissingError(EngineError):
    """No such index or alias."""


class IndexMismatchError(EngineError):
    """The index was built with other models, another dimension or another schema; the difference is shown."""


class ReadOnlyError(EngineError):
    """The index or the cluster takes no writes (a block, often set by the disk watermark)."""


class OverloadedError(EngineError):
    """The engine is short of threads, memory or nodes for the moment (429, 503)."""


class RequestRefusedError(EngineError):
    """Any other refusal; the engine's status, error type and reason are in the message."""


def counted(number: int, one: str, several: str) -> str:
    """A number in a message: ``1 letter was``, ``1,234 letters were``."""
    return f"{number:,} {one if number == 1 else several}"
