"""``index_documents`` with what a program holds, on every engine."""

from __future__ import annotations

import asyncio

import pandas as pd
import polars as pl
import pytest

from hybrid_search import DocumentClient, SearchClient, index_documents
from hybrid_search.engine import indices
from hybrid_search.errors import RecordError
from hybrid_search.evaluate import run_of
from hybrid_search.settings import DenseSettings, DocumentSettings, Settings, SparseSettings

SETTINGS = Settings(
    documents=DocumentSettings(id="sku", text=("name", "about"), keyword=("brand",), number=("price",)),
    dense=DenseSettings(model="none"),
    sparse=SparseSettings(model="idf"),
)
ROWS = [
    {"sku": 7, "name": "Lumo", "about": "a warm lamp", "brand": "Norr", "price": 20.0},
    {"sku": 8, "name": "Sol", "about": "a bright lamp", "brand": None, "price": float("nan")},
]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, list], ids=["pandas", "polars", "dicts"])
def test_a_frame_is_loaded(connection, engine_url, index_name, make):
    """Its columns are what the settings say; what is missing is not there; loading it again changes nothing."""
    name = index_name()
    report = index_documents(make(ROWS), name, url=engine_url, settings=SETTINGS)
    assert (report.indexed, report.skipped, report.excess) == (2, 0, None)
    with DocumentClient(name, settings=SETTINGS, connection=connection) as client:
        assert [one.id for one in client.find("price<=20")] == ["7"]
        lumo, sol = client.get(["7", "8"])
    assert (lumo.text, lumo.fields) == ("Lumo\na warm lamp", {"name": "Lumo", "brand": "Norr", "price": 20.0})
    assert sol.fields == {"name": "Sol"}
    assert index_documents(make(ROWS), name, url=engine_url, settings=SETTINGS).unchanged == 2


def test_rows_without_text_are_counted(connection, engine_url, index_name):
    """Two of four are more than one in a hundred: the report says so, and the others are loaded."""
    name = index_name()
    frame = pd.DataFrame([*ROWS, {"sku": 9, "brand": "Norr"}, {"sku": 10, "about": ""}])
    report = index_documents(frame, name, url=engine_url, settings=SETTINGS)
    assert (report.indexed, report.skipped) == (2, 2)
    assert report.excess == "2 of 4 records were left out, more than 1%"
    assert "2 records without text were left out, the first: DataFrame:3" in report.notes
    assert indices.count(connection, name) == 2


def test_a_bad_row_is_told_by_its_number(connection, engine_url, index_name):
    """Before anything is made where it is the first; what came before it is loaded where it is not."""
    name = index_name()
    bad = {**ROWS[0], "sku": 3, "price": "on request"}
    with pytest.raises(
        RecordError, match=r"list:1: the number field 'price' must be a finite number, got 'on request'"
    ):
        index_documents([bad, *ROWS], name, url=engine_url, settings=SETTINGS)
    assert not indices.exists(connection, name)
    with pytest.raises(RecordError, match="list:3: the number"):
        index_documents([*ROWS, bad], name, url=engine_url, settings=SETTINGS)
    assert indices.count(connection, name) == 2


def test_an_id_that_comes_again_is_told_with_its_row(engine_url, index_name):
    """As of any other source."""
    with pytest.raises(RecordError, match="list:3: the id '7' has come before"):
        index_documents([*ROWS, ROWS[0]], index_name(), url=engine_url, settings=SETTINGS)


def test_a_notebook_searches_and_shows(connection, engine_url, index_name):
    """A cell runs beside a running event loop: the synchronous client searches there, and shows what it found."""
    name = index_name()
    index_documents(ROWS, name, url=engine_url, settings=SETTINGS)

    async def cell():
        with SearchClient(name, connection=connection) as client:
            return client.search("bright lamp", facets=["brand"])

    found = asyncio.run(cell())
    assert found.to_pandas()["id"].tolist() == ["8", "7"]
    assert "<mark>bright</mark>" in found._repr_html_()
    assert run_of([found])["1"].keys() == {"8", "7"}
