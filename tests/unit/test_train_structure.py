"""Queries made of documents, and hard negatives of a ranking."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.encode.finetune.recipe import Recipe
from hybrid_search.encode.finetune.records import Corpus
from hybrid_search.errors import SettingsError
from hybrid_search.records import Query
from hybrid_search.search import Fusion
from hybrid_search.search.collapse import Best
from hybrid_search.search.outcomes import Found
from hybrid_search.search.retrieved import LegRun, Retrieved
from hybrid_search.search.scoring import scored_by
from hybrid_search.train.mine import CLEARLY, FIRST, Miner
from hybrid_search.train.records import Judged
from hybrid_search.train.structure import FEWEST_LEFT, KINDS, kinds_of, made_of, without

BODY = "Take the old filter out, rinse it under warm water and put it back."
FAQ = "Q: Where is the filter of the pump?\nA: Behind the flap.\nQ: How often is it cleaned?\nA: Each spring."


def corpus_of(texts, titles=None, documents=None):
    documents = documents or [f"d{number}" for number in range(len(texts))]
    ids = [f"{one}#{documents[:place].count(one)}" for place, one in enumerate(documents)]
    return Corpus(ids, documents, texts, titles or [""] * len(texts), len(texts))


@pytest.mark.parametrize(
    ("kind", "corpus", "queries"),
    [
        ("title", corpus_of([f"Cleaning the pump\n{BODY}"], ["Cleaning the pump"]), ["Cleaning the pump"]),
        ("title", corpus_of(["Cleaning the pump"], ["Cleaning the pump"]), []),
        ("question", corpus_of([f"How is the pump cleaned? {BODY}"]), ["How is the pump cleaned?"]),
        ("question", corpus_of([BODY], ["How is it cleaned?"]), ["How is it cleaned?"]),
        ("question", corpus_of([BODY]), []),
        ("faq", corpus_of([FAQ]), ["Where is the filter of the pump?", "How often is it cleaned?"]),
        ("neighbour", corpus_of(["One part.", f"It is worn out. {BODY}"], documents=["d", "d"]), ["It is worn out."]),
        ("neighbour", corpus_of([BODY]), []),
    ],
)
def test_queries_are_made_of_what_documents_are(kind, corpus, queries):
    """And each is answered by the document that it was made of."""
    made = made_of(corpus, [kind])
    assert [query.text for query in made.judged.queries] == queries
    assert all(some == {corpus.documents[0]: 1} for some in made.judged.qrels.values())


def test_a_query_that_documents_share_is_none():
    """It tells none of them apart."""
    made = made_of(corpus_of([f"All about pumps\n{BODY}"] * 2, ["All about pumps"] * 2), ["title"])
    assert made.judged.queries == []


def test_kinds_are_known():
    """``all`` is each of them; a name that there is not is refused."""
    assert kinds_of("all") == tuple(KINDS)
    assert kinds_of("title, faq") == ("title", "faq")
    with pytest.raises(SettingsError, match="titel"):
        kinds_of("titel")


@given(st.text("ab ", max_size=40), st.text("ab ", min_size=1, max_size=9), st.text("ab ", max_size=40))
def test_taking_a_query_out_leaves_words_or_all(before, query, after):
    """A passage never becomes shorter than what makes it one."""
    left = without(before + query + after, query)
    assert left == before + query + after or len(left.split()) >= FEWEST_LEFT


def test_a_query_is_taken_out_of_its_passage():
    """Else a model learns to copy."""
    assert without(f"Cleaning the pump\n{BODY}", "Cleaning the pump") == BODY


class Scorer:
    """A reranker whose score is the number in a passage."""

    name = "numbers"

    def score(self, query, passages):
        del query
        return np.array([float(one.split()[-1]) for one in passages], np.float32)


def miner(corpus, *, reranker=None, negatives=2):
    def ask_model(step):
        return scored_by(reranker, step)

    places = dict(zip(corpus.ids, corpus.texts, strict=True))
    searcher = SimpleNamespace(reranker=reranker, ask_model=ask_model)
    read = {"passages_to_score": lambda ids: ({id_: places[id_] for id_ in ids}, [])}
    client = SimpleNamespace(searcher=searcher, **read)
    return Miner(client, corpus, Fusion("rrf"), Recipe(negatives=negatives, positives=1))


def mined(corpus, grades, ranking, **options):
    query = Query("asked", id="q")
    run = LegRun({id_: Best(id_, f"{id_}#0", 100.0 - place) for place, id_ in enumerate(ranking)})
    judged = Judged([query], {"q": grades})
    return miner(corpus, **options).mined(judged, [Retrieved(query, {"bm25": Found(run)})], lambda *_: None)


def test_negatives_are_of_the_ranks_that_are_named_and_not_judged_relevant():
    """The first nine are never taken, nor what is judged above 0."""
    texts = [f"word{number} other{number} third{number} {number}" for number in range(30)]
    corpus = corpus_of(texts)
    ranking = [f"d{number}" for number in range(30)]
    for grade_of in ("d0", "d20"):
        [pair] = mined(corpus, {grade_of: 1, "d12": 2}, ranking, negatives=20).pairs
        taken = {int(text.split()[-1]) for text in pair.negatives if text != pair.positive}
        assert min(taken) >= FIRST - 1 or len(taken) < 17
        assert 12 not in taken
        assert pair.positive == texts[12]


def test_a_near_duplicate_of_a_relevant_passage_is_no_negative():
    """It is a relevant one that nobody has judged."""
    texts = ["alpha beta gamma delta 0", *(f"x{n} y{n} z{n} {n}" for n in range(1, 12)), "delta gamma beta alpha 0"]
    found = mined(corpus_of(texts), {"d0": 1}, [f"d{number}" for number in range(13)])
    assert found.too_alike == 1
    assert all("alpha" not in text for text in found.pairs[0].negatives)


def test_what_the_reranker_does_not_place_below_is_no_negative():
    """The positive scores 20; of ranks 10 and on, those that score 19 and more are as good as it."""
    texts = [f"w{n} v{n} u{n} {20 if n in (0, 11, 12) else 1}" for n in range(20)]
    found = mined(corpus_of(texts), {"d0": 1}, [f"d{number}" for number in range(20)], reranker=Scorer())
    assert found.too_good == 2
    assert all(text.endswith(" 1") for text in found.pairs[0].negatives)
    assert min(found.pairs[0].margins) >= CLEARLY


def test_judged_zeros_come_first():
    """Somebody has looked at them."""
    texts = [f"w{n} v{n} u{n} {n}" for n in range(30)]
    found = mined(corpus_of(texts), {"d0": 1, "d3": 0, "d4": 0}, [f"d{number}" for number in range(30)])
    assert set(found.pairs[0].negatives) == {texts[3], texts[4]}


def test_a_batch_has_as_many_columns_for_every_pair():
    """What the ranking lacks is drawn by chance, and counted."""
    texts = [f"w{n} v{n} u{n} {n}" for n in range(5)]
    found = mined(corpus_of(texts), {"d0": 1}, ["d0", "d1"])
    assert len(found.pairs[0].negatives) == 2
    assert found.by_chance == 2
    assert texts[0] not in found.pairs[0].negatives
