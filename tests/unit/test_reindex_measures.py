"""What is measured before an alias moves: whole answers, or none."""

from __future__ import annotations

import pytest
from search_fakes import PlaneEncoder, connection, engine
from test_search_client import respond
from test_search_procedure import REFUSED, RUNS

from hybrid_search.errors import IngestError
from hybrid_search.records import Leg, Query
from hybrid_search.reindex import MEASURING, Judged, _measured
from hybrid_search.search import SearchClient
from hybrid_search.settings import SearchSettings, Settings

JUDGED = Judged([Query("q", id="1"), Query("unjudged", id="2")], {"1": {"b": 1}})


def client_of(answers):
    def answer(request):
        return respond(request) if request.path.endswith("_mapping") else engine(RUNS, answers)(request)

    impatient = Settings(search=SearchSettings(timeout=0.001))
    return SearchClient("docs", settings=impatient, encoder=PlaneEncoder(), connection=connection(answer))


def test_answers_in_full_are_measured_however_little_time_a_search_has() -> None:
    """The settings are for people who wait; b stands first: nDCG@10 is 1."""
    with client_of({}) as client:
        assert _measured(client, JUDGED).mean == {"nDCG@10": 1.0}
        (legs, _) = client._connection.transport.requests[-2:]
    assert 1 < legs.timeout <= MEASURING


def test_a_leg_that_fails_is_no_measurement() -> None:
    """BM25 alone would have decided whether the alias moves."""
    with (
        client_of({Leg.DENSE: REFUSED}) as client,
        pytest.raises(IngestError, match="query 1 was not answered in full"),
    ):
        _measured(client, JUDGED)
