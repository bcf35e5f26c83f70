"""Thumbnails on the page: those that there are, as pictures, and nothing in the place of those that there are not."""

from __future__ import annotations

import io
import urllib.request
from collections.abc import Iterator
from uuid import uuid4

import pytest
from colours import Colours, picture
from pages import ids, open_page, until
from PIL import Image
from served import serving

from hybrid_search.engine import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.images import ImageSource
from hybrid_search.ingest import index_documents
from hybrid_search.records import Document
from hybrid_search.settings import ImageSettings, Settings

SETTINGS = Settings(images=ImageSettings(thumbnails=64, workers=1))
CAPTIONS = {"rose": "red", "meadow": "green", "sea": "blue"}


@pytest.fixture(scope="module")
def served(opensearch: Connection, opensearch_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A workbench over three pictures and a text."""
    index = f"serve-pictures-{uuid4().hex[:8]}"
    pictures = [
        Document(name, f"a quiet {name}", {"title": name}, images=(ImageSource(data=picture(colour, (120, 80))),))
        for name, colour in CAPTIONS.items()
    ]
    index_documents([*pictures, Document("note", "a quiet note")], index, opensearch, Colours(), SETTINGS)
    folder = tmp_path_factory.mktemp("judged")
    with serving(opensearch_url, index, folder, encoder=Colours()) as server:
        yield server
    opensearch.transport.send(Request.json("DELETE", f"/{index}", ignore_unavailable="true"))


def test_a_thumbnail_is_a_small_jpeg_or_nothing(served) -> None:
    """By the document's id; an unknown one has none either."""
    with urllib.request.urlopen(f"{served.url}/thumbnail?id=rose", timeout=60) as answer:  # noqa: S310 - our own server
        assert answer.headers["content-type"] == "image/jpeg"
        assert Image.open(io.BytesIO(answer.read())).size == (64, 43)
    assert [served.ask("GET", f"/thumbnail?id={id_}")[0] for id_ in ("note", "unknown")] == [204, 204]


def test_hits_show_their_pictures(page, served) -> None:
    """Each picture is loaded and named for those who do not see it; the text has none, and nothing is reported."""
    open_page(page, served, "q=quiet")
    until(page, """document.querySelectorAll('[data-list="fused"] .hit').length === 4""")
    until(page, """[...document.querySelectorAll('[data-list="fused"] .picture')].length === 3""")
    until(page, "[...document.querySelectorAll('[data-list=fused] .picture')].every(one => one.naturalWidth === 64)")
    assert set(ids(page)) == {*CAPTIONS, "note"}
    names = page.eval_on_selector_all('[data-list="fused"] .picture', "all => all.map(one => one.alt)")
    assert sorted(names) == ["Picture: meadow", "Picture: rose", "Picture: sea"]
    sizes = "[...document.querySelectorAll('.hit')].map(one => [one.clientHeight, one.children[1].clientWidth])"
    with_pictures = page.evaluate(sizes)
    assert len({width for _, width in with_pictures[:4]}) == 1  # the bars are as wide beside the text without one
    page.evaluate("document.querySelectorAll('.picture').forEach(one => one.remove())")
    assert page.evaluate(sizes) == with_pictures  # nothing moves when a picture comes
    assert page.faults == []
