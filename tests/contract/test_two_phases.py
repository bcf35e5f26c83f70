"""Sparse search in two phases, on real engines: strong terms find, light ones score."""

from __future__ import annotations

import pytest
from loading import GeneratedEncoder

from hybrid_search.errors import QueryError
from hybrid_search.ingest.pipeline import index_documents
from hybrid_search.records import Document, Fingerprint, Query
from hybrid_search.search import SearchClient
from hybrid_search.settings import DenseSettings, DocumentSettings, Settings

QUERY = {"1": 1.0, "2": 0.5, "3": 0.25}
PASSAGES = {
    "strong": {"1": 1.0},
    "both": {"1": 0.5, "2": 2.0},
    "light": {"3": 8.0},
    "all": {"1": 0.25, "2": 0.5, "3": 1.0},
}
PRODUCTS = {"strong": 1.0, "both": 0.5 + 1.0, "light": 2.0, "all": 0.25 + 0.25 + 0.25}


class TermsAlone(GeneratedEncoder):
    """Documents carry their terms; there are no vectors."""

    dense = None
    sparse = Fingerprint("precomputed", "terms", "1" * 16)


@pytest.fixture
def client(connection, index_name):
    """Four passages with the terms above."""
    settings = Settings(documents=DocumentSettings(keyword=("kind",)), dense=DenseSettings(model="none"))
    name = index_name()
    documents = [Document(id_, "x", {"kind": id_[0]}, sparse=terms) for id_, terms in PASSAGES.items()]
    index_documents(documents, name, connection, TermsAlone(), settings)
    with SearchClient(name, connection=connection, encoder=TermsAlone(), settings=settings) as opened:
        yield opened


def scores(client, **options):
    """Documents with their dot products."""
    [found] = client.retrieve([Query("", sparse=QUERY)], legs=["sparse"], **options)
    return dict(found.scores()["sparse"])


def test_one_phase_finds_by_every_term(client) -> None:
    """The dot product, whatever the terms weigh."""
    assert scores(client) == pytest.approx(PRODUCTS, rel=2**-8)


def test_light_terms_score_what_strong_ones_found(client) -> None:
    """From half of the heaviest on a term finds; the passage of light terms alone is lost, the scores are whole."""
    wanted = {id_: score for id_, score in PRODUCTS.items() if id_ != "light"}
    assert scores(client, two_phase=0.5) == pytest.approx(wanted, rel=2**-8)
    assert list(scores(client, two_phase=0.5)) == ["both", "strong", "all"]


def test_exact_search_has_one_phase(client) -> None:
    """Nothing is lost that was to be exact; and a filter holds in both phases."""
    assert scores(client, two_phase=0.5, exact=True) == pytest.approx(PRODUCTS, rel=2**-8)
    assert list(scores(client, two_phase=0.6, filter="kind=a")) == ["all"]


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_is_from_nothing_to_below_all(client, share) -> None:
    """Nothing else is sent."""
    with pytest.raises(QueryError, match="two_phase is"):
        client.search(Query("", sparse=QUERY), legs=["sparse"], two_phase=share)
