"""The training of the starter head, on a tiny generated set."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from hybrid_search.encode.starter_head import (
    OWN,
    STEEPNESS,
    UNIT,
    Near,
    StarterHead,
    load_head,
    packed,
    pooled,
    saturation,
    target_words,
)
from training.states import StateFile, length_batches
from training.train import Recipe, Texts, clustered_order, fit_word_map, max_sim, soft_cross_entropy, train
from training.vocabulary import conflation, document_frequency

WORDS = ["tide", "gauge", "harbour", "yeast", "bread", "flour", "compiler", "error", "line"]
VOCABULARY = ["[PAD]", "[CLS]", "[SEP]", "the", ",", *WORDS, "##s", "tides"]
CONFLATED = [*range(len(VOCABULARY) - 1), VOCABULARY.index("tide")]
HIDDEN = 16


def head():
    torch.manual_seed(0)
    frequency = [50 if word == "the" else 5 for word in VOCABULARY]
    idf = torch.tensor([np.log(101 / (count + 1)) for count in frequency], dtype=torch.float32)
    targets = target_words(VOCABULARY, frequency, CONFLATED, minimum=2)
    one = StarterHead(embeddings(), VOCABULARY, idf=idf, conflated=torch.tensor(CONFLATED), targets=targets, width=8)
    one.place_words()
    return one


def embeddings():
    return torch.randn(len(VOCABULARY), HIDDEN, generator=torch.Generator().manual_seed(1))


def state_file(folder, texts):
    """States are the tokens' embeddings plus noise: what an encoder would give, roughly."""
    chance = np.random.default_rng(len(texts[0]))
    ids = [[1, *(VOCABULARY.index(word) for word in text.split()), 2] for text in texts]
    states = [embeddings().numpy()[row] + 0.1 * chance.standard_normal((len(row), HIDDEN)) for row in ids]
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
    recipe = Recipe(steps=3, batch=6, group=3, rate=5e-3, max_sim_share=0.5, inference_free=0.3)
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    train(trained, texts, recipe, after_step)
    assert [step for step, _ in losses] == [1, 2, 3]
    assert all(np.isfinite(loss) for _, loss in losses)
    after = trained.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        "token_weight",
        "idf_scale",
        "token_bias",
    }
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
        train(trained, texts, Recipe(steps=2, batch=6, group=3), lambda *_: None)
        ends.append(trained.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_the_word_map_learns_where_words_are():
    """Nine words, nine places: a few hundred steps bring every word to its own; repeated, to the same numbers."""
    places = torch.nn.functional.normalize(torch.randn(len(WORDS), HIDDEN, generator=torch.Generator().manual_seed(2)))
    recipe = Recipe(map_steps=300, map_batch=9, map_rate=1e-2)
    one, again = head(), head()
    assert fit_word_map(one, places, recipe) > 0.95
    assert (one.words @ places.T).argmax(1).tolist() == list(range(len(WORDS)))
    fit_word_map(again, places, recipe)
    assert torch.equal(one.words, again.words)


def test_near_words_by_hand():
    """The two nearest of three words, gain .5: .5 ln(1 + 12 cosine); the third, and one that points away, get none."""
    one = head()
    one.words.zero_()
    one.words[0, 0] = one.words[1, 1] = 1.0
    one.words[2, :2] = torch.tensor([0.6, -0.8])
    states, mask = torch.zeros(1, 2, HIDDEN), torch.tensor([[True, False]])
    states[0, 0, :2] = torch.tensor([4.0, 3.0])  # the dense vector is (.8, .6)
    states[0, 1, 2] = 9.0  # padding
    assert pooled(states, mask)[0, :3].tolist() == pytest.approx([0.8, 0.6, 0.0])
    near = one.near(states, mask, Near(words=2, gain=0.5))[0]
    first, second = (0.5 * np.log1p(STEEPNESS * cosine) for cosine in (0.8, 0.6))
    assert near[one.targets[:3]].tolist() == pytest.approx([first, second, 0.0])
    assert int((near > 0).sum()) == 2
    one.words[1:] = -one.words[0]
    assert int((one.near(states, mask, Near(words=5, gain=1.0)) > 0).sum()) == 1


def test_a_words_own_weight_comes_first(texts):
    """What a text holds keeps its weight and gets a part of what being near would give; what it lacks is near only."""
    one = head()
    batch = texts.passages.batch([0, 4])
    own, near, both = one.copy(*batch), one.near(*batch[1:], Near(words=30, gain=1.0)), one(*batch)
    torch.testing.assert_close(both[own > 0], (own + OWN * near)[own > 0])
    torch.testing.assert_close(both[own == 0], near[own == 0])


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


def test_only_words_are_added():
    """Targets leave function words, pieces, punctuation and all but one word of a stem out."""
    assert [VOCABULARY[n] for n in head().targets] == WORDS


def test_words_of_one_stem_are_one_term():
    """tide and tides in one text: one weight, twice the frequency, the same idf; tides has no weight of its own."""
    one = head()
    tide, tides = VOCABULARY.index("tide"), VOCABULARY.index("tides")
    states, mask = torch.zeros(1, 4, HIDDEN), torch.ones(1, 4, dtype=torch.bool)
    mixed, same = torch.tensor([[1, tide, tides, 2]]), torch.tensor([[1, tide, tide, 2]])
    torch.testing.assert_close(one.copy(mixed, states, mask), one.copy(same, states, mask))
    assert one.copy(mixed, states, mask)[0].nonzero().flatten().tolist() == [tide]
    assert one.inference_free(mixed, mask)[0, tide] == one.idf[tide]
    assert one.inference_free(mixed, mask)[0, tides] == 0


def test_a_stem_joins_words_that_the_embeddings_find_alike():
    """organs is organ; organization has the same stem, but points elsewhere; the most frequent word stands for all."""
    tokens = ["[CLS]", "organization", "organ", "organs", "organize", "the", "##s"]
    directions = np.eye(3, dtype=np.float32)[[2, 1, 0, 0, 1, 2, 2]]
    frequency = np.array([0, 9, 20, 5, 30, 99, 50])
    conflated = conflation(tokens, frequency, directions)
    assert [tokens[n] for n in conflated] == ["[CLS]", "organize", "organ", "organ", "organize", "the", "##s"]


def test_a_text_that_holds_two_words_of_a_stem_counts_once():
    """Token sets {1, 2}, {2}, {0}, and 2 counted as 1: term 1 is in two texts."""
    sets = [np.array([1, 2]), np.array([2]), np.array([0])]
    assert document_frequency(sets, np.array([0, 1, 1])).tolist() == [1, 2, 0]


def test_a_saved_head_is_the_same():
    """8-bit matrices, 16-bit ids in the file; the same vectors to two digits."""
    one = head()
    saved = packed(one)
    assert {str(t.dtype) for t in saved.values()} == {"torch.int8", "torch.int16", "torch.float16", "torch.float32"}
    assert all(name.endswith(UNIT) for name, tensor in saved.items() if tensor.dtype == torch.float32)
    again = load_head(saved, embeddings(), VOCABULARY)
    ids, states = torch.tensor([[1, 5, 6, 2]]), torch.randn(1, 4, HIDDEN)
    mask = torch.ones_like(ids, dtype=torch.bool)
    torch.testing.assert_close(again(ids, states, mask), one(ids, states, mask), atol=5e-2, rtol=2e-2)


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
