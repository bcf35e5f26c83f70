"""What the name of a field says about it, by its words: ``Product Title``, ``productTitle`` and ``product_title``."""

from __future__ import annotations

import re
from collections.abc import Collection

_TITLES = frozenset(
    {
        "title",
        "headline",
        "heading",
        "subject",
        "question",
        "titel",
        "titre",
        "título",
        "titulo",
        "titolo",
        "überschrift",
    }
)
_NAMES = frozenset(
    {"name", "nom", "nombre", "naam", "nome", "bezeichnung", "label", "product", "produkt", "produit", "item"}
)
_OTHERS_NAMES = frozenset(
    {
        "author",
        "artist",
        "brand",
        "category",
        "city",
        "class",
        "company",
        "country",
        "creator",
        "department",
        "domain",
        "event",
        "file",
        "first",
        "folder",
        "group",
        "host",
        "last",
        "maker",
        "manufacturer",
        "menu",
        "middle",
        "owner",
        "seller",
        "shop",
        "source",
        "store",
        "supplier",
        "type",
        "user",
        "vendor",
    }
)
"""``brand name`` is the name of something else than the document."""
_BODIES = frozenset(
    {
        "text",
        "body",
        "content",
        "abstract",
        "summary",
        "description",
        "desc",
        "answer",
        "story",
        "article",
        "message",
        "review",
        "comment",
        "note",
        "notes",
        "remarks",
        "details",
        "kommentar",
        "bemerkung",
        "beschreibung",
        "inhalt",
        "contenu",
        "descripción",
        "descripcion",
        "descrizione",
    }
)
_DATES = frozenset(
    {
        "date",
        "datetime",
        "time",
        "timestamp",
        "day",
        "created",
        "updated",
        "modified",
        "published",
        "at",
        "on",
        "added",
        "since",
        "until",
        "released",
        "birthday",
        "datum",
        "fecha",
        "data",
    }
)
_LANGUAGES = frozenset(
    {"lang", "language", "locale", "sprache", "langue", "idioma", "lingua", "língua", "taal", "språk", "język"}
)
_PLACES = frozenset(
    {
        "geo",
        "gps",
        "location",
        "loc",
        "place",
        "position",
        "coordinates",
        "coordinate",
        "coords",
        "coord",
        "point",
        "latlon",
        "latlng",
        "lnglat",
        "lonlat",
        "geolocation",
        "geopoint",
        "koordinaten",
        "standort",
    }
)
_LATITUDE, _LONGITUDE = frozenset({"lat", "latitude"}), frozenset({"lon", "lng", "long", "longitude"})
_IDS = ("_id", "id", "docid", "uuid", "uid", "guid", "sku", "isbn", "ean", "gtin", "upc", "asin", "key", "url")
"""The last words of names of ids, the best first."""
_FORMS = frozenset({"html", "raw", "md", "markdown", "plain", "en", "de", "fr", "es", "it", "nl", "pt"})
"""Words that may follow the one that says what a field is."""


def words_of(name: str) -> list[str]:
    """The words of a name in lower case."""
    spaced = re.sub(r"(?<=[a-zß-ÿ])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.findall(r"[^\W_]+", spaced)]


def _last(name: str) -> str:
    words = words_of(name)
    while len(words) > 1 and words[-1] in _FORMS:
        words.pop()
    return words[-1] if words else ""


def title_rank(name: str) -> int:
    """2 for names of titles, 1 for those of names (not of other things' names), 0 for others."""
    if _last(name) in _TITLES:
        return 2
    is_name = _last(name) in _NAMES and not _OTHERS_NAMES & set(words_of(name))
    return 1 if is_name else 0


def is_name(name: str) -> bool:
    """Whether it names a name, be it of something else: ``first name``."""
    return _last(name) in _NAMES


def is_body(name: str) -> bool:
    """Whether it names what a document says."""
    return _last(name) in _BODIES


def is_language(name: str) -> bool:
    """Whether it names the language of a document."""
    return _last(name) in _LANGUAGES


def is_dated(name: str) -> bool:
    """Whether one of its last two words is of a time."""
    return bool(_DATES & set(words_of(name)[-2:]))


def is_placed(name: str) -> bool:
    """Whether one of its last two words is of a place."""
    return bool(_PLACES & set(words_of(name)[-2:]))


def longitude_beside(name: str, names: Collection[str]) -> str | None:
    """The name of the longitude that goes with this latitude; None where there is none, or it is no latitude."""
    words = words_of(name)
    rest = [word for word in words if word not in _LATITUDE]
    for other in names if rest != words else ():
        others = words_of(other)
        if rest == [word for word in others if word not in _LONGITUDE] != others:
            return other
    return None


def id_rank(name: str) -> int | None:
    """0 for the best name of an id, None for other names and for ids of other things, as ``user_id``."""
    lowered = name.lower()
    words = words_of(name)
    last = lowered if lowered == "_id" else re.sub(r"\d+$", "", _last(name))
    if last not in _IDS or _OTHERS_NAMES & set(words):
        return None
    return 2 * _IDS.index(last) + (len(words) > 1)
