"""Fields that BM25 also searches on their own: ``[text.title]`` with ``weight`` and ``analyzer``."""

from __future__ import annotations

from collections.abc import Mapping

from hybrid_search.settings.section import Section, require

WHOLE = "text"
"""The name of the whole text, all fields of ``documents.text`` in one, beside those that are searched on their own."""


TEXT_WEIGHT = 1.0
"""What a text weighs in BM25 where nothing is said of it."""

TITLE_WEIGHT = 1.0
"""What a title that heads passages weighs in BM25 where nothing is said of it."""


MIN_WEIGHT, MAX_WEIGHT = 0.001, 1000.0
"""What a field may weigh, if it weighs anything: the engines count in 32 bits."""


class TextFieldSettings(Section, frozen=True):
    """How one field is searched on its own.

    ``weight`` is how much one of its words counts; 0 leaves the field out. It may be changed without indexing again.
    ``analyzer`` None is ``engine.analyzer``. ``[text.text]`` is the whole text, whose analyzer ``engine.analyzer`` is.
    """

    weight: float = TEXT_WEIGHT
    analyzer: str | None = None


def require_text_fields(fields: Mapping[str, TextFieldSettings], taken: Mapping[str, str]) -> None:
    """Raise SettingsError for a field that cannot be searched; ``taken`` are fields that are no text, with their keys.

    Raises:
        SettingsError: the key is ``text.NAME`` and what is wrong of it.
    """
    for name, field in fields.items():
        require(bool(name.strip()), "text", "holds an empty name", "Name the field: [text.title]")
        require(name not in taken, f"text.{name}", f"is {taken.get(name)}, which is no text", "Name a field of text")
        weighs = f"must be 0, or from {MIN_WEIGHT} to {MAX_WEIGHT}, got {field.weight}"
        require(field.weight == 0 or MIN_WEIGHT <= field.weight <= MAX_WEIGHT, f"text.{name}.weight", weighs)
        require(field.analyzer != "", f"text.{name}.analyzer", "is empty", "Name an analyzer of the engine")
    whole = fields.get(WHOLE)
    require(
        whole is None or whole.analyzer is None,
        f"text.{WHOLE}.analyzer",
        "cannot be given: [text.text] is the whole text, which has the analyzer of the index",
        "Set engine.analyzer",
    )
    weights = [TEXT_WEIGHT if whole is None else whole.weight, *(field.weight for field in fields.values())]
    require(any(weights), "text", "gives every text the weight 0", "Leave one of them a weight")
