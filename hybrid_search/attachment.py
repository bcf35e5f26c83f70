"""Where an index that somebody else owns has what is searched: their fields, and our vectors beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Attachment:
    """How documents of another owner are read and searched; kept in the index's ``_meta``.

    Attributes:
        texts: the owner's fields that models read, in their order.
        paths: where the fields to filter on are, by the names that filters use: ``brand`` at ``brand.keyword``.
        models: what is written beside vectors that the index's models have made.
        most: so many passages of a document have vectors, the first ones.
        dense: the name of the field of dense vectors among ours, None without any. A field that an earlier attachment
            left cannot be changed: another model of another dimension has another name.
        sparse: the same for sparse vectors.
        has_graph: whether the engine can search dense vectors by a graph; else each is compared.
    """

    texts: tuple[str, ...]
    paths: Mapping[str, str] = field(default_factory=dict)
    models: str = ""
    most: int = 16
    dense: str | None = None
    sparse: str | None = None
    has_graph: bool = True
