"""Indices that the stores of other projects made, told by their mappings: an error names what somebody has there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hybrid_search.errors import IndexMismatchError

SCHEMES = {"knn_vector": "os", "dense_vector": "es"}
"""The type of a vector's field, and how a source of the engine that has it begins."""

LANGCHAIN_VECTORS = {"vector_field", "vector"}
"""What LangChain's stores call the field: that for OpenSearch, and that for Elasticsearch."""

LLAMA_INDEX_METADATA = {"_node_content", "ref_doc_id"}


@dataclass(frozen=True, slots=True)
class Layout:
    """How a project lays out an index: its name, and the fields of the text, the vectors and the metadata."""

    project: str
    text: str
    vectors: str
    metadata: str
    scheme: str

    def __str__(self) -> str:
        return f"{self.project} (text in {self.text}, vectors in {self.vectors}, metadata in {self.metadata})"


def layout_of(mappings: Mapping[str, Any]) -> Layout | None:
    """The layout of an index that LangChain, LlamaIndex or Haystack has made; None for any other."""
    fields = mappings.get("properties", {})
    vectors = {name: SCHEMES[one["type"]] for name, one in fields.items() if one.get("type") in SCHEMES}
    is_text = {name for name, one in fields.items() if one.get("type") == "text"}
    metadata = fields.get("metadata", {}).get("properties", {})
    named = next(iter(LANGCHAIN_VECTORS & vectors.keys()), None)
    if named is not None and "text" in is_text:
        return Layout("LangChain", "text", named, "metadata", vectors[named])
    if "embedding" not in vectors or "content" not in is_text:
        return None
    if LLAMA_INDEX_METADATA & metadata.keys():
        return Layout("LlamaIndex", "content", "embedding", "metadata", vectors["embedding"])
    if any("strings" in template for template in mappings.get("dynamic_templates", ())):
        return Layout("Haystack", "content", "embedding", "the document itself", vectors["embedding"])
    return None


def not_ours(index: str, mappings: Mapping[str, Any], where: str) -> IndexMismatchError:
    """The error of an index that this package did not make."""
    layout, what = layout_of(mappings), "the index was not made by hybrid-search"
    if layout is None:
        remedy = "Index into a new one: hybrid-search index; or give this one vectors: hybrid-search attach"
        return IndexMismatchError(what, where=where, remedy=remedy)
    source = f"{layout.scheme}:{index}"
    remedy = f"Load its documents into a new one: hybrid-search init {source}, then hybrid-search index {source} NEW"
    return IndexMismatchError(f"{what}: it has the layout of {layout}", where=where, remedy=remedy)
