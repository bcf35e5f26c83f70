"""What is measured has no holes: a leg that fails or answers in part ends an evaluation and a tuning."""

from __future__ import annotations

import pytest
from search_fakes import PlaneEncoder, connection, engine, found
from test_search_client import respond
from test_search_procedure import REFUSED, RUNS

from hybrid_search.errors import EngineError
from hybrid_search.evaluate import run_experiment
from hybrid_search.evaluate.tuning import run_tuning
from hybrid_search.records import Leg, Query
from hybrid_search.search import SearchClient
from hybrid_search.settings import Settings

QUERIES = [Query("q", id=f"q{number}") for number in range(12)]
QRELS = {query.id: {"b": 1} for query in QUERIES}
HITS = [{"_id": "a#0", "_score": 1.0}]


def client_of(answer=None):
    """A client of an engine that answers for the dense leg as given."""
    answers = {} if answer is None else {Leg.DENSE: answer}

    def respond_to(request):
        return respond(request) if request.path.endswith("_mapping") else engine(RUNS, answers)(request)

    return SearchClient("docs", settings=Settings(), encoder=PlaneEncoder(), connection=connection(respond_to))


@pytest.mark.parametrize("run", [run_experiment, run_tuning], ids=["evaluate", "tune"])
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (REFUSED, "."),
        (found(HITS, timed_out=True), "query q0 was not answered in full: the dense leg was stopped"),
        (found(HITS, failed=1), "query q0 was not answered in full: the dense leg searched without 1 of 2 shards"),
    ],
    ids=["failed", "stopped", "without a shard"],
)
def test_holes_end_it(run, answer, said) -> None:
    """Figures of half an index would be taken for those of the whole."""
    with client_of(answer) as client, pytest.raises(EngineError, match=said):
        run(client, QUERIES, QRELS)


@pytest.mark.parametrize("run", [run_experiment, run_tuning], ids=["evaluate", "tune"])
def test_answers_in_full_are_measured(run) -> None:
    """The same engine without a fault."""
    with client_of() as client:
        assert run(client, QUERIES, QRELS)
