"""A model needs its own tokenizer: none, a smaller or a larger one is refused."""

from __future__ import annotations

import pytest
import tiny_models as tiny
from hypothesis import given
from hypothesis import strategies as st
from test_encode_reports import TEXTS, load, save
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel

from hybrid_search.encode.vocabulary import FILLED, check_sizes
from hybrid_search.errors import ModelError
from hybrid_search.records import Fingerprint

KINDS = ["fast", "slow", "sparse", "rerank"]
ROWS = len(tiny.VOCABULARY)


def tokenizer_of(count: int, special: tuple[str, ...] = ()) -> Tokenizer:
    """``count`` plain words, then special tokens."""
    tokenizer = Tokenizer(WordLevel({f"w{number}": number for number in range(count)}, unk_token="w0"))  # noqa: S106
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    return tokenizer


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_a_tokenizer_is_refused(tmp_path, kind):
    """transformers would make one of five words: the cosine of any two texts is 1.0."""
    role, folder = save(kind, tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer, so that every word would be unknown.*tokenizer\.json"):
        load(role, folder)


@pytest.mark.parametrize("kind", KINDS)
def test_an_older_form_of_tokenizer_is_enough(tmp_path, kind):
    """``vocab.txt`` alone is how BERT was published."""
    role, folder = save(kind, tmp_path)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(tiny.VOCABULARY), "utf-8")
    encoder = load(role, folder)
    assert len(encoder.score("sunny", TEXTS) if role == "rerank" else encoder.encode_documents(TEXTS)) == len(TEXTS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_much_smaller_than_the_model_is_refused(tmp_path, kind):
    """Twice as many rows as tokens: the tokenizer is of another model."""
    role, folder = save(kind, tmp_path, vocab_size=2 * ROWS)
    with pytest.raises(ModelError, match=rf"knows {ROWS} tokens, its weights have {2 * ROWS}"):
        load(role, folder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path, kind):
    """The first text with one of the last five tokens would be an IndexError, and end the process on a GPU."""
    role, folder = save(kind, tmp_path, vocab_size=ROWS - 5)
    with pytest.raises(ModelError, match=rf"ids up to {ROWS - 1}, its weights have {ROWS - 5} token"):
        load(role, folder)


@pytest.mark.parametrize("kind", ["fast", "slow"])
def test_a_matrix_padded_by_a_few_rows_is_taken(tmp_path, kind):
    """Rows are rounded up to a multiple of 64 or 128 by many trainers."""
    role, folder = save(kind, tmp_path, vocab_size=ROWS + 5)
    fingerprint = load(role, folder).fingerprint
    assert isinstance(fingerprint, Fingerprint)


@given(st.integers(1, 400), st.integers(1, 400))
def test_sizes_are_compared_as_stated(words, rows):
    """Refused above the rows, and below nine tenths of them."""
    fits = FILLED * rows <= words <= rows
    try:
        check_sizes(tokenizer_of(words), rows, "here")
    except ModelError:
        assert not fits
    else:
        assert fits


def test_special_tokens_without_a_row_are_let_pass():
    """Multimodal tokenizers have marks for images that the text model has no embedding for."""
    check_sizes(tokenizer_of(100, ("<image>", "<audio>")), 100, "here")
    with pytest.raises(ModelError, match="ids up to 100"):
        check_sizes(tokenizer_of(101, ("<image>",)), 100, "here")


@pytest.mark.parametrize("kind", ["fast", "slow", "sparse"])
def test_a_text_that_holds_a_token_without_a_row_is_refused(tmp_path, kind):
    """Spelled out in a text, such a mark has an id beyond the matrix."""
    role, folder = save(kind, tmp_path)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens([AddedToken("<image>", special=True)])
    tokenizer.save(str(folder / "tokenizer.json"))
    encoder = load(role, folder)
    assert len(encoder.encode_documents(["so sunny"])) == 1
    with pytest.raises(ModelError, match=rf"holds the special token {ROWS}, its weights have {ROWS} token"):
        encoder.encode_documents(["so sunny <image>"])
