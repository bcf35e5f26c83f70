"""The training of the starter head, on a tiny generated set."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from hybrid_search.encode.starter_head import MAX_SOURCES, StarterHead, load_head, saturation, target_words
from training.states import StateFile, length_batches
from training.train import Recipe, Texts, clustered_order, max_sim, soft_cross_entropy, train

WORDS = ["tide", "gauge", "harbour", "yeast", "bread", "flour", "compiler", "error", "line"]
VOCABULARY = ["[PAD]", "[CLS]", "[SEP]", "the", ",", *WORDS, "##s"]
HIDDEN = 16


def head():
    torch.manual_seed(0)
    frequency = [50 if word == "the" else 5 for word in VOCABULARY]
    idf = torch.tensor([np.log(101 / (count + 1)) for count in frequency], dtype=torch.float32)
    return StarterHead(
        torch.randn(len(VOCABULARY), HIDDEN), VOCABULARY, idf, target_words(VOCABULARY, frequency, minimum=2)
    )


def state_file(folder, texts):
    """States are the tokens' embeddings plus noise: what an encoder would give, roughly."""
    chance = np.random.default_rng(len(texts[0]))
    embeddings = head().embeddings.numpy()
    ids = [[1, *(VOCABULARY.index(word) for word in text.split()), 2] for text in texts]
    states = [embeddings[row] + 0.1 * chance.standard_normal((len(row), HIDDEN)) for row in ids]
    dense = np.stack([rows.mean(0) / np.linalg.norm(rows.mean(0)) for rows in states]).astype(np.float32)
    folder.mkdir()
    np.save(folder / "ids.npy", np.concatenate(ids).astype(np.int32))
    np.save(folder / "offsets.npy", np.cumsum([0, *map(len, ids)]))
    np.save(folder / "dense.npy", dense)
    np.save(folder / "states.npy", np.concatenate(states).astype(np.float16))
    return StateFile(folder)


@pytest.fixture
def texts(tmp_path):
    topics = [WORDS[:3], WORDS[3:6], WORDS[6:]]
    queries = [topic[n % 3] for n in range(4) for topic in topics]
    passages = [" ".join([*topic, "the", topic[n % 3]]) for n in range(4) for topic in topics]
    return Texts(state_file(tmp_path / "queries", queries), state_file(tmp_path / "passages", passages))


def test_three_steps_lower_the_loss_and_keep_vectors_valid(texts):
    """The whole path from states to gradients; the average of the weights is what is handed out."""
    losses = []
    averages = []

    def after_step(step, loss, average):
        losses.append((step, loss))
        averages.append(average)

    trained = head()
    recipe = Recipe(steps=3, batch=6, group=3, words=8, warm_steps=20, rate=5e-3, max_sim_share=0.5, inference_free=0.3)
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    train(trained, texts, recipe, after_step)
    assert [step for step, _ in losses] == [1, 2, 3]
    assert all(np.isfinite(loss) for _, loss in losses)
    assert not torch.equal(before["linear.weight"], trained.state_dict()["linear.weight"])
    with torch.inference_mode():
        vectors = averages[-1](*texts.passages.batch([0, 1]))
    assert vectors.shape == (2, len(VOCABULARY))
    assert bool((vectors >= 0).all())
    assert bool(torch.isfinite(vectors).all())


def test_training_is_repeatable(texts):
    """Fixed seeds: two runs end with the same numbers."""
    ends = []
    for _ in range(2):
        trained = head()
        train(trained, texts, Recipe(steps=2, batch=6, group=3, words=8, warm_steps=3), lambda *_: None)
        ends.append(trained.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_the_cheap_expansion_equals_the_exact_one(texts):
    """With as many words as there are, the path with gradient gives what inference gives."""
    one = head()
    batch = texts.passages.batch([0, 4, 8])
    torch.testing.assert_close(one.expand_top(*batch, count=len(one.targets)), one.expand(*batch))


def test_padding_changes_nothing(texts):
    """A short text beside a long one has the vector that it has alone."""
    one = head()
    together = one(*texts.queries.batch([0, 1]))
    wide = one(*(torch.nn.functional.pad(t, (0, 0) * (t.dim() - 2) + (0, 3)) for t in texts.queries.batch([0, 1])))
    torch.testing.assert_close(together, wide)


def test_saturation_by_hand():
    """A token twice in four, average 200: 2 * 1.9 / (2 + .9 (.6 + .4 * 4 / 200)); padding is no occurrence."""
    ids = torch.tensor([[5, 6, 5, 7, 0]])
    mask = torch.tensor([[True, True, True, True, False]])
    norm = 0.9 * (0.6 + 0.4 * 4 / 200)
    assert saturation(ids, mask)[0, :2].tolist() == pytest.approx([2 * 1.9 / (2 + norm), 1.9 / (1 + norm)])


def test_only_words_are_added_and_only_content_speaks():
    """Targets leave function words, pieces and punctuation out; sources leave them out too, but hold [CLS]."""
    one = head()
    assert [VOCABULARY[n] for n in one.targets] == WORDS
    assert [word for word, speaks in zip(VOCABULARY, one.sources, strict=True) if speaks] == ["[CLS]", *WORDS]


def test_the_first_token_speaks_in_texts_longer_than_the_limit():
    """Sources are limited to the heaviest tokens, and [CLS] has no idf to win by."""
    one = head()
    ids = torch.tensor([[1, *([VOCABULARY.index("tide")] * (MAX_SOURCES + 5))]])
    states = torch.randn(1, ids.shape[1], HIDDEN)
    sources, real = one.source_states(ids, states, torch.ones_like(ids, dtype=torch.bool))
    assert sources.shape[1] == MAX_SOURCES
    assert bool(real.all())
    torch.testing.assert_close(sources[0, 0], one.to_word_space(states[0, 0]))


def test_a_saved_head_is_the_same():
    """Float16 and int16 in the file, the same vectors to three digits."""
    one = head()
    saved = {n: t.half() for n, t in one.state_dict().items() if n != "targets"}
    saved["targets"] = one.targets.to(torch.int16)
    torch.manual_seed(0)  # the embeddings that head() was made with
    again = load_head(saved, torch.randn(len(VOCABULARY), HIDDEN), VOCABULARY)
    ids, states = torch.tensor([[1, 5, 6, 2]]), torch.randn(1, 4, HIDDEN)
    mask = torch.ones_like(ids, dtype=torch.bool)
    torch.testing.assert_close(again(ids, states, mask), one(ids, states, mask), atol=1e-2, rtol=1e-2)


def test_max_sim_of_a_batch_by_hand():
    """Two queries, two passages of one token each: the cosines themselves; padding counts for nothing."""
    queries = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 2.0], [3.0, 0.0]]])
    query_mask = torch.tensor([[True, False], [True, True]])
    passages = torch.tensor([[[0.6, 0.8]], [[0.0, 5.0]]])
    scores = max_sim((queries, query_mask), (passages, torch.ones(2, 1, dtype=torch.bool)))
    torch.testing.assert_close(scores, torch.tensor([[0.6, 0.0], [(0.8 + 0.6) / 2, (1.0 + 0.0) / 2]]))


def test_soft_cross_entropy_by_hand():
    """Flat scores over two passages cost ln 2 whatever the teacher says."""
    loss = soft_cross_entropy(torch.zeros(2, 2), torch.randn(2, 2), 0.5)
    assert float(loss) == pytest.approx(np.log(2))


def test_clusters_hold_every_row_once():
    """The order is a permutation, and neighbours in it are nearer than chance."""
    chance = np.random.default_rng(0)
    dense = chance.standard_normal((200, 8)).astype(np.float32)
    order = clustered_order(dense, 16, chance)
    assert sorted(order.tolist()) == list(range(200))
    near = np.mean(np.sum(dense[order[:-1]] * dense[order[1:]], axis=1))
    assert near > np.mean(np.sum(dense[:-1] * dense[1:], axis=1))


def test_batches_stay_within_their_budget():
    """Padded tokens of a batch are at most the budget; every row comes once."""
    lengths = np.array([3, 50, 7, 7, 20, 100])
    found = list(length_batches(lengths, budget=100))
    assert sorted(np.concatenate(found).tolist()) == list(range(6))
    assert all(lengths[rows].max() * len(rows) <= 100 for rows in found)
