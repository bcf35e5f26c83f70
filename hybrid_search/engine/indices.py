"""An index from its creation to its end: what it holds, which models made it, and the alias it is searched by.

Requests and readings of answers are plain functions; those that take a connection send and read.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import msgspec

from hybrid_search.engine.attached import ATTACHED_VERSION, attached_faults, is_mapped, refuse_attached
from hybrid_search.engine.connection import AsyncConnection, Connection, checked, is_local
from hybrid_search.engine.foreign_layouts import not_ours
from hybrid_search.engine.layout import (
    DENSE,
    DOC_ID,
    FILTER,
    LOAD,
    PASSAGES,
    SOURCE,
    SPARSE,
    STATE,
    TEXT,
    escape,
    filter_root,
    text_paths,
)
from hybrid_search.engine.patterns import refuse_patterns
from hybrid_search.engine.protocols import Request
from hybrid_search.engine.schemas import schema_difference, with_fields
from hybrid_search.engine.templates import META, SCHEMA_VERSION, load
from hybrid_search.errors import IndexMismatchError
from hybrid_search.fields import filter_kinds
from hybrid_search.records import Fingerprint, IndexSchema, Leg

ADMIN_TIMEOUT = 120.0
"""Seconds for requests that change an index or the cluster: they wait for nodes and disks, not for a search."""

ALIAS_PROPERTIES = frozenset({"filter", "index_routing", "search_routing", "is_write_index", "is_hidden"})

READABLE = (1, SCHEMA_VERSION, ATTACHED_VERSION)
"""Schema versions of indices that can be searched: those of release 0.1, of now, and of what others own."""

CURSOR_KEY = "cursor_key"
"""Where ``_meta`` has the key."""

VECTORS_LATER = "vectors_later"
"""Where ``_meta`` says that something was loaded without vectors, once: how much lacks them is counted from then on."""


@dataclass(frozen=True, slots=True)
class OpenedIndex:
    """An index as it is: ``name`` is the index behind the alias that was opened, ``where`` is for messages.

    ``added`` names the fields to filter on that it has been given just now. ``cursor_key`` signs the cursors of
    searches that are given no other key; None in an index of before there were cursors. ``may_lack_vectors`` says that
    something was, or is, without vectors of these models.
    """

    name: str
    schema: IndexSchema
    where: str
    added: tuple[str, ...] = field(default=(), compare=False)
    cursor_key: str | None = field(default=None, compare=False, repr=False)
    may_lack_vectors: bool = field(default=False, compare=False)

    @property
    def models(self) -> Mapping[Leg, Fingerprint]:
        """The model of each leg that has one."""
        legs = {Leg.DENSE: self.schema.dense, Leg.SPARSE: self.schema.sparse}
        return {leg: model for leg, model in legs.items() if model is not None}


def create_index(connection: Connection, name: str, schema: IndexSchema, meta: Mapping[str, Any] | None = None) -> None:
    """Creates the index with its mapping, the fingerprints of its models, and what else ``_meta`` is to say.

    Where the schema names no number of replicas a local node makes none, any other cluster what is its default.

    Raises:
        UnsupportedError: this version lacks the schema's ``dense_index`` or ``sparse_index``.
        RequestRefusedError: the name is taken or not allowed; :mod:`hybrid_search.engine.names` tells beforehand.
    """
    refuse_patterns(name)
    if schema.replicas is None and is_local(connection):
        schema = replace(schema, replicas=0)
    body = connection.dialect.index_body(schema)
    body["mappings"]["_meta"][META] |= {**(meta or {}), CURSOR_KEY: secrets.token_hex(16)}
    connection.send(Request.json("PUT", _path(name), body, timeout=ADMIN_TIMEOUT))


def open_index(connection: Connection, name: str) -> OpenedIndex:
    """What the index of this package, or the one behind an alias, holds: what it is given is written into it.

    Raises:
        IndexMissingError: no such index or alias.
        IndexMismatchError: not made by this package, by another version of its layout, or changed by hand; or attached.
        RequestRefusedError: ``name`` is a pattern: what is opened here may be written to.
    """
    refuse_patterns(name)
    index = opened(name, connection.send(opening(name)), connection.where)
    refuse_attached(index.schema, index.where)
    return index


async def open_index_async(connection: AsyncConnection, name: str) -> OpenedIndex:
    """The same over an asynchronous connection."""
    return opened(name, await connection.send(opening(name)), connection.where)


def opening(name: str) -> Request:
    """The request whose answer :func:`opened` reads."""
    return Request.json("GET", f"{_path(name)}/_mapping")


def opened(name: str, answer: Mapping[str, Any], where: str) -> OpenedIndex:
    """Reads and checks a mapping: a search in a field that is not there would find nothing and say nothing."""
    place = f"{where}/{name}"
    if len(answer) != 1:
        listed = ", ".join(sorted(answer)) or "none"
        raise IndexMismatchError(f"the name stands for several indices or none: {listed}", where=place)
    index, content = next(iter(answer.items()))
    mappings = content["mappings"]
    meta = mappings.get("_meta", {}).get(META)
    if meta is None:
        raise not_ours(index, mappings, place)
    version = meta["schema_version"]
    if version not in READABLE:
        raise IndexMismatchError(
            f"the index has schema version {version}, this package writes and reads {SCHEMA_VERSION}",
            where=place,
            remedy="Use the version of hybrid-search that made it, or index again",
        )
    schema = replace(msgspec.convert(meta["schema"], IndexSchema), layout=version)
    faults_of = _faults if schema.attached is None else attached_faults
    faults = list(faults_of(schema, mappings.get("properties", {})))
    if faults:
        raise IndexMismatchError(f"the mapping is not what _meta says: {'; '.join(faults)}", where=place)
    lacks = bool(meta.get(VECTORS_LATER)) or schema.vectors is not None or schema.attached is not None
    return OpenedIndex(index, schema, place, cursor_key=meta.get(CURSOR_KEY), may_lack_vectors=lacks)


def migrate(connection: Connection, index: OpenedIndex) -> None:
    """Lets a load go into an index of layout 1: adds the fields that say where passages come from.

    The layout stays 1: what is there is filtered on, and answered, as before. Done twice it changes nothing.
    """
    if index.schema.layout == 1:
        dialect = connection.dialect
        known = load(dialect.engine, dialect.version[0])["mappings"]["properties"]
        added = {"properties": {name: known[name] for name in (SOURCE, LOAD, PASSAGES, STATE)}}
        connection.send(Request.json("PUT", f"{_path(index.name)}/_mapping", added, timeout=ADMIN_TIMEOUT))


def add_fields(connection: Connection, index: OpenedIndex, wanted: IndexSchema) -> OpenedIndex:
    """Adds the fields to filter on that ``wanted`` has and the index lacks, to mapping and ``_meta`` in one request.

    What is in the index already cannot be filtered on by them until it is loaded again, as a load then does.

    Raises:
        IndexMismatchError: the schemas differ in what cannot be changed.
    """
    difference = schema_difference(index.schema, wanted)
    if difference.conflicts:
        raise IndexMismatchError(
            f"the index was made with other settings (index / here): {'; '.join(difference.conflicts)}",
            where=index.where,
            remedy="Take the settings of the index, or build a new one: hybrid-search reindex",
        )
    if not difference.additions:
        return index
    schema = with_fields(index.schema, difference.additions, wanted)
    dialect = connection.dialect
    properties = dialect.index_body(schema)["mappings"]["properties"][FILTER]["properties"]
    added = {escape(name): properties[escape(name)] for name in difference.additions}
    meta = _merged_meta(connection.send(opening(index.name))[index.name], {"schema": msgspec.to_builtins(schema)})
    change = {"properties": {FILTER: {"properties": added}}, "_meta": meta}
    connection.send(Request.json("PUT", f"{_path(index.name)}/_mapping", change, timeout=ADMIN_TIMEOUT))
    return replace(index, schema=schema, added=tuple(difference.additions))


def update_meta(connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Adds ``values`` to the package's part of ``_meta``, which a mapping update replaces as a whole."""
    answer = connection.send(opening(name))
    for index, content in answer.items():
        meta = _merged_meta(content, values)
        connection.send(Request.json("PUT", f"{_path(index)}/_mapping", {"_meta": meta}, timeout=ADMIN_TIMEOUT))


def _merged_meta(content: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    meta = content["mappings"].get("_meta", {})
    return {**meta, META: {**meta.get(META, {}), **values}}


def read_meta(connection: Connection, name: str) -> dict[str, Any]:
    """The package's part of an index's ``_meta``; empty where there is none."""
    content = next(iter(connection.send(opening(name)).values()))
    meta: dict[str, Any] = content["mappings"].get("_meta", {}).get(META, {})
    return meta


def update_settings(connection: Connection, name: str, settings: Mapping[str, Any]) -> None:
    """Changes settings of an index that may be changed while it is open."""
    connection.send(Request.json("PUT", f"{_path(name)}/_settings", settings, timeout=ADMIN_TIMEOUT))


def read_settings(connection: Connection, name: str) -> dict[str, str]:
    """The settings of one index that were set, by their flat names (``index.refresh_interval``)."""
    answer = connection.send(Request.json("GET", f"{_path(name)}/_settings", flat_settings="true"))
    settings: dict[str, str] = next(iter(answer.values()))["settings"]
    return settings


def replica_warning(connection: Connection, name: str) -> str | None:
    """A sentence where a cluster of several data nodes keeps no second copy of the index; None where all is well.

    Not to be asked during a load, which does without replicas; None too where the user may not ask the cluster.
    """
    answer = connection.transport.send(Request.json("GET", "/_cluster/health", filter_path="number_of_data_nodes"))
    nodes = answer.body.get("number_of_data_nodes", 1) if answer.status == 200 else 1
    settings = read_settings(connection, name)
    expands = settings.get("index.auto_expand_replicas", "false") != "false"
    if nodes < 2 or expands or settings["index.number_of_replicas"] != "0":
        return None
    return (
        f"{name} has no replica on a cluster of {nodes} data nodes: with one of them its documents are lost. "
        "Set engine.replicas = 1 for new indices, and index.number_of_replicas of this one"
    )


def delete_index(connection: Connection, name: str) -> None:
    """Deletes one index; an alias or a pattern is refused, by the engine and here.

    Raises:
        IndexMissingError: no such index.
    """
    refuse_patterns(name)
    connection.send(Request.json("DELETE", _path(name), timeout=ADMIN_TIMEOUT))


def exists(connection: Connection, name: str) -> bool:
    """Whether there is an index or alias of this name."""
    answer = connection.transport.send(Request.json("HEAD", _path(name)))
    if answer.status == 404:
        return False
    connection.send(opening(name))
    return True


def refresh(connection: Connection, name: str) -> None:
    """Makes everything written so far findable."""
    connection.send(Request.json("POST", f"{_path(name)}/_refresh", timeout=ADMIN_TIMEOUT))


def count(connection: Connection, name: str, query: Mapping[str, Any] | None = None) -> int:
    """Passages in the index, as of its last refresh; those that match ``query`` where it is given."""
    body = {"query": {"exists": {"field": DOC_ID}} if query is None else query}
    found: int = connection.send(Request.json("POST", f"{_path(name)}/_count", body))["count"]
    return found


def aliased(connection: Connection, alias: str) -> list[str]:
    """The indices behind an alias, sorted; none where there is no such alias.

    Raises:
        EngineError: the engine does not say; that it is busy is no answer.
    """
    return sorted(_behind(connection, alias))


def shown_by(connection: Connection, name: str) -> dict[str, Any] | None:
    """The filter of an alias, as a query of the engine; None for an index, and for an alias that shows all.

    Raises:
        IndexMismatchError: the alias stands for several indices.
    """
    behind = _behind(connection, name)
    if len(behind) > 1:
        raise IndexMismatchError(f"the alias stands for several indices: {', '.join(sorted(behind))}", where=name)
    return next((properties.get("filter") for properties in behind.values()), None)


def point_alias(connection: Connection, alias: str, index: str) -> list[str]:
    """Lets ``alias`` stand for ``index`` and nothing else, in one step that no search falls between.

    The alias keeps its filter, its routing and its write flag. Repeating it changes nothing. Returns the indices that
    it stood for before.

    Raises:
        EngineError: the engine does not say what the alias stands for, or refuses; the alias is as it was.
    """
    before = _behind(connection, alias)
    actions: list[dict[str, Any]] = [
        {"remove": {"index": old, "alias": alias, "must_exist": False}} for old in before if old != index
    ]
    actions.append({"add": {"index": index, "alias": alias, **_kept(before, index)}})
    connection.send(Request.json("POST", "/_aliases", {"actions": actions}, timeout=ADMIN_TIMEOUT))
    return sorted(before)


def swap_index_for_alias(connection: Connection, name: str, index: str, *, old: str | None = None) -> None:
    """Deletes the index ``old`` (None: ``name``) and lets the alias ``name`` stand for ``index``, in one step.

    All other aliases of the old one go with it, with their filters and routing, and so does its own name, unless that
    is of a build (``name-n``), which nobody searches. Repeating it changes nothing.

    Raises:
        IndexMissingError: there is no index of either name.
        RequestRefusedError: ``name`` is a pattern, an alias of another index, or ``index`` itself.
    """
    gone = name if old is None else old
    refuse_patterns(gone)
    if aliased(connection, name) == [index]:
        return
    found = connection.send(Request.json("GET", f"{_path(gone)}/_alias")).get(gone, {}).get("aliases", {})
    names = {name: {}} | found
    if not any(re.fullmatch(rf"{re.escape(alias)}-\d+", gone) for alias in names):
        names |= {gone: {}}
    actions: list[dict[str, Any]] = [
        {"add": {"index": index, "alias": alias, **_kept({index: properties}, index)}}
        for alias, properties in names.items()
    ]
    actions.append({"remove_index": {"index": gone}})
    connection.send(Request.json("POST", "/_aliases", {"actions": actions}, timeout=ADMIN_TIMEOUT))


def _behind(connection: Connection, alias: str) -> dict[str, Any]:
    """The properties of an alias by the name of each index that it stands for."""
    refuse_patterns(alias)
    request = Request.json("GET", f"/_alias/{quote(alias, safe='')}")
    answer = connection.transport.send(request)
    if answer.status == 404:
        return {}
    found = checked(answer, request, connection.where)
    return {index: content["aliases"][alias] for index, content in found.items()}


def _kept(before: Mapping[str, Mapping[str, Any]], index: str) -> dict[str, Any]:
    """What an alias keeps when it moves: of ``index`` where it stood for that, else of the index it wrote to."""
    ordered = sorted(before, key=lambda name: (name != index, not before[name].get("is_write_index"), name))
    properties = before[ordered[0]] if ordered else {}
    return {name: value for name, value in properties.items() if name in ALIAS_PROPERTIES}


def _path(name: str) -> str:
    return f"/{quote(name, safe='')}"


def _faults(schema: IndexSchema, properties: Mapping[str, Any]) -> Iterator[str]:
    dense = properties.get(DENSE, {})
    found = dense.get("dims", dense.get("dimension"))
    if schema.dense is not None and found != schema.dense.dimension:
        yield f"{DENSE} has dimension {found}, not {schema.dense.dimension}"
    if schema.sparse is not None and properties.get(SPARSE, {}).get("type") != schema.sparse_index:
        yield f"{SPARSE} is not {schema.sparse_index}"
    mapped = properties.get(filter_root(schema), {}).get("properties", {})
    if absent := [name for name in filter_kinds(schema) if escape(name) not in mapped]:
        yield f"no field {', '.join(absent)}"
    unread = [path for path in text_paths(schema) if not is_mapped(path.path, properties)]
    if absent := sorted({path.analyzer for path in unread if path.name == TEXT}):
        yield f"no text for the analyzer {', '.join(absent)}"
    elif absent := list(dict.fromkeys(path.name for path in unread)):
        yield f"no text field {', '.join(absent)}"
