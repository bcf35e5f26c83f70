"""With what cursors are signed, and what is made of one that comes back.

A signature keeps whoever holds a cursor from writing one: it names the passages that the next page reads, whatever the
filter of a search says. The key is ``search.cursor_key`` where that is set; else one that the index has held in its
``_meta`` since it was made, so that processes agree without a word; else, in an index that was made before there were
cursors, one of this process alone. Whoever may read the mapping of an index can read the second, and the documents too.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.errors import CursorError
from hybrid_search.records import IndexSchema, Query
from hybrid_search.search.cursor import Seal, decoded, read
from hybrid_search.search.cursor_binding import Paging, bound_to
from hybrid_search.search.request import SearchRequest
from hybrid_search.settings import SearchSettings

_OF_THIS_PROCESS = secrets.token_hex(16)


def seal_of(opened: OpenedIndex, settings: SearchSettings) -> Seal:
    """What cursors over an index are signed with."""
    key = settings.cursor_key or opened.cursor_key or _OF_THIS_PROCESS
    return Seal(key.encode(), opened.name, settings.cursor_lifetime)


def paging_of(
    queries: Sequence[Query], request: SearchRequest, seal: Seal | None, schema: IndexSchema, *, count: int
) -> Paging | None:
    """What the pages of checked queries, of ``count`` in all, need; with the list of the cursor, if there is one.

    Raises:
        CursorError: see :func:`~hybrid_search.search.cursor.read`; or it comes with an offset, or several queries.
    """
    if seal is None:
        return None
    if request.cursor is None:
        return Paging(request, seal)
    check_cursor(request)
    if count != 1:
        raise CursorError(f"given with {count} queries", remedy="A cursor goes on with one list")
    frozen = read(request.cursor, bound_to(queries[0], request, schema), seal, now=time.time())
    return Paging(request, seal, frozen)


def check_cursor(request: SearchRequest) -> None:
    """Raise CursorError for a cursor that could be of no index, or comes with an offset."""
    if request.cursor is None:
        return
    if request.offset:
        raise CursorError(f"given with an offset of {request.offset}", remedy="It says itself where the page begins")
    decoded(request.cursor)


def refuse_cursor(request: SearchRequest, remedy: str) -> None:
    """Raise CursorError for a cursor where nothing goes on with a list."""
    if request.cursor is not None:
        raise CursorError("given, and only searches go on with one", remedy=remedy)
