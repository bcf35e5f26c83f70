"""What ``index`` says before it encodes: documents, passages and minutes, by a sample and a short measurement."""

from __future__ import annotations

import pytest
from loading import GeneratedEncoder, documents, record_line

from hybrid_search.cli import outlook
from hybrid_search.cli.outlook import Outlook, outlook_of, sentences
from hybrid_search.ingest.source import SourceOptions
from hybrid_search.settings import DenseSettings, DocumentSettings, Settings, SparseSettings

SETTINGS = Settings(documents=DocumentSettings(text=("text",)))


@pytest.fixture
def source(tmp_path):
    """Writes so many documents of twelve words, which the encoder's limit of eight cuts in two."""

    def write(count, **how):
        path = tmp_path / "a.jsonl"
        path.write_text("".join(record_line(document) for document in documents(count, words=12, **how)))
        return str(path)

    return write


def test_a_sample_promises_the_whole(source):
    """1,000 lines, of which 64 are cut: two passages each; some of them are encoded to see how fast that is."""
    encoder = GeneratedEncoder(max_tokens=8)
    found = outlook_of(source(1_000), SETTINGS, encoder, SourceOptions())
    assert (found.documents, found.passages_each, found.passages) == (1_000, 2.0, 2_000)
    assert found.speed > 0
    assert 1 < len(encoder.texts) <= 1 + 2 * outlook.SAMPLE


@pytest.mark.parametrize("count", [10, outlook.SAMPLE, outlook.SMALL - 1])
def test_a_small_source_is_not_measured(source, count):
    """It is loaded before that would be worth it."""
    encoder = GeneratedEncoder(max_tokens=8)
    found = outlook_of(source(count), SETTINGS, encoder, SourceOptions())
    assert (found.documents, found.speed, encoder.texts) == (count, None, [])


def test_a_limit_counts(source):
    """Only so many documents are looked at."""
    assert outlook_of(source(1_000), SETTINGS, GeneratedEncoder(), SourceOptions(limit=5)).documents == 5
    assert outlook_of(source(1_000), SETTINGS, GeneratedEncoder(), SourceOptions(limit=300)).documents == 300


def test_vectors_that_are_carried_are_not_encoded(source):
    """Each such document is one passage."""
    settings = Settings(documents=DocumentSettings(text=("text",), dense="dense", sparse="sparse"))
    encoder = GeneratedEncoder()
    found = outlook_of(source(1_000, vectors=True), settings, encoder, SourceOptions())
    assert (found.passages_each, found.speed, encoder.texts) == (1.0, None, [])


def test_what_cannot_be_looked_at_twice_is_not(tmp_path):
    """Pipes and data sets of the hub; errors are left to the load."""
    for name in ("-", "hf:some/data", str(tmp_path / "missing.jsonl")):
        assert outlook_of(name, SETTINGS, GeneratedEncoder(), SourceOptions()) is None


def test_the_clock_decides_how_much_is_encoded():
    """Eight at a time until the time is up; the first, which warms up, does not count."""
    times = iter([0.0, 1.0, 2.0, 2.0])
    batches = []
    speed = outlook._speed(["x"] * 100, lambda texts: batches.append(len(texts)), lambda: next(times))
    assert batches == [1, 8, 8]
    assert speed == 16 / 2.0


LONG = Outlook(100_000, 2.0, 50.0)


def test_a_long_load_says_what_would_be_faster(monkeypatch):
    """200,000 passages at 50 a second are 4,000 s, which is 67 minutes; on a terminal also how to stop."""
    monkeypatch.setattr(outlook, "_is_on_processor", lambda _settings: True)
    settings = Settings(dense=DenseSettings(model="a"), sparse=SparseSettings(model="naver/splade"))
    first, faster, stop = sentences(LONG, settings, "books", is_terminal=True)
    assert first == (
        "books: about 100,000 documents of 2.0 passages, 50 passages/s encoded here: about 67 minutes,"
        " less for what is there already."
    )
    assert faster == (
        "Faster: a GPU; sparse.model = starter or idf rather than a SPLADE model; a smaller dense.model;"
        " --set dense.model=none --set sparse.model=idf for words alone; --limit 1000 for a first look."
    )
    assert stop == "Ctrl-C stops it in order; run again, it goes on where it stopped."


def test_a_script_is_told_no_keys_and_a_short_load_no_advice():
    """Nothing waits for an answer in any case."""
    assert len(sentences(LONG, Settings(), "books", is_terminal=False)) == 2
    assert sentences(Outlook(80, 1.0, None), Settings(), "books", is_terminal=False) == [
        "books: about 80 documents of 1.0 passages."
    ]
    assert len(sentences(Outlook(1_000, 1.0, 100.0), Settings(), "books", is_terminal=True)) == 1
    assert "an unknown number of documents" in sentences(Outlook(None, 1.0, 9.0), Settings(), "b", is_terminal=False)[0]
