"""An engine that does not answer: the search ends with its time, in both clients, while the engine is still held."""

from __future__ import annotations

import pytest
from generated import filled, passages
from guarded_proxy import proxy
from test_search_alias import VectorsOfText

from hybrid_search.engine import connect, connect_async
from hybrid_search.errors import EngineTimeoutError
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.settings import EngineSettings, SearchSettings, Settings


@pytest.mark.parametrize("overlap", [False, True], ids=["one request", "overlap"])
async def test_nobody_waits_for_a_stalled_engine(engine_url, connection, index_name, overlap) -> None:
    """Whatever the transport allows; the next search is answered once the engine is."""
    name = filled(connection, index_name(), passages(20))
    given = {"settings": Settings(search=SearchSettings(overlap=overlap)), "encoder": VectorsOfText()}
    with proxy(engine_url) as between:
        patient = EngineSettings(url=between.url, timeout=600)
        with connect(patient) as opened, SearchClient(name, connection=opened, **given) as client:
            async with (
                await connect_async(patient) as awaited,
                AsyncSearchClient(name, connection=awaited, **given) as other,
            ):
                between.answers.clear()
                with pytest.raises(EngineTimeoutError):
                    client.search("1 coffee", timeout=0.3)
                with pytest.raises(EngineTimeoutError):
                    await other.search("1 coffee", timeout=0.3)
                assert not between.answers.is_set()
                between.answers.set()
                assert len(client.search("1 coffee", timeout=60)) == 10
                assert len(await other.search("1 coffee", timeout=60)) == 10
