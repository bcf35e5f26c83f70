"""Queries that a language model writes, numbers of a recipe, and a card."""

from __future__ import annotations

import json

import pytest
from test_judge import Endpoint, endpoint  # noqa: F401 - a fixture

from hybrid_search.encode.finetune.recipe import Recipe
from hybrid_search.encode.finetune.records import Corpus
from hybrid_search.errors import ModelError, SettingsError
from hybrid_search.train import asked
from hybrid_search.train.card import read_card

CORPUS = Corpus(["a#0", "b#0"], ["a", "b"], ["How pumps are cleaned", "How filters are rinsed"], ["", ""], 2)


@pytest.fixture
def asking(endpoint: Endpoint, monkeypatch, tmp_path):  # noqa: F811 - the fixture
    monkeypatch.setattr(asked, "user_cache_path", lambda _: tmp_path)
    monkeypatch.setenv(asked.KEY_VARIABLE, "sk-never-to-be-printed")
    return endpoint


def test_a_query_is_written_for_each_passage_and_kept(asking):
    """A second run asks nothing; each query is answered by the document of its passage."""
    asking.says = 'Here it is: {"query": "cleaning a dirty pump"}'
    for _ in range(2):
        made = asked.asked_for(CORPUS, (asking.url, "tiny", 9), 0, lambda *_: None)
    assert len(asking.bodies) == 2
    assert {query.text for query in made.judged.queries} == {"cleaning a dirty pump"}
    assert made.judged.qrels == {"asked:a#0": {"a": 1}, "asked:b#0": {"b": 1}}
    assert made.near == {"asked:a#0": CORPUS.texts[0], "asked:b#0": CORPUS.texts[1]}


@pytest.mark.parametrize("says", ["no idea", '{"query": 7}', '{"query": "pump"}', "}{"])
def test_an_answer_without_a_query_makes_none(asking, says):
    """Text that is no JSON, another type, a single word."""
    asking.says = says
    assert asked.asked_for(CORPUS, (asking.url, "tiny", 2), 0, lambda *_: None).judged.queries == []


def test_a_refusal_names_the_option_and_no_key(asking):
    """The same answer for every passage would not come right."""
    asking.statuses = [401]
    with pytest.raises(ModelError, match="writer of queries answers 401") as caught:
        asked.asked_for(CORPUS, (asking.url, "tiny", 1), 0, lambda *_: None)
    assert "never-to-be-printed" not in str(caught.value)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"what": "all"}, "starter, dense, sparse, rerank"),
        ({"loss": "mse"}, "contrastive, distill"),
        ({"minutes": 0}, "above 0"),
        ({"rate": 2.0}, "between 0 and 1"),
        ({"batch": 1}, "2 or more"),
        ({"lora": -1}, "0 or more"),
        ({"what": "sparse", "dimensions": (64,)}, "bi-encoder"),
        ({"dimensions": (64, 0)}, "384,256,128"),
        ({"what": "starter", "lora": 8}, "no adapters"),
    ],
)
def test_numbers_that_none_can_be_trained_with_are_refused(numbers, message):
    """By the name of the option, with what can be given."""
    with pytest.raises(SettingsError, match=message):
        Recipe(**numbers)


def test_adapters_have_a_rate_of_their_own():
    """They begin at nothing."""
    assert Recipe(lora=8).largest_rate > Recipe().largest_rate
    assert Recipe(lora=8, rate=1e-5).largest_rate == 1e-5


def test_a_card_that_is_no_json_is_refused(tmp_path):
    """And a folder without one has none."""
    assert read_card(tmp_path) == {}
    (tmp_path / "training.json").write_text(json.dumps({"what": "dense"}))
    assert read_card(tmp_path)["what"] == "dense"
    (tmp_path / "training.json").write_text("{")
    with pytest.raises(ModelError, match="not JSON"):
        read_card(tmp_path)
