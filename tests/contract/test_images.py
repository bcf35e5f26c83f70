"""Images beside text in one index: loaded, found by texts and by images, kept and left out, on both engines."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import pytest
from colours import Colours, picture, save_pictures
from msgspec.structs import replace as changed
from PIL import Image, ImageDraw, ImageFont

from hybrid_search.engine import Connection, connect_async
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError, QueryError, RecordError, SettingsError
from hybrid_search.images import ImageSource
from hybrid_search.ingest import index_documents
from hybrid_search.ingest.attach.ours import enrich
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.ingest.source import SourceOptions, index_source, plan_source
from hybrid_search.read import documents
from hybrid_search.records import Document, Query
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.settings import DocumentSettings, EngineSettings, ImageSettings, Settings

SETTINGS = Settings(images=ImageSettings(thumbnails=16, workers=1))


def ids(result: Any) -> list[str]:
    return [hit.id for hit in result]


@pytest.fixture
def load(connection: Connection, index_name: Callable[[], str], tmp_path: Path) -> Callable[..., tuple[str, Any]]:
    """Loads a source into an index of its own, with the encoder that sees colours."""
    index = index_name()

    def loaded(source: Any, settings: Settings = SETTINGS, **more: Any) -> tuple[str, Any]:
        encoder = more.pop("encoder", None) or Colours()
        files = LoadFiles(journal=tmp_path / "load.journal", **more.pop("files", {}))
        what = SourceOptions(**more)
        return index, index_source(source, index, connection, encoder, settings, files=files, what=what)

    return loaded


class Photos(NamedTuple):
    """A folder of pictures, the index that it was loaded into, and what the load said."""

    folder: Path
    index: str
    report: Any


@pytest.fixture(scope="module")
def photos(connection: Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Photos]:
    """What tests look at and do not change, on each engine."""
    index, place = f"images-{uuid4().hex[:8]}", tmp_path_factory.mktemp("photos")
    folder, files = save_pictures(place / "photos"), LoadFiles(journal=place / "load.journal")
    yield Photos(folder, index, index_source(folder, index, connection, Colours(), SETTINGS, files=files))
    connection.transport.send(Request.json("DELETE", f"/{index}", ignore_unavailable="true"))


def client(connection: Connection, index: str) -> SearchClient:
    return SearchClient(index, connection=connection, settings=SETTINGS, encoder=Colours())


def test_a_folder_of_pictures_is_a_source(connection: Connection, photos: Photos) -> None:
    """A text finds pictures by what they show and by captions; a picture finds what looks like it."""
    assert (photos.report.indexed, photos.report.passages) == (4, 8)  # an image and a text each
    with client(connection, photos.index) as searching:
        by_colour = searching.search("red", legs=["dense"])
        assert ids(by_colour)[0] == "rose.png"
        waves = searching.search("waves")
        assert ids(waves)[0] == "more/sea.png"
        assert waves.hits[0].fields == {"title": "sea", "place": "Sylt", "image": "more/sea.png"}
        by_image = searching.search(Query(image=picture("yellow")))
        assert list(by_image.legs) == ["dense"]
        assert ids(by_image)[0] == "more/sun.png"
        assert by_image.hits[0].text == "sun"  # of an image the beginning of its document's text is shown
        both = searching.search(Query("waves", image=photos.folder / "rose.png"))
        assert list(both.legs) == ["bm25", "dense", "sparse"]
        assert set(ids(both)[:2]) == {"more/sea.png", "rose.png"}


def test_the_texts_beside_images_have_dense_vectors_only_where_that_is_said(
    connection: Connection, index_name: Callable[[], str]
) -> None:
    """The picture is blue, its caption says red: by default the dense leg sees the picture alone."""
    document = Document("x", "a red thing", images=(ImageSource(data=picture("blue")),))
    for text_vectors, expected in ((False, 0.0), (True, 1.0)):
        index = index_name()
        settings = changed(SETTINGS, images=changed(SETTINGS.images, text_vectors=text_vectors))
        index_documents([document], index, connection, Colours(), settings)
        with client(connection, index) as searching:
            score = searching.search("red", legs=["dense"]).hits[0].legs["dense"].score
        blue_and_red = np.dot((20, 20, 220), (220, 20, 20)) / np.linalg.norm((20, 20, 220)) ** 2
        assert score == pytest.approx((1 + (1.0 if expected else blue_and_red)) / 2, abs=0.02)


def test_text_alone_image_alone_and_both_live_in_one_index(
    connection: Connection, index_name: Callable[[], str]
) -> None:
    """A leg that some documents do not have leaves them to the others; nothing is said to lack vectors."""
    image = (ImageSource(data=picture("green")),)
    given = [
        Document("text", "a green field"),
        Document("image", "", images=image),
        Document("both", "a wide field", images=image),
        Document("two", "", images=(*image, ImageSource(data=picture("blue")))),
    ]
    index = index_name()
    report = index_documents(given, index, connection, Colours(), SETTINGS)
    assert report.passages == 1 + 1 + 2 + 2
    with client(connection, index) as searching:
        result = searching.search("green field", k=10)
        assert set(ids(result)) == {"text", "image", "both", "two"}
        assert ids(result)[0] in {"text", "both"}
        assert not result.warnings
        found = {hit.id: set(hit.legs) for hit in result}
        assert found["image"] == {"dense"}
        assert found["both"] == {"bm25", "dense", "sparse"}
        assert ids(searching.search(Query(image=picture("blue"))))[0] == "two"
        assert set(ids(searching.more_like("image"))) == {"both", "text", "two"}  # all are of one green
        assert set(searching.thumbnails(["text", "image", "two", "none"])) == {"image", "two"}


def test_thumbnails_come_when_they_are_asked_for(connection: Connection, photos: Photos) -> None:
    """They are small, no hit brings them along, and an index without them has none; both clients give them."""
    with client(connection, photos.index) as searching:
        found = searching.thumbnails(["rose.png", "more/sea.png"])
        assert "thumbnail" not in repr(searching.search("red").hits)
    small = Image.open(io.BytesIO(found["rose.png"]))
    assert (small.format, small.size) == ("JPEG", (16, 12))

    async def asked() -> tuple[dict[str, bytes], list[str]]:
        async with await connect_async(EngineSettings(url=connection.where)) as opened:
            own = AsyncSearchClient(photos.index, connection=opened, settings=SETTINGS, encoder=Colours())
            async with own:
                result = await own.search(Query(image=picture("red")))
                return await own.thumbnails(["rose.png"]), ids(result)

    thumbnails, order = asyncio.run(asked())
    assert thumbnails == {"rose.png": found["rose.png"]}
    assert order[0] == "rose.png"


def test_a_broken_picture_is_a_bad_record(connection: Connection, load: Callable[..., Any], tmp_path: Path) -> None:
    """It ends the load with its place before anything is made; where such are skipped the others are loaded."""
    folder = save_pictures(tmp_path / "photos")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no image")
    with pytest.raises(RecordError, match=r"broken\.jpg: the image cannot be read"):
        load(folder)
    index, report = load(folder, files={"skip_bad": tmp_path / "bad.jsonl"})
    assert (report.indexed, report.skipped) == (4, 1)
    assert "broken.jpg" in (tmp_path / "bad.jsonl").read_text()
    with client(connection, index) as searching:
        assert len(searching.search("blue", k=10)) == 4


def test_what_has_not_changed_is_not_decoded_again(
    connection: Connection, load: Callable[..., Any], tmp_path: Path
) -> None:
    """A picture with other bytes, and one with another caption, are loaded again; the rest is known by its bytes."""
    folder, encoder = save_pictures(tmp_path / "photos"), Colours()
    index, _ = load(folder, encoder=encoder)
    assert encoder.images == 4 + 4  # some are tried before the index is made
    (folder / "rose.png").write_bytes(picture("yellow"))
    (folder / "more" / "sea.json").write_text('"The sea."')
    assert plan_source(folder, index, connection, Colours(), SETTINGS).as_json()["changed"] == 2
    found = verify(documents(folder, SETTINGS.documents), index, connection, SETTINGS.chunking, images=SETTINGS.images)
    assert (found.stale.count, found.missing.count) == (2, 0)
    _, report = load(folder)
    assert (report.indexed, report.unchanged) == (2, 2)
    found = verify(
        documents(folder, SETTINGS.documents), index, connection, SETTINGS.chunking, images=SETTINGS.images, deep=True
    )
    assert found.is_equal
    with client(connection, index) as searching:
        assert set(ids(searching.search(Query(image=picture("yellow"))))[:2]) == {"rose.png", "more/sun.png"}


def test_records_name_images_beside_them(connection: Connection, load: Callable[..., Any], tmp_path: Path) -> None:
    """By paths below their file, or by bytes; one that leads out of the folder, or is not there, is a bad record."""
    (tmp_path / "rose.png").write_bytes(picture("red"))
    encoded = base64.b64encode(picture("blue")).decode()
    rows = [
        {"_id": "a", "text": "a flower", "photo": "rose.png"},
        {"_id": "b", "text": "a wave", "photo": f"data:image/png;base64,{encoded}"},
        {"_id": "c", "text": "out", "photo": "../secret.png"},
        {"_id": "d", "text": "gone", "photo": "gone.png"},
        {"_id": "e", "photo": "rose.png"},
        {"_id": "f", "text": "far", "photo": "http://127.0.0.1:9/a.png"},
    ]
    source = tmp_path / "shop.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = changed(SETTINGS, documents=DocumentSettings(image="photo"))
    index, report = load(source, settings, files={"skip_bad": tmp_path / "bad.jsonl"})
    assert (report.indexed, report.skipped) == (3, 3)
    with client(connection, index) as searching:
        assert set(ids(searching.search(Query(image=picture("red"))))[:2]) == {"a", "e"}
        fields = {hit.id: hit.fields for hit in searching.search("flower wave", k=10)}
    assert fields["a"] == {"photo": "rose.png"}
    assert fields["b"] == {}  # bytes are not stored


def test_a_model_of_texts_reads_captions_and_keeps_thumbnails(
    connection: Connection, index_name: Callable[[], str], tmp_path: Path
) -> None:
    """Without a model of images a folder of pictures is one of captions."""
    texts = Colours()
    texts.dense = replace(Colours.dense, extra={})
    texts.reads_images = False
    index = index_name()
    report = index_source(save_pictures(tmp_path / "photos"), index, connection, texts, SETTINGS)
    assert report.passages == 4
    with SearchClient(index, connection=connection, settings=SETTINGS, encoder=texts) as searching:
        assert ids(searching.search("waves"))[0] == "more/sea.png"
        assert set(searching.thumbnails(["rose.png"])) == {"rose.png"}
        with pytest.raises(QueryError, match="no model of this index reads images"):
            searching.search(Query(image=picture("red")))


def test_a_query_that_no_leg_can_answer_is_refused(connection: Connection, photos: Photos) -> None:
    """BM25 reads no image; what is no image is the query's fault, in its own place among others."""
    with client(connection, photos.index) as searching:
        with pytest.raises(QueryError, match="no leg that is named reads images"):
            searching.search(Query(image=picture("red")), legs=["bm25"])
        with pytest.raises(QueryError, match="the image is int"):
            searching.search(Query(image=7))
        for nothing in (b"", "data:image/png;base64,%%%"):
            with pytest.raises(QueryError, match="the image is empty, or no base64"):
                searching.search(Query(image=nothing))
        with pytest.raises(QueryError, match="the image cannot be read"):
            searching.search(Query(image=b"no image"))
        with pytest.raises(QueryError, match="there is no image"):
            searching.search(Query(image=photos.folder / "gone.png"))
        several = ["red", Query(image=picture("blue")), Query("green", image=b"no image"), "waves"]
        found = searching.search_many(several, return_errors=True)
        best = [one.hits[0].id for one in (found[0], found[1], found[3])]
        assert best == ["rose.png", "more/sea.png", "more/sea.png"]
        assert "dense" in found[2].degraded  # the words of that query are searched for all the same


@pytest.mark.skipif(
    find_spec("pytesseract") is None or which("tesseract") is None, reason="tesseract or pytesseract is not installed"
)
def test_text_in_a_picture_is_found_by_its_words(
    connection: Connection, load: Callable[..., Any], tmp_path: Path
) -> None:
    """Tesseract reads what is drawn; BM25 finds it, and a deep comparison knows that the source does not say it."""
    folder = save_pictures(tmp_path / "photos")
    sign = Image.new("RGB", (640, 160), "white")
    ImageDraw.Draw(sign).text((30, 40), "harbour closed", fill="black", font=ImageFont.load_default(72))
    sign.save(folder / "sign.png")
    settings = changed(SETTINGS, images=changed(SETTINGS.images, ocr="eng"))
    index, _ = load(folder, settings)
    with client(connection, index) as searching:
        found = searching.search("harbour", legs=["bm25"])
        assert ids(found) == ["sign.png"]
        assert found.hits[0].text.splitlines() == ["sign", "harbour closed"]
    again = documents(folder, settings.documents)
    assert verify(again, index, connection, settings.chunking, images=settings.images, deep=True).is_equal


def test_pages_of_an_image_belong_to_it(connection: Connection, photos: Photos) -> None:
    """The cursor of one image is none of another."""
    with client(connection, photos.index) as searching:
        first = searching.search(Query(image=picture("red")), k=2)
        assert first.cursor is not None
        second = searching.search(Query(image=picture("red")), k=2, cursor=first.cursor)
        assert len({*ids(first), *ids(second)}) == 4
        with pytest.raises(QueryError, match="cursor"):
            searching.search(Query(image=picture("blue")), k=2, cursor=first.cursor)


def test_an_image_is_not_encoded_later(load: Callable[..., Any], tmp_path: Path) -> None:
    """Its bytes are not stored: what could not be done is refused before anything is written."""
    with pytest.raises(SettingsError, match="vectors later"):
        load(save_pictures(tmp_path / "photos"), vectors_later=True)


def test_no_other_model_takes_over_what_it_cannot_read(connection: Connection, photos: Photos) -> None:
    """It would make vectors of the empty texts of images."""
    other = Colours()
    other.dense = replace(Colours.dense, weights="2")
    with pytest.raises(IndexMismatchError, match="vectors of images, which are not stored"):
        enrich(connection, photos.index, other, changes_models=True)


def test_image_passages_are_stored_as_said(connection: Connection, photos: Photos) -> None:
    """No text, no sparse terms, no mark of lacking vectors; the thumbnail where no engine looks."""
    source = connection.send(Request.json("GET", f"/{photos.index}/_doc/more%2Fsea.png%230"))["_source"]
    assert source["text"] == ""
    assert not {"sparse", "vectors", "words"} & source.keys()
    assert set(source["state"]) == {"shown", "thumbnail"}
    assert source["state"]["shown"] == "sea\nWaves in the evening."
