"""What metadata the documents of a Haystack document store have: fields, values and their ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hybrid_search.documents import DocumentClient
from hybrid_search.filters import Filter, In
from hybrid_search.frameworks import metadata_terms
from hybrid_search.frameworks.haystack_documents import to_haystack
from hybrid_search.frameworks.haystack_filters import TERMS
from hybrid_search.frameworks.haystack_storing import Filters, StoredDocuments

KINDS = {"i": "int", "f": "float", "b": "boolean", "t": "date"}
"""What a field is called whose values are of one type; any other is a ``keyword``."""


class DescribedDocuments(StoredDocuments):
    """A store that says what metadata it has. The engine lists terms: no document is read but for a long value.

    A list holds each of its items, and a dictionary the values of its keys, which are called ``meta.person.name``.
    """

    def get_metadata_fields_info(self) -> dict[str, dict[str, str]]:
        """The fields of the metadata, without ``meta.``, and the type of each: int, float, boolean, date or keyword."""
        types: dict[str, set[str]] = {}
        for term in self._terms(metadata_terms.beginning("?", "meta."), None):
            path, kind = metadata_terms.field_in(term)
            types.setdefault(path.removeprefix("meta."), set()).add(kind)
        kinds = {name: _kind(found) for name, found in types.items()}
        return {name: {"type": kind} for name, kind in kinds.items() if kind is not None}

    def get_metadata_field_min_max(self, metadata_field: str) -> dict[str, Any]:
        """The least and the greatest value of a field, ``min`` and ``max``: of numbers, or of texts by their letters.

        Both are None where it has no values, or numbers and texts.
        """
        path = _path(metadata_field)
        ends = [self._ends(metadata_terms.beginning_of_values(path, sign)) for sign in ("n", "s", "t")]
        found = [pair for pair in ends if pair is not None]
        least, greatest = found[0] if len(found) == 1 else (None, None)
        return {"min": least, "max": greatest}

    def get_metadata_field_unique_values(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: Filters | None = None,
    ) -> tuple[list[Any], int]:
        """Different values of a field, by how they are written; 1, 1.0, True and "1" are four.

        Args:
            metadata_field: with ``meta.`` or without.
            search_term: what the values hold, in whatever case.
            from_: values that are passed over.
            size: values that are given.
            filters: which documents' values.

        Returns:
            The values, and how many there are in all.
        """
        values = list(self._values(_path(metadata_field), filters))
        if search_term:
            values = [value for value in values if search_term.lower() in str(value).lower()]
        values.sort(key=lambda value: (str(value), type(value).__name__))
        return values[from_ : from_ + size], len(values)

    def count_unique_metadata_by_filter(
        self, filters: Filters | None, metadata_fields: Sequence[str]
    ) -> dict[str, int]:
        """How many different values each field has among the documents that pass the filters."""
        paths = [_path(name) for name in metadata_fields]
        return {path.removeprefix("meta."): sum(1 for _ in self._value_terms(path, filters)) for path in paths}

    def _ends(self, beginning: str) -> tuple[Any, Any] | None:
        first = [*self._terms(beginning, None, limit=1)]
        last = [*self._terms(beginning, None, limit=1, descending=True)]
        return (metadata_terms.value_in(first[0]), metadata_terms.value_in(last[0])) if first and last else None

    def _values(self, path: str, filters: Filters | None) -> Iterator[Any]:
        for term in self._value_terms(path, filters):
            yield self._looked_up(path, term) if metadata_terms.holds_hash(term) else metadata_terms.value_in(term)

    def _value_terms(self, path: str, filters: Filters | None) -> Iterator[str]:
        """The terms of values; not those of whole lists, whose items have their own."""
        terms = self._terms(metadata_terms.beginning_of_values(path), filters)
        return (term for term in terms if not metadata_terms.is_list(term))

    def _looked_up(self, path: str, term: str) -> Any:
        """A value of which a term has the hash, from a document that holds it."""
        for found in self._access.documents.find(In(TERMS, (term,)), limit=1):
            meta = to_haystack(found.id, found.text, found.fields).meta
            return metadata_terms.value_with(path, {"meta": meta}, term)
        return None

    def _terms(
        self, beginning: str, filters: Filters | None, *, limit: int | None = None, descending: bool = False
    ) -> Iterator[str]:
        def listed(client: DocumentClient, wanted: Filter | None) -> list[str]:
            values = client.values(TERMS, wanted, beginning=beginning, limit=limit, descending=descending)
            return [value for value, _ in values]

        self._own_schema()
        return iter(self._filtered(filters, listed))


def _path(field: str) -> str:
    return field if field.startswith("meta.") else f"meta.{field}"


def _kind(types: set[str]) -> str | None:
    """What a field is called that has values of these types; None for a dictionary alone, which is its keys."""
    own = types - {"d", "l"}
    if not own:
        return "keyword" if "l" in types else None
    if own == {"i", "f"}:
        return KINDS["f"]
    return KINDS.get(next(iter(own)), "keyword") if len(own) == 1 else "keyword"
