"""What a document is made of, and how it is cut into passages."""

from __future__ import annotations

from hybrid_search.settings.section import Section, require, require_at_least


class DocumentSettings(Section, frozen=True):
    """Which fields of a source make a document; a dot reaches into an object (``metadata.brand``).

    ``text`` fields are joined by a newline, in order. ``dense`` and ``sparse`` name fields that carry vectors.
    """

    id: str = "_id"
    text: tuple[str, ...] = ("title", "text")
    keyword: tuple[str, ...] = ()
    number: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    dense: str | None = None
    sparse: str | None = None

    def __post_init__(self) -> None:
        require(bool(self.id), "documents.id", "is empty", "Name the field that holds the document's id")
        require(bool(self.text), "documents.text", "names no field", "Name at least one field that holds text")
        self._require_one_role()

    def _require_one_role(self) -> None:
        """A field is filtered on in one way, and a vector is nothing but a vector."""
        roles: dict[str, str] = {}
        for role, names in {"keyword": self.keyword, "number": self.number, "date": self.date}.items():
            for name in names:
                require(bool(name), f"documents.{role}", "holds an empty name")
                require(name not in roles, f"documents.{role}", f"{name!r} is also in documents.{roles.get(name)}")
                roles[name] = role
        used = {**roles, **dict.fromkeys(self.text, "text"), self.id: "id"}
        for role, vector in {"dense": self.dense, "sparse": self.sparse}.items():
            if vector is not None:
                require(vector not in used, f"documents.{role}", f"{vector!r} is also documents.{used.get(vector)}")
                used[vector] = role


class ChunkingSettings(Section, frozen=True):
    """Passages: at most ``max_tokens`` tokens, of which neighbours share ``overlap``.

    ``max_tokens`` None is the models' own limit; where they have none (``sparse.model = "idf"`` alone), 8,192.
    """

    max_tokens: int | None = None
    overlap: int = 32

    def __post_init__(self) -> None:
        require_at_least(1, "chunking.max_tokens", self.max_tokens)
        require_at_least(0, "chunking.overlap", self.overlap)
        require(
            self.max_tokens is None or self.overlap < self.max_tokens,
            "chunking.overlap",
            f"must be less than chunking.max_tokens ({self.max_tokens}), got {self.overlap}",
        )
