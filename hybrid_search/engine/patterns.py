"""Names of indices that are written to: one name, one index."""

from __future__ import annotations

from hybrid_search.errors import RequestRefusedError


def refuse_patterns(name: str) -> None:
    """Refuse what is no name of one index: whatever is written, moved or deleted, one name says where.

    Patterns, lists, ``_all``, date mathematics (``<logs-{now/d}>``), and what a path would lose: an empty name, dots.

    Raises:
        RequestRefusedError: it may stand for several indices, or for another; nothing was sent.
    """
    if any(character in name for character in "*?,<>") or name in {"", "_all", ".", ".."}:
        raise RequestRefusedError(f"{name!r} may stand for several indices", remedy="Name one index, or one alias")
