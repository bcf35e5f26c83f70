"""Models in a process of their own: the same vectors, and a text on which it dies is named."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from colours import COLOURS, Colours
from loading import GeneratedEncoder

from hybrid_search.encode.protocols import image_encoder
from hybrid_search.errors import IngestError, ModelError
from hybrid_search.images import DecodedImage, ImageSource
from hybrid_search.ingest.stages.encode import Encoding
from hybrid_search.ingest.state.cache import VectorCache
from hybrid_search.ingest.work import Batch, ChunkedDocument
from hybrid_search.records import Document, Passage
from hybrid_search.scale.apart import MOST_DEADLY, EncoderApart

TESTS = Path(__file__).parents[1]


class MortalEncoder(GeneratedEncoder):
    """Ends its process, as a fault in native code would, where a text says so."""

    def encode_documents(self, texts):
        if any("deadly" in text for text in texts):
            os._exit(139)
        return super().encode_documents(texts)


class MortalColours(Colours):
    """Ends its process where an image is red."""

    def encode_images(self, images, *, query=False):
        if any(tuple(image[0, 0]) == COLOURS["red"] for image in images):
            os._exit(139)
        return super().encode_images(images, query=query)


def plain(colour):
    return np.full((4, 3, 3), COLOURS[colour], np.uint8)


def dies_at_once():
    os._exit(3)


def cannot_be_loaded():
    raise ModelError("the model is not there", where="model", remedy="Look")


@pytest.fixture
def found_by_the_process(monkeypatch):
    """The process that is started can import what is in these tests."""
    known = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(TESTS / "unit"), known]))
    return True


@pytest.fixture
def encoder(found_by_the_process):
    assert found_by_the_process
    made = EncoderApart(MortalEncoder)
    yield made
    made.close()


def test_it_encodes_as_the_models_do(encoder):
    """Vectors, tokens and what the models are."""
    own = GeneratedEncoder()
    texts = ["a lamp", "a crate", "a lamp"]
    here, there = own.encode_documents(texts), encoder.encode_documents(texts)
    assert np.array_equal(here.dense, there.dense)
    assert list(here.sparse) == list(there.sparse)
    assert there.refused == {}
    assert (encoder.dense, encoder.sparse, encoder.max_tokens) == (own.dense, own.sparse, own.max_tokens)
    assert encoder.tokenizer.spans(texts) == own.tokenizer.spans(texts)


def test_texts_on_which_it_dies_are_found_by_halving(encoder):
    """Two of 9 are deadly: the others have their vectors, also when the same texts come again."""
    texts = [f"lamp {number}" for number in range(9)]
    texts[3] = texts[8] = "a deadly lamp"
    good = [text for text in texts if "deadly" not in text]
    for _ in range(2):
        encoded = encoder.encode_documents(texts)
        assert set(encoded.refused) == {3, 8}
        assert encoded.refused[3] == "the models' process died of it (exit 139)"
        kept = [number for number in range(9) if number not in encoded.refused]
        assert np.array_equal(encoded.dense[kept], GeneratedEncoder().encode_documents(good).dense)


def test_a_document_with_such_a_text_is_refused_and_not_its_neighbours(encoder, tmp_path):
    """The one of three, by its second passage; the cache keeps nothing of it."""
    items = []
    for number, texts in enumerate([["one"], ["two", "deadly"], ["three"]]):
        document = Document(f"d{number}", (whole := " ".join(texts)))
        starts = [whole.index(text) for text in texts]
        spans = [(start, start + len(text)) for start, text in zip(starts, texts, strict=True)]
        passages = [Passage(document, place, *span) for place, span in enumerate(spans)]
        items.append(ChunkedDocument(number, document, "", passages, len(passages)))
    with VectorCache(tmp_path / "vectors.sqlite") as cache:
        encoded = Encoding(encoder, cache)(Batch(0, 3, items)).items
    assert [item.refused is None for item in encoded] == [True, False, True]
    assert (encoded[1].refused.item, encoded[1].refused.type) == (items[1].passages[1].id, "ModelError")
    with VectorCache(tmp_path / "vectors.sqlite") as cache:
        again = Encoding(encoder, cache)
        again(Batch(0, 3, items))
    assert again.encoded == 1  # the deadly one alone


@pytest.fixture
def colours(found_by_the_process):
    assert found_by_the_process
    made = EncoderApart(MortalColours)
    yield made
    made.close()


def test_images_on_which_it_dies_are_found_by_halving(colours):
    """Blue is (20, 20, 220) of 255; the red ones have no numbers, also when they come again."""
    assert image_encoder(colours) is colours
    for _ in range(2):
        found = colours.encode_images([plain(one) for one in ("green", "red", "blue", "red")])
        assert np.isnan(found).any(axis=1).tolist() == [False, True, False, True]
        np.testing.assert_allclose(found[2] * 255, (20, 20, 220), rtol=1e-6)


def test_a_document_with_such_an_image_is_refused_and_not_its_neighbours(colours, tmp_path):
    """Nor is anything of it kept: the next load asks for the red one alone."""

    def batch():
        made = []
        for number, name in enumerate(("green", "red", "blue")):
            image = ImageSource(data=b"-", digest=name, decoded=DecodedImage(plain(name)))
            document = Document(f"d{number}", "", images=(image,))
            made.append(ChunkedDocument(number, document, "", [Passage(document, 0, 0, 0, image=0)], 1))
        return Batch(0, 3, made)

    with VectorCache(tmp_path / "vectors.sqlite") as cache:
        encoded = Encoding(colours, cache)(batch()).items
        assert [item.refused is None for item in encoded] == [True, False, True]
        assert "died of its image" in encoded[1].refused.reason
        again = Encoding(colours, cache)
        again(batch())
    assert again.encoded == 1


def test_models_without_images_read_none_apart(encoder):
    """A load must not take them for models that do."""
    assert image_encoder(encoder) is None


def test_models_that_die_of_everything_are_an_error(encoder):
    """It is not the texts then."""
    encoder._deadly.update({f"text {number}": "died" for number in range(MOST_DEADLY)})
    with pytest.raises(IngestError, match=rf"died .exit 139. of more than {MOST_DEADLY} texts or images"):
        encoder.encode_documents(["deadly"])


@pytest.mark.usefixtures("found_by_the_process")
def test_a_process_that_never_has_its_models_is_an_error():
    """It dies while it loads them, or says why it cannot."""
    with pytest.raises(IngestError, match=r"died .exit 3. while it loaded them"):
        EncoderApart(dies_at_once)
    with pytest.raises(ModelError, match="the model is not there"):
        EncoderApart(cannot_be_loaded)
