"""A framework's embeddings as an encoder."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid_search.errors import ModelError
from hybrid_search.frameworks.embeddings import EmbeddingEncoder, name_of


class Lengths:
    """Vectors of a text's length and its words."""

    def __init__(self, model: object = None) -> None:
        self.model_name = model

    def embed(self, texts: list[str]) -> list[list[float]]:
        return [[len(text), len(text.split()), 1.0] for text in texts]

    def ask(self, text: str) -> list[float]:
        return self.embed([text])[0]


def encoder(model: object = None) -> EmbeddingEncoder:
    """Those as an encoder."""
    lengths = Lengths(model)
    return EmbeddingEncoder(name_of(lengths), lengths.embed, lengths.ask)


def test_documents_and_queries_are_rows_of_float32() -> None:
    """Two texts of 3 and 5 letters, of one and two words."""
    found = encoder().encode_documents(["abc", "ab cd"])
    assert found.dense.dtype == np.float32
    assert found.dense.tolist() == [[3, 1, 1], [5, 2, 1]]
    assert found.sparse is None
    assert encoder().encode_queries(["abc"]).dense.tolist() == [[3, 1, 1]]


def test_the_dimension_is_found_out_and_the_model_is_named() -> None:
    """What an index keeps tells two models of one class apart."""
    small, large = encoder("small").dense, encoder("large").dense
    assert small.dimension == 3
    assert small.name == "Lengths small"
    assert small.difference(large) == ["extra: {'model': 'Lengths small'} / {'model': 'Lengths large'}"]
    assert name_of(Lengths()) == "Lengths"


@pytest.mark.parametrize("given", [[[1.0, 2.0]], [[1.0], [1.0, 2.0]], ["a", "b"], [1.0, 2.0]])
def test_vectors_that_are_none_are_an_error_that_names_the_model(given) -> None:
    """One for two texts, two lengths, words, and no rows."""
    broken = EmbeddingEncoder("Broken", lambda _: given, lambda _: [1.0])
    with pytest.raises(ModelError, match=r"^Broken: "):
        broken.encode_documents(["a", "b"])
