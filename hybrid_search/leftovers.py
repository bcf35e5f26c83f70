"""What killed loads and interrupted rebuilds have left in a cluster, said and mended where somebody looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hybrid_search.build import BUILD, WAS_LIVE, Stage, is_worked_on
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.engine.templates import META
from hybrid_search.errors import EngineError
from hybrid_search.ingest.state.lease import is_left, mend

UNFINISHED = frozenset(Stage) - {Stage.LIVE, Stage.RETIRED}


def notes(connection: Connection) -> Iterator[str]:
    """A sentence for every index of this package that a killed load or an interrupted rebuild has left behind."""
    request = Request.json("GET", "/_mapping", filter_path=f"*.mappings._meta.{META}", expand_wildcards="open,hidden")
    answer: Mapping[str, Any] = connection.send(request)
    for index, content in sorted(answer.items()):
        if note := mended(connection, index):
            yield note
        meta = content["mappings"]["_meta"][META]
        build = meta.get(BUILD, {})
        if build.get("stage") in UNFINISHED and not meta.get(WAS_LIVE) and not is_worked_on(connection, index):
            yield f"{index}: a rebuild ended when it was {build['stage']}; run it again to continue, or begin anew"


def mended(connection: Connection, index: str) -> str | None:
    """Restore the index settings that a killed load has left; a sentence about it, None where all is well."""
    try:
        if not is_left(connection, index):
            return None
    except (EngineError, KeyError):
        return None  # who may not look has nothing to mend
    try:
        mend(connection, index)
    except EngineError as error:
        return f"{index}: a killed load has left refresh off, what is written may not be found ({error})"
    return f"{index}: the settings that a killed load had left (refresh off) are restored"
