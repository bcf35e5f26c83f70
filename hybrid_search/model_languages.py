"""Which models read English alone, and what to take for other languages: facts by the models' names, for advice only.

A model's files do not say which languages it was trained on; its card does. So this is a table of cards, and a model
that is not in it is taken to know what it is used for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ENGLISH = "en"

LEAST_OTHER = 0.2
"""A fifth of the texts: what is detected of fewer is as often an English text full of names."""

ENGLISH_ONLY = frozenset(
    {
        "starter",
        "idf",
        "all-minilm-l6-v2",
        "all-minilm-l12-v2",
        "all-mpnet-base-v2",
        "all-distilroberta-v1",
        "multi-qa-minilm-l6-cos-v1",
        "multi-qa-mpnet-base-cos-v1",
        "multi-qa-mpnet-base-dot-v1",
        "msmarco-distilbert-base-v4",
        "msmarco-minilm-l6-cos-v5",
        "bge-small-en-v1.5",
        "bge-base-en-v1.5",
        "bge-large-en-v1.5",
        "e5-small-v2",
        "e5-base-v2",
        "e5-large-v2",
        "gte-small",
        "gte-base",
        "gte-large",
        "gte-base-en-v1.5",
        "gte-large-en-v1.5",
        "mxbai-embed-large-v1",
        "nomic-embed-text-v1",
        "nomic-embed-text-v1.5",
        "snowflake-arctic-embed-s",
        "snowflake-arctic-embed-m",
        "snowflake-arctic-embed-l",
        "granite-embedding-30m-english",
        "granite-embedding-125m-english",
        "opensearch-neural-sparse-encoding-v1",
        "opensearch-neural-sparse-encoding-v2-distill",
        "opensearch-neural-sparse-encoding-doc-v1",
        "opensearch-neural-sparse-encoding-doc-v2-mini",
        "opensearch-neural-sparse-encoding-doc-v2-distill",
        "opensearch-neural-sparse-encoding-doc-v3-distill",
        "opensearch-neural-sparse-encoding-doc-v3-gte",
        "splade-v3",
        "splade-cocondenser-ensembledistil",
        "splade_pp_en_v1",
        "splade_pp_en_v2",
        "ms-marco-minilm-l6-v2",
        "ms-marco-minilm-l-6-v2",
        "ms-marco-minilm-l12-v2",
        "ms-marco-minilm-l-12-v2",
    }
)
"""Last parts of names, in lower case: a copy in a folder usually keeps them."""

SPARSE_LANGUAGES = frozenset("ar bn en es fa fi fr hi id ja ko ru sw te zh".split())  # noqa: SIM905  # as they are read
"""What :data:`SPARSE` was trained on: the languages of MIRACL's training set but Thai."""

SPARSE = "opensearch-project/opensearch-neural-sparse-encoding-multilingual-v1"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Models for texts of other languages that work together, as settings of their sections.

    Attributes:
        dense: keys and values of ``[dense]``.
        sparse: keys and values of ``[sparse]``: what needs all-MiniLM-L6-v2, as ``starter`` does, is none of them.
        facts: what the bi-encoder costs.
    """

    dense: Mapping[str, str]
    sparse: Mapping[str, str]
    facts: str


E5_SMALL = {
    "model": "intfloat/multilingual-e5-small",
    "query_prompt": "query: ",
    "document_prompt": "passage: ",
}
"""Its own files name no prompts, and it was trained with these."""


def suggested(languages: Iterable[str]) -> Suggestion:
    """For texts of these languages (ISO 639-1)."""
    others = [code.partition("-")[0] for code in languages if code != ENGLISH]
    sparse = SPARSE if others and set(others) <= SPARSE_LANGUAGES else "none"
    return Suggestion(E5_SMALL, {"model": sparse}, "118 million parameters, 384 dimensions, 512 tokens, MIT")


def reads_english_only(model: str) -> bool:
    """Whether a model, by its name or folder, is known to read English alone."""
    return model.rstrip("/").rpartition("/")[2].lower() in ENGLISH_ONLY


def foreign(shares: Mapping[str, float]) -> dict[str, float]:
    """The languages that are not English, with their shares, where they are enough to be believed; else none."""
    others = {code: share for code, share in shares.items() if code.partition("-")[0] != ENGLISH}
    return others if sum(others.values()) >= LEAST_OTHER else {}


def english_models(named: Mapping[str, str]) -> dict[str, str]:
    """Of models by their settings (``dense.model``), those that read English alone."""
    return {setting: model for setting, model in named.items() if reads_english_only(model)}


def warning(shares: Mapping[str, float], named: Mapping[str, str]) -> str | None:
    """What to say where models that read English alone meet texts of other languages; None where all is well.

    Args:
        shares: of the texts, by language.
        named: models by the settings that name them.
    """
    others, models = foreign(shares), english_models(named)
    if not others or not models:
        return None
    spoken = ", ".join(f"{code} {share:.0%}" for code, share in others.items())
    reading = " and ".join(f"{setting} {model}" for setting, model in models.items())
    advice = suggested(others)
    taken = {f"dense.{key}": value for key, value in advice.dense.items()}
    taken |= {f"sparse.{key}": value for key, value in advice.sparse.items()}
    settings = ", ".join(f'{key} = "{value}"' for key, value in taken.items())
    return (
        f"the texts are {spoken}, and {reading} read{'s' * (len(models) == 1)} English alone. For many languages, in a"
        f" new index and together: {settings} ({advice.facts}); larger, with a GPU: BAAI/bge-m3, which has no prompts"
    )
