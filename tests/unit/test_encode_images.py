"""Models of images and texts: loaded by the code that loads real ones, here with random weights."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from tiny_models import change_json, change_weights, save_bi_encoder, save_clip

from hybrid_search.encode import load_encoder
from hybrid_search.encode.dense import load_dense
from hybrid_search.encode.protocols import image_encoder
from hybrid_search.errors import ModelError
from hybrid_search.settings import DenseSettings, Settings, SparseSettings


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP as sentence-transformers saves it."""
    return save_clip(tmp_path_factory.mktemp("clip") / "tiny")


def pictures() -> list[np.ndarray]:
    """Images of several sizes and shapes."""
    random = np.random.default_rng(7)
    sizes = [(50, 70), (1, 1), (33, 400), (32, 32), (200, 90)]
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def test_vectors_are_those_of_sentence_transformers(clip: Path) -> None:
    """Images and texts get what the library gives them, within 1e-5, also in batches of other sizes."""
    from PIL import Image
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(str(clip), device="cpu")
    ours = load_dense(DenseSettings(model=str(clip), device="cpu", batch_size=2))
    images, texts = pictures(), ["red circle", "a blue square"]
    assert ours.reads_images
    expected = library.encode([Image.fromarray(one) for one in images])
    assert np.abs(ours.encode_images(images) - expected).max() < 1e-5
    assert np.abs(ours.encode_images(images, query=True) - expected).max() < 1e-5
    assert np.abs(ours.encode_queries(texts) - library.encode(texts)).max() < 1e-5
    assert ours.encode_images([]).shape == (0, 16)


def test_a_plain_clip_of_transformers_is_loaded_too(tmp_path: Path) -> None:
    """A folder without modules.json is read as the library reads it, and says that nothing is pooled."""
    ours = load_dense(DenseSettings(model=str(save_clip(tmp_path / "plain", plain=True)), device="cpu"))
    assert ours.encode_images(pictures()).shape == (5, 16)
    assert ours.fingerprint.pooling is None


def test_the_image_processor_is_part_of_the_fingerprint(clip: Path, tmp_path: Path) -> None:
    """Other means of the colours make other vectors of the same weights."""
    import shutil

    other = shutil.copytree(clip, tmp_path / "other")
    processor = json.loads((other / "processor_config.json").read_text(encoding="utf-8"))["image_processor"]
    change_json(other / "processor_config.json", image_processor={**processor, "image_mean": [0.1, 0.1, 0.1]})
    here, there = (load_dense(DenseSettings(model=str(one), device="cpu")).fingerprint for one in (clip, other))
    assert here.weights == there.weights
    assert len(here.difference(there)) == 1
    assert "images" in here.extra


def test_a_vision_tower_that_is_not_in_the_files_is_refused(tmp_path: Path) -> None:
    """Its random weights show in the probe of an image; a probe of texts alone would pass."""
    folder = save_clip(tmp_path / "broken")
    change_weights(folder, drop="visual_projection")
    with pytest.raises(ModelError, match="not in its files"):
        load_dense(DenseSettings(model=str(folder), device="cpu"))


def test_a_pair_reads_images_where_its_dense_model_does(clip: Path, tmp_path: Path) -> None:
    """The encoder of an index says so; a model of texts refuses an image with the way out."""
    sparse = SparseSettings(model="idf")
    both = load_encoder(Settings(dense=DenseSettings(model=str(clip), device="cpu"), sparse=sparse))
    texts = load_encoder(Settings(dense=DenseSettings(model=str(save_bi_encoder(tmp_path / "bi"))), sparse=sparse))
    reading = image_encoder(both)
    assert reading is not None
    assert reading.encode_images(pictures()).shape == (5, 16)
    assert image_encoder(texts) is None
    with pytest.raises(ModelError, match="reads no images"):
        texts.encode_images(pictures())


@pytest.mark.weights
@pytest.mark.skipif(os.environ.get("HYBRID_SEARCH_TEST_WEIGHTS") != "1", reason="HYBRID_SEARCH_TEST_WEIGHTS is not 1")
def test_a_real_clip_finds_the_colour_that_is_named() -> None:
    """Of four squares the one of the colour in the text is the nearest."""
    model = load_dense(DenseSettings(model="sentence-transformers/clip-ViT-B-32"))
    colours = {"red": (220, 20, 20), "green": (20, 160, 20), "blue": (20, 20, 220), "yellow": (240, 220, 20)}
    images = model.encode_images([np.full((224, 224, 3), value, dtype=np.uint8) for value in colours.values()])
    texts = model.encode_queries([f"a {name} square" for name in colours])
    near = (texts / np.linalg.norm(texts, axis=1, keepdims=True)) @ (images.T / np.linalg.norm(images, axis=1))
    assert near.argmax(axis=1).tolist() == [0, 1, 2, 3]
