"""LlamaIndex's nodes as documents of an index, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from llama_index.core.schema import BaseNode, MetadataMode, TextNode
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from hybrid_search.encode import PRECOMPUTED
from hybrid_search.errors import IndexMismatchError, RecordError
from hybrid_search.fields import filter_kinds
from hybrid_search.filters import Filter
from hybrid_search.frameworks.index import FrameworkIndex
from hybrid_search.frameworks.llama_index_filters import NODE_ID, REF_DOC_ID
from hybrid_search.records import Document, Vector

CONTENT, TYPE = "_node_content", "_node_type"
"""What LlamaIndex calls the rest of a node, as JSON, and its class."""


class NodeIndex(FrameworkIndex):
    """The index of a store of nodes, which are also read and deleted by filters."""

    def filterable(self, document: Document) -> Mapping[str, Any]:
        """The metadata, and the ids of the node and of its document; not the rest of the node."""
        return {name: value for name, value in document.fields.items() if name not in {CONTENT, TYPE}}

    def kinds(self) -> Mapping[str, str]:
        """What the index filters on, by name; nothing where it is not there."""
        schema = self._schema()
        return {} if schema is None else filter_kinds(schema)

    @property
    def is_there(self) -> bool:
        """Whether the index was made."""
        return self._schema() is not None

    def check_takes_embeddings(self) -> None:
        """Refuse an index, if it is there, whose vectors a model has made that is not LlamaIndex's, or that has none.

        Raises:
            IndexMismatchError: with the model.
        """
        schema = self._schema()
        if schema is None or (schema.dense is not None and schema.dense.kind == PRECOMPUTED):
            return
        made = "no dense vectors" if schema.dense is None else f"dense vectors of {schema.dense.name}"
        raise IndexMismatchError(
            f"the index has {made}, to which LlamaIndex's embeddings do not belong",
            where=f"{self._connection.where}/{self.name}",
            remedy="Let the models of the index read the nodes: own_models=True; or take a new index",
        )

    def find(self, filter: Filter | None) -> Iterator[Document]:
        """The documents that pass a filter, by ascending id, with their vectors."""
        return self._documents.find(filter, vectors=True)

    def delete_where(self, filter: Filter) -> int:
        """Delete the documents that pass a filter; how many they were."""
        return self._documents.delete_where(filter)

    def clear(self) -> int:
        """Delete the documents that were put under the source of this index; how many they were."""
        return self._documents.delete_where(None, own=True)


def document_of(node: BaseNode, *, embedded: bool) -> Document:
    """The document of a node: its text, its metadata as fields, and the rest as one field.

    Args:
        node: to keep.
        embedded: whether its embedding is kept, which it then must have.

    Raises:
        RecordError: it has no embedding, where one is to be kept.
    """
    described = node_to_metadata_dict(node, remove_text=True)
    fields = {**node.metadata, **{name: described[name] for name in (CONTENT, TYPE)}, NODE_ID: node.node_id}
    if node.ref_doc_id is not None:
        fields[REF_DOC_ID] = node.ref_doc_id
    return Document(
        node.node_id,
        node.get_content(metadata_mode=MetadataMode.NONE),
        fields,
        _vector(node) if embedded else None,
        origin=f"node {node.node_id}",
    )


def _vector(node: BaseNode) -> Vector:
    if node.embedding is None:
        remedy = "Give it an embedding, or let the models of the index read the text: own_models=True"
        raise RecordError("the node has no embedding", where=f"node {node.node_id}", remedy=remedy)
    return np.asarray(node.embedding, dtype=np.float32)


def node_of(document: Document) -> BaseNode:
    """The node of a document; of one that another program has loaded, its text and its fields as metadata."""
    if CONTENT in document.fields:
        node = metadata_dict_to_node(dict(document.fields), text=document.text)
    else:
        node = TextNode(id_=document.id, text=document.text, metadata=dict(document.fields))
    if document.dense is not None:
        node.embedding = document.dense.tolist()
    return node


def dimension_of(documents: Sequence[Document]) -> int | None:
    """The components of their vectors; None where they have none."""
    return next((one.dense.size for one in documents if one.dense is not None), None)
