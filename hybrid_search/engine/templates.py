"""The mapping templates of ``mappings/``: one readable JSON file per engine and major version.

A value ``"${name}"`` is replaced by the value of that name, with its type. ``settings_since`` holds settings that only
some minor versions know; ``dense_index`` and ``sparse_index`` list the ways to index vectors, each with the version
that brought it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec
import orjson

from hybrid_search.engine.analyzed import with_analyzed, words_mapped
from hybrid_search.engine.layout import RESULT_WINDOW, WORDS, escape
from hybrid_search.errors import UnsupportedError
from hybrid_search.fields import filter_kinds
from hybrid_search.records import LAYOUT, IndexSchema

Version = tuple[int, int, int]

META = "hybrid_search"
SCHEMA_VERSION = LAYOUT
"""Raised when the layout of an index changes so that older code would misread it."""


def index_body(engine: str, version: Version, schema: IndexSchema) -> dict[str, Any]:
    """Body of ``PUT /index`` for this engine and version; the layout is the present one whatever the schema says.

    Raises:
        UnsupportedError: this version does not have the schema's ``dense_index`` or ``sparse_index``.
    """
    template, schema = load(engine, version[0]), replace(schema, layout=LAYOUT)
    text = template["field_types"]["text"]
    values: dict[str, Any] = {
        "shards": schema.shards,
        "replicas": schema.replicas,
        "bm25_k1": schema.bm25_k1,
        "bm25_b": schema.bm25_b,
        "analyzer": schema.analyzer,
        "hnsw_m": schema.hnsw_m,
        "hnsw_ef_construction": schema.hnsw_ef_construction,
        "result_window": RESULT_WINDOW,
        "meta": {META: {"schema_version": SCHEMA_VERSION, "schema": msgspec.to_builtins(schema)}},
        "fields": _field_properties(template["field_types"], schema),
        "words": words_mapped(text, schema),
    }
    settings = dict(template["settings"])
    for since, more in template["settings_since"].items():
        if version >= parse_version(since):
            settings |= more
    if schema.replicas is None:
        del settings["index.number_of_replicas"]
    properties = dict(template["mappings"]["properties"])
    if schema.dense is None:
        del properties["dense"]
    else:
        values["dimension"] = schema.dense.dimension
        properties["dense"] = properties["dense"] | _variant(engine, version, "dense_index", schema.dense_index)
    if schema.sparse is None:
        del properties["sparse"]
    else:
        properties["sparse"] = properties["sparse"] | _variant(engine, version, "sparse_index", schema.sparse_index)
    if schema.late is None:
        del properties["late"]
    if not values["words"]:
        del properties[WORDS]
    mappings = template["mappings"] | {"properties": with_analyzed(properties, text, schema)}
    body: dict[str, Any] = fill({"settings": settings, "mappings": mappings}, values)
    return body


def index_types(engine: str, version: Version, section: str) -> frozenset[str]:
    """The names that ``section``, ``dense_index`` or ``sparse_index``, may have on this version."""
    variants = load(engine, version[0])[section]
    return frozenset(name for name, forms in variants.items() if any(_has(form, version) for form in forms))


def is_quantised(dense_index: str) -> bool:
    """Whether an index of this kind finds by vectors that are rounded, so that the whole ones may score again."""
    return bool({"int8", "int4", "bbq", "disk"} & set(dense_index.split("_")))


def require_since(engine: str, version: Version, since: Version, setting: str) -> None:
    """UnsupportedError where the version is older than what brought the setting."""
    if version < since:
        ours, first = (".".join(map(str, one)) for one in (version, since))
        raise UnsupportedError(
            f"{engine} {ours} has no {setting}", remedy=f"Use {engine} {first} or newer, or leave it out"
        )


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """A copy of ``value`` with every string ``"${name}"`` replaced by ``values[name]``."""
    if isinstance(value, Mapping):
        return {key: fill(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, values) for inner in value]
    if isinstance(value, str) and value.startswith("${"):
        return values[value[2:-1]]
    return value


def parse_version(text: str) -> Version:
    """``"9.5.3-SNAPSHOT"`` -> ``(9, 5, 3)``; missing parts are 0."""
    numbers = [int(part) for part in text.partition("-")[0].split(".")]
    major, minor, patch = (*numbers, 0, 0)[:3]
    return major, minor, patch


@cache
def load(engine: str, major: int) -> dict[str, Any]:
    """The template of an engine's major version, or of its newest known one."""
    known = sorted(
        int(path.name.partition("-")[2][:-5]) for path in _folder().iterdir() if path.name.startswith(engine)
    )
    family = min(max(major, known[0]), known[-1])
    template: dict[str, Any] = orjson.loads(_folder().joinpath(f"{engine}-{family}.json").read_bytes())
    return template


def _folder() -> Traversable:
    """``hybrid_search/mappings`` of an installed wheel, else ``mappings`` of the checkout."""
    packaged = files("hybrid_search") / "mappings"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "mappings"


def _field_properties(types: Mapping[str, Any], schema: IndexSchema) -> dict[str, Any]:
    return {escape(name): types[kind] for name, kind in filter_kinds(schema).items()}


def _variant(engine: str, version: Version, section: str, name: str) -> dict[str, Any]:
    forms = [form for form in load(engine, version[0])[section].get(name, ()) if _has(form, version)]
    if not forms:
        raise UnsupportedError(
            f"{engine} {'.'.join(map(str, version))} has no {section} {name!r}",
            remedy=f"Use one of: {', '.join(sorted(index_types(engine, version, section)))}",
        )
    field: dict[str, Any] = forms[-1]["field"]
    return field


def _has(form: Mapping[str, Any], version: Version) -> bool:
    return version >= parse_version(form["since"])
