"""What a document is made of, and how it is cut into passages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hybrid_search.settings.section import Section, require, require_at_least, require_one_of

REFUSE, FIRST, LAST, NUMBER = "refuse", "first", "last", "number"
FIELD, CONTENT = "field", "content"
DAY, MONTH = "day", "month"
TITLE = "title"
WITH_TITLE = True
"""Whether models read the title before every passage of a new index."""
FILTERED = ("keyword", "number", "date", "boolean", "geo")
"""The roles of fields that are filtered on."""


class DocumentSettings(Section, frozen=True):
    """Which fields of a source make a document; a dot reaches into an object (``metadata.brand``).

    ``text`` fields are joined by a newline, in order; those that are in ``html`` too are turned into text before, and
    their source is stored. ``title`` names the field that heads a result, and every passage for the models
    (``chunking.with_title``). ``dense`` and ``sparse`` name fields that carry vectors.

    ``id_from`` is ``field``, the one that ``id`` names, or ``content``, a hash of the record. ``repeated_ids`` is what
    becomes of a document whose id came before: it is an error (``refuse``), left out (``first``), kept instead of the
    earlier ones (``last``, of sources that can be read twice), or gets a number (``number``: ``a``, ``a-2``, ``a-3``).

    ``keyword``, ``number``, ``date``, ``boolean`` and ``geo`` fields are filtered on; ``lat,lon`` in ``geo`` stands for
    two fields that say one place. ``split`` names what separates the values of one cell (``{tags = "|"}``, ``"[]"`` for
    printed lists); ``decimal`` is ``,`` for numbers such as ``1.234,50``; ``date_order`` is ``day`` or ``month``, what
    comes first in ``05/07/2022``. In a ``lenient`` field a value that cannot be read is stored and not filtered on;
    elsewhere it is an error. The values are stored as the source has them, always.

    ``language`` names the field that says in which language a document is, as a code, a tag or a name; BM25 reads it by
    the analyzer that ``engine.analyzers`` has for it. With ``detect_language`` the field is filled in where it says
    nothing, of texts that are long enough to tell.

    ``image`` names the field that has images: paths, addresses, bytes (:mod:`hybrid_search.read.images.named`). Paths
    are relative to the source's folder, or to ``image_folder``, and stay in it.

    Links in a folder that lead out of it are passed over with a note, unless ``follow_links``.
    """

    id: str = "_id"
    id_from: str = FIELD
    repeated_ids: str = REFUSE
    title: str | None = None
    text: tuple[str, ...] = ("title", "text")
    html: tuple[str, ...] = ()
    keyword: tuple[str, ...] = ()
    number: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    boolean: tuple[str, ...] = ()
    geo: tuple[str, ...] = ()
    split: dict[str, str] = {}  # noqa: RUF012  # a struct copies its default
    decimal: dict[str, str] = {}  # noqa: RUF012  # a struct copies its default
    date_order: dict[str, str] = {}  # noqa: RUF012  # a struct copies its default
    lenient: tuple[str, ...] = ()
    dense: str | None = None
    sparse: str | None = None
    image: str | None = None
    image_folder: str | None = None
    language: str | None = None
    detect_language: bool = False
    follow_links: bool = False

    @property
    def heading(self) -> str | None:
        """The field that holds a document's title: ``title``, else the first text field where it is called so."""
        return self.title or (TITLE if self.text[0] == TITLE and len(self.text) > 1 else None)

    def __post_init__(self) -> None:
        require(bool(self.id), "documents.id", "is empty", "Name the field that holds the document's id")
        require(bool(self.text), "documents.text", "names no field", "Name at least one field that holds text")
        require(self.image != "", "documents.image", "is empty", "Name the field that has images")
        require(self.title != "", "documents.title", "is empty", "Name the field that heads a result")
        require_one_of((FIELD, CONTENT), "documents.id_from", self.id_from)
        require_one_of((REFUSE, FIRST, LAST, NUMBER), "documents.repeated_ids", self.repeated_ids)
        self._require_one_role()
        self._require_readings()
        self._require_language()

    def _require_language(self) -> None:
        require(self.language != "", "documents.language", "is empty", "Name the field that says a document's language")
        taken = {self.dense: "documents.dense", self.sparse: "documents.sparse"}
        taken |= dict.fromkeys((*self.number, *self.date, *self.boolean), "no keyword")
        is_other = self.language is not None and self.language in taken
        require(not is_other, "documents.language", f"{self.language!r} is {taken.get(self.language)}")
        require(
            not self.detect_language or self.language is not None,
            "documents.detect_language",
            "needs a field to keep the language in",
            'Name one that the documents may lack: documents.language = "language"',
        )

    def _require_one_role(self) -> None:
        """A field is filtered on in one way, and a vector is nothing but a vector."""
        roles: dict[str, str] = {}
        for role in FILTERED:
            for name in getattr(self, role):
                require(bool(name), f"documents.{role}", "holds an empty name")
                require(name not in roles, f"documents.{role}", f"{name!r} is also in documents.{roles.get(name)}")
                roles[name] = role
        used = {**roles, **dict.fromkeys(self.text, "text"), **({self.id: "id"} if self.id_from == FIELD else {})}
        for role, vector in {"dense": self.dense, "sparse": self.sparse}.items():
            if vector is not None:
                require(vector not in used, f"documents.{role}", f"{vector!r} is also documents.{used.get(vector)}")
                used[vector] = role

    def _require_readings(self) -> None:
        """What says how a field is read names a field that is read so."""
        _require_named(self.html, "html", {"text": self.text})
        _require_named(self.split, "split", {role: getattr(self, role) for role in FILTERED if role != "boolean"})
        _require_named(self.decimal, "decimal", {"number": self.number})
        _require_named(self.date_order, "date_order", {"date": self.date})
        _require_named(self.lenient, "lenient", {role: getattr(self, role) for role in FILTERED})
        for name, separator in self.split.items():
            require(bool(separator), f"documents.split.{name}", "is empty", 'Give what stands between values, as "|"')
        for name, mark in self.decimal.items():
            require_one_of((".", ","), f"documents.decimal.{name}", mark)
        for name, first in self.date_order.items():
            require_one_of((DAY, MONTH), f"documents.date_order.{name}", first)


def _require_named(names: Iterable[str], key: str, allowed: Mapping[str, tuple[str, ...]]) -> None:
    for name in names:
        listed = " or ".join(f"documents.{role}" for role in allowed)
        is_named = any(name in fields for fields in allowed.values())
        require(is_named, f"documents.{key}", f"{name!r} is not in {listed}", f"Add it there, or take it out of {key}")


class ChunkingSettings(Section, frozen=True):
    """Passages: at most ``max_tokens`` tokens, of which neighbours share ``overlap``.

    ``max_tokens`` None is the models' own limit; where they have none (``sparse.model = "idf"`` alone), 8,192.

    ``with_title``: models read the document's title before every passage, and BM25 searches the title on its own; it is
    not in the passages that are shown. None is as the index was made, and :data:`WITH_TITLE` for a new one.
    """

    max_tokens: int | None = None
    overlap: int = 32
    with_title: bool | None = None

    def __post_init__(self) -> None:
        require_at_least(1, "chunking.max_tokens", self.max_tokens)
        require_at_least(0, "chunking.overlap", self.overlap)
        require(
            self.max_tokens is None or self.overlap < self.max_tokens,
            "chunking.overlap",
            f"must be less than chunking.max_tokens ({self.max_tokens}), got {self.overlap}",
        )
