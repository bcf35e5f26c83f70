"""The vector cache: what is in it is never trusted, never stops a load, and never outgrows its limit."""

from __future__ import annotations

import os
import random
import sqlite3
import stat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loading import GeneratedEncoder

from hybrid_search.errors import SettingsError
from hybrid_search.ingest.stages.chunking import Chunking
from hybrid_search.ingest.stages.encode import Encoding
from hybrid_search.ingest.state import cache as caches
from hybrid_search.ingest.state.cache import CachedVectors, VectorCache, models_key
from hybrid_search.ingest.work import Batch, NumberedDocument
from hybrid_search.records import Document
from hybrid_search.settings import ChunkingSettings

MODELS = bytes(range(16))
TEXTS = [f"text {number}" for number in range(40)]


def vectors(number):
    """Different for every text."""
    return CachedVectors(np.arange(number, number + 8, dtype=np.float32), {"7": 1.5, str(number + 8): 0.25})


def filled(path, **options):
    cache = VectorCache(path, **options)
    cache.put(MODELS, TEXTS, [vectors(number) for number in range(len(TEXTS))])
    return cache


def are_right(found):
    """Whether each answer is what was put in, or nothing."""
    return all(
        one is None or (np.array_equal(one.dense, vectors(number).dense) and one.sparse == vectors(number).sparse)
        for number, one in enumerate(found)
    )


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The user's default cache, in a folder of its own."""
    path = tmp_path / "hybrid-search" / "vectors.sqlite"
    monkeypatch.setattr(caches, "default_path", lambda: path)
    return path


def test_pruning_forgets_what_was_not_used(tmp_path, monkeypatch):
    """Of two texts one is used again 40 days later: pruning at 30 days leaves that one."""
    models = models_key(GeneratedEncoder())
    vectors = CachedVectors(np.ones(2, np.float32), {"7": 1.5})
    with VectorCache(tmp_path / "vectors.sqlite") as cache:
        monkeypatch.setattr("hybrid_search.ingest.state.cache._today", lambda: 100)
        cache.put(models, ["old", "used"], [vectors, vectors])
        monkeypatch.setattr("hybrid_search.ingest.state.cache._today", lambda: 140)
        assert cache.get(models, ["used"])[0].sparse == {"7": 1.5}
        assert cache.prune(unused_days=30) == 1
        assert [found is None for found in cache.get(models, ["old", "used"])] == [True, False]
        assert (cache.info().texts, cache.info().models) == (1, 1)


@pytest.mark.parametrize("column", ["dense", "sparse", "key"])
def test_a_row_with_another_vector_is_a_miss(path, column):
    """Vectors of two texts are exchanged: neither is believed, both are gone, the others are as they were."""
    with filled(path) as cache:
        pass
    with sqlite3.connect(path) as database:
        wanted = f"SELECT rowid, {column} FROM vectors WHERE rowid IN (3, 8)"  # noqa: S608
        first, second = database.execute(wanted).fetchall()
        change = f"UPDATE vectors SET {column} = ? WHERE rowid = ?"  # noqa: S608
        database.execute(change, (b"meanwhile", first[0]))
        database.execute(change, (first[1], second[0]))
        database.execute(change, (second[1], first[0]))
    database.close()
    with VectorCache(path) as cache:
        found = cache.get(MODELS, TEXTS)
        assert [number for number, one in enumerate(found) if one is None] == [2, 7]
        assert (cache.wrong, cache.info().texts) == (2, 38)
        assert cache.notes == ["2 vectors of the cache were broken, and are computed anew"]
        cache.put(MODELS, [TEXTS[2]], [vectors(2)])
        assert cache.get(MODELS, TEXTS)[2] is not None


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory):
    """The file of a cache with 40 texts."""
    path = tmp_path_factory.mktemp("cache") / "vectors.sqlite"
    filled(path).__exit__()
    return path


@settings(deadline=None, max_examples=60)
@given(at=st.integers(0, 10**6), damage=st.binary(min_size=1, max_size=300), cut=st.booleans())
def test_whatever_is_broken_no_load_is_stopped_or_deceived(tmp_path_factory, whole_file, at, damage, cut):
    """Bytes are overwritten or the file is cut off anywhere: each answer is right or nothing, and it can be filled."""
    path = tmp_path_factory.mktemp("cache") / "vectors.sqlite"
    content = whole_file.read_bytes()
    at %= len(content)
    path.write_bytes(content[:at] if cut else content[:at] + damage + content[at + len(damage) :])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caches, "default_path", lambda: path)
        with VectorCache(path) as cache:
            assert are_right(cache.get(MODELS, TEXTS))
            cache.put(MODELS, TEXTS, [vectors(number) for number in range(len(TEXTS))])
            assert are_right(cache.get(MODELS, TEXTS))
            cache.info()
            cache.prune(unused_days=0)
            cache.put(MODELS, TEXTS, [vectors(number) for number in range(len(TEXTS))])
            assert None not in cache.get(MODELS, TEXTS)


def test_a_broken_file_is_set_aside_and_said(path):
    """Twice: each is kept under a name of its own, and a new cache begun."""
    for number in (1, 2):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no database" * number)
        with filled(path) as cache:
            name = f"vectors.sqlite.broken-{number}"
            assert cache.notes == [f"the vector cache cannot be read: it is set aside as {name}, and begun anew"]
            assert None not in cache.get(MODELS, TEXTS)
        assert path.with_name(name).read_bytes() == b"no database" * number


def other_database(path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE vectors (name TEXT)")
        database.execute("INSERT INTO vectors VALUES ('mine')")
    database.close()


@pytest.mark.parametrize(
    "make", [lambda path: path.write_text("milk\n"), lambda path: path.write_bytes(bytes(9_000)), other_database]
)
def test_a_file_that_is_no_cache_is_untouched(tmp_path, make):
    """Notes, zeros, the database of another program: a cache elsewhere than the default place must say whose it is."""
    path = tmp_path / "mine.sqlite"
    make(path)
    before = (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.iterdir()))
    with pytest.raises(SettingsError, match=r"mine.sqlite: is not a vector cache, so it is left untouched"):
        VectorCache(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.iterdir())) == before


def test_what_is_no_file_is_no_cache(tmp_path):
    """A folder or a pipe, which is not waited for."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(SettingsError, match="is not a file"):
            VectorCache(path)


def test_a_cache_of_the_released_version_is_begun_anew(tmp_path):
    """Its rows have no checksum, so none can be believed; the room is used again."""
    path = tmp_path / "vectors.sqlite"
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS vectors (\n    key BLOB PRIMARY KEY, models BLOB NOT NULL, dense BLOB, "
            "sparse BLOB, day INTEGER NOT NULL\n)"
        )
        database.execute("INSERT INTO vectors VALUES (x'00', x'00', NULL, NULL, 1)")
    database.close()
    with filled(path) as cache:
        assert cache.notes == ["the vector cache of an earlier release had no checksums: it is begun anew"]
        assert cache.info().texts == 40
    with VectorCache(path) as cache:
        assert cache.notes == []
        assert None not in cache.get(MODELS, TEXTS)


def test_the_cache_keeps_to_its_limit(tmp_path, monkeypatch):
    """2 MB for rows of 4 kB, 100 a day for 20 days: what was used last is there, the file is not larger."""
    monkeypatch.setattr(caches, "EVICTED", 20)
    large = CachedVectors(np.ones(1_000, np.float32), None)
    days = [[f"{day} {number}" for number in range(100)] for day in range(20)]
    with VectorCache(tmp_path / "vectors.sqlite", max_bytes=2_000_000) as cache:
        for day, texts in enumerate(days):
            monkeypatch.setattr(caches, "_today", lambda day=day: day)
            cache.put(MODELS, texts, [large] * 100)
            cache.get(MODELS, days[0][:5])
        assert None not in cache.get(MODELS, days[19] + days[0][:5])
        assert cache.get(MODELS, days[2]) == [None] * 100
        found = cache.info()
        assert 300 <= found.texts <= 500
        assert found.max_bytes == 2_000_000
    assert (tmp_path / "vectors.sqlite").stat().st_size <= 2_000_000 + 100 * 8_192


def test_the_cache_is_for_its_owner(path):
    """Its vectors tell what the texts were."""
    filled(path).__exit__()
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)


def test_of_a_document_with_another_head_only_the_head_is_encoded(tmp_path):
    """A sentence is put in front of 400 others of 1 to 12 words: cuts meet again after a few passages of 64 tokens."""
    draw = random.Random(0)
    sentences = [" ".join(f"W{n}x{place}" for place in range(draw.randint(1, 12))) + "." for n in range(400)]
    encoder = GeneratedEncoder(max_tokens=64)
    counts = []
    with VectorCache(tmp_path / "vectors.sqlite") as cache:
        for text in (" ".join(sentences), " ".join(["This was put in front.", *sentences])):
            item = NumberedDocument(0, Document("d", text), "")
            chunked = Chunking(encoder, ChunkingSettings(overlap=8))(Batch(0, 1, [item]))
            stage = Encoding(encoder, cache)
            stage(chunked)
            counts.append((stage.encoded, sum(len(one.passages) for one in chunked.items)))
    (first, whole), (again, _) = counts
    assert first == whole > 40
    assert again < first / 5
