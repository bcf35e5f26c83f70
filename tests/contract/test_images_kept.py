"""Documents with images, read out of an index and put back: nothing of their images is lost, on both engines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import Colours, picture
from msgspec.structs import replace as changed

from hybrid_search.copying import copy_index
from hybrid_search.documents import DocumentClient
from hybrid_search.engine import Connection
from hybrid_search.engine.foreign import whole_source
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import RecordError
from hybrid_search.images import ImageSource
from hybrid_search.ingest import index_documents
from hybrid_search.ingest.maintain.replay import replay
from hybrid_search.ingest.state.letters import DeadLetters
from hybrid_search.records import Document, Query
from hybrid_search.search import SearchClient
from hybrid_search.settings import ChunkingSettings, DocumentSettings, EngineSettings, ImageSettings, Settings

LOADED = Settings(images=ImageSettings(thumbnails=16, workers=1), chunking=ChunkingSettings(max_tokens=4, overlap=0))
DEFAULTS = changed(LOADED, images=ImageSettings())
"""Of whoever changes documents: nothing is said of thumbnails there."""
TEXT = "\n\tWaves in the evening.\n\nA  red sail far out."
GIVEN = (
    Document("sea", TEXT, {"stars": 1}, images=tuple(ImageSource(data=picture(one)) for one in ("blue", "green"))),
    Document("rose", "", {"stars": 1}, images=(ImageSource(data=picture("red")),)),
    Document("note", "a text alone", {"stars": 5}),
)


def stored(connection: Connection, index: str) -> dict[str, dict[str, Any]]:
    """What searches see of the passages, by id."""
    body = {"query": {"exists": {"field": "doc_id"}}, "size": 50, "_source": whole_source(connection.dialect)}
    hits = connection.send(Request.json("POST", f"/{index}/_search", body))["hits"]["hits"]
    seen = ("text", "state", "dense", "sparse", "words", "passages")
    return {hit["_id"]: {name: hit["_source"].get(name) for name in seen} for hit in hits}


def test_a_field_is_changed_and_images_stay(connection: Connection, index_name: Callable[[], str]) -> None:
    """All but the field is as before: vectors, thumbnails, texts and their white space; no image is encoded again."""
    index, encoder = index_name(), Colours()
    DocumentClient(index, settings=LOADED, encoder=encoder, connection=connection).put(GIVEN)
    before, seen = stored(connection, index), encoder.images
    client = DocumentClient(index, settings=DEFAULTS, encoder=encoder, connection=connection)
    read = client.get(["sea", "rose", "note"], vectors=True)
    assert [len(one.images) for one in read] == [2, 1, 0]
    assert [one.text for one in read] == [one.text for one in GIVEN]
    client.delete(["rose"])  # what was read is whole without the index
    client.put([replace(one, fields={"stars": 9}, dense=None, sparse=None) for one in read])
    assert stored(connection, index) == before
    assert encoder.images == seen == 3
    assert [one.fields for one in client.find()] == [{"stars": 9}] * 3
    with SearchClient(index, connection=connection, settings=DEFAULTS, encoder=encoder) as searching:
        assert searching.search(Query(image=picture("red"))).hits[0].id == "rose"
        assert {*searching.thumbnails(["sea", "rose"])} == {"sea", "rose"}


def test_the_texts_beside_images_keep_their_vectors(connection: Connection, index_name: Callable[[], str]) -> None:
    """Whoever changes the document need not know that its load wanted them."""
    index, both = index_name(), changed(LOADED, images=changed(LOADED.images, text_vectors=True))
    DocumentClient(index, settings=both, encoder=Colours(), connection=connection).put(GIVEN)
    before = stored(connection, index)
    assert all(passage["dense"] for passage in before.values())
    client = DocumentClient(index, settings=DEFAULTS, encoder=Colours(), connection=connection)
    client.put([replace(one, fields={}) for one in client.find()])
    assert stored(connection, index) == before


def test_another_model_has_no_use_for_what_is_kept(connection: Connection, index_name: Callable[[], str]) -> None:
    """It would need the images; a model of texts takes the thumbnail along, and an index of images none without."""
    first, texts = index_name(), Colours()
    client = DocumentClient(first, settings=LOADED, encoder=Colours(), connection=connection)
    client.put(GIVEN)
    other = Colours()
    other.dense = replace(Colours.dense, weights="2")
    there = DocumentClient(index_name(), settings=LOADED, encoder=other, connection=connection)
    with pytest.raises(RecordError, match="read out of an index of another model than this one: weights"):
        there.put(client.get(["sea"]))
    texts.dense, texts.reads_images = replace(Colours.dense, extra={}), False
    index = index_name()
    plain = DocumentClient(index, settings=DEFAULTS, encoder=texts, connection=connection)
    plain.put(client.get(["sea"]))
    plain.put([replace(one, fields={}) for one in plain.get(["sea"], vectors=True)])
    with SearchClient(index, connection=connection, settings=DEFAULTS, encoder=texts) as searching:
        assert len(searching.thumbnails(["sea"])) == 1
    with pytest.raises(RecordError, match="it has no vector"):
        client.put(plain.get(["sea"]))
    with pytest.raises(RecordError, match="carries vectors, which stand for all of it, and has images"):
        client.put([replace(client.get(["sea"])[0], dense=np.ones(3, dtype=np.float32))])


def test_a_copy_has_all_of_the_images(connection: Connection, index_name: Callable[[], str], tmp_path: Path) -> None:
    """By way of a folder: thumbnails are no column of it, and come along."""
    index, copy = index_name(), index_name()
    DocumentClient(index, settings=LOADED, encoder=Colours(), connection=connection).put(GIVEN)
    where = changed(DEFAULTS, engine=EngineSettings(url=connection.where))
    copy_index(index, tmp_path / "copy", where)
    copy_index(tmp_path / "copy", copy, where)
    assert stored(connection, copy) == stored(connection, index)
    there = DocumentClient(copy, settings=DEFAULTS, encoder=Colours(), connection=connection)
    there.put(replace(one, fields={"stars": 1}) for one in there.get(["sea"]))
    assert stored(connection, copy) == stored(connection, index)


def test_a_refused_document_is_replayed_with_its_images(
    connection: Connection, index_name: Callable[[], str], tmp_path: Path
) -> None:
    """Those of a file, and those that an index has kept: a letter holds what it takes."""
    index, letters, wrong = index_name(), tmp_path / "letters.jsonl", {"stars": "no number"}
    settings = changed(LOADED, documents=DocumentSettings(number=("stars",)))
    client = DocumentClient(index, settings=settings, encoder=Colours(), connection=connection)
    client.put(GIVEN)
    before = stored(connection, index)
    (tmp_path / "rose.png").write_bytes(picture("red"))
    rose = Document("rose", "", wrong, images=(ImageSource(path=str(tmp_path / "rose.png")),))
    kept = replace(client.get(["sea"])[0], fields=wrong)
    client.delete(["sea", "rose"])
    with closing(DeadLetters(letters)) as refused:
        index_documents([rose, kept], index, connection, Colours(), settings, dead_letters=refused)
    letters.write_text(letters.read_text().replace('"no number"', "1"))
    report = replay(letters, index, connection, Colours(), settings)
    assert (report.indexed, report.refused, letters.exists()) == (2, 0, False)
    assert stored(connection, index) == before
