"""Analyzers by name: whether the node has one is asked of the node, before anything is made.

Neither engine lists them, plugins bring more, and versions differ: the names that are written here are only suggested,
and only where the node has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from hybrid_search.engine.answers import failure
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import SettingsError
from hybrid_search.languages import ANALYZERS, analyzer_of, tag_of

BUILT_IN = frozenset(
    {*ANALYZERS.values(), "fingerprint", "keyword", "pattern", "simple", "standard", "stop", "whitespace"}
)
"""Those that every version of both distributions has without plugins."""

NEWER = ("serbian",)
"""Those of some versions."""

PLAIN = "standard"
"""The analyzer that breaks words, and knows no language."""

PLUGINS: Mapping[str, str] = {
    "icu_analyzer": "analysis-icu",
    "kuromoji": "analysis-kuromoji",
    "kuromoji_completion": "analysis-kuromoji",
    "nori": "analysis-nori",
    "polish": "analysis-stempel",
    "smartcn": "analysis-smartcn",
    "ukrainian": "analysis-ukrainian",
}
"""The plugins of both engines that bring an analyzer."""

_OF_PLUGINS: Mapping[str, str] = {"kuromoji": "ja", "kuromoji_completion": "ja", "nori": "ko", "smartcn": "zh"}
"""The languages of analyzers that are not called by them."""

_UNKNOWN = "failed to find"
"""How both engines begin when they lack an analyzer, in 400 ``illegal_argument_exception``."""


def check_analyzers(connection: Connection, named: Mapping[str, str]) -> None:
    """Refuse analyzers that the node does not have.

    A cluster that does not let this user ask is asked nothing: what it lacks, it says when the index is made.

    Args:
        connection: the cluster.
        named: analyzers by the setting that names them, ``{"engine.analyzer": "german"}``.

    Raises:
        SettingsError: the first that is missing, with the plugin that brings it or the nearest name that is there.
    """
    known: dict[str, bool | None] = {}
    for setting, name in named.items():
        if name not in known:
            known[name] = has_analyzer(connection, name)
        if known[name] is False:
            version = ".".join(map(str, connection.dialect.version))
            what = f"{connection.dialect.engine} {version} has no analyzer {name!r}"
            raise SettingsError(what, where=setting, remedy=_remedy(connection, name))


def has_analyzer(connection: Connection, name: str) -> bool | None:
    """Whether indices can name this analyzer; None where the cluster does not say.

    Raises:
        EngineUnreachableError, EngineTimeoutError: it does not answer.
    """
    answer = connection.transport.send(Request.json("POST", "/_analyze", {"analyzer": name, "text": "a"}))
    if answer.status < 300:
        return True
    reason = failure(answer.status, answer.body).reason
    return False if answer.status == 400 and reason.startswith(_UNKNOWN) else None


def _remedy(connection: Connection, name: str) -> str:
    """The plugin that brings it, or what is meant, or what does without it; else all that there are."""
    word = name.strip().lower()
    code = tag_of(_OF_PLUGINS.get(word, word))
    if code is not None or word in PLUGINS:
        there = analyzer_of(code)
        instead = there if there not in {None, name} and has_analyzer(connection, str(there)) else PLAIN
        plugin = f"Install the plugin {PLUGINS[word]} on every node, or take" if word in PLUGINS else "Take"
        return f"{plugin} {instead!r}{', which knows no language' if instead == PLAIN else ''}"
    near = get_close_matches(word, sorted({*BUILT_IN, *NEWER, *PLUGINS}), n=3, cutoff=0.6)
    meant = next((other for other in near if has_analyzer(connection, other)), None)
    return f"There are: {', '.join(sorted(BUILT_IN))}" if meant is None else f"Did you mean {meant!r}?"
