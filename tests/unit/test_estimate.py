"""The arithmetic of an estimate, the sample that it is made from, and what is said of it afterwards."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loading import documents, record_line

from hybrid_search.cli.estimating import numbers_of
from hybrid_search.errors import SettingsError, SourceError
from hybrid_search.ingest.options import SourceOptions
from hybrid_search.ingest.report import IngestReport
from hybrid_search.scale.estimate.figures import Estimate, Probe, Sampled, Setting
from hybrid_search.scale.estimate.kept import duration, keep, outcome, read_kept
from hybrid_search.scale.estimate.layouts import layouts
from hybrid_search.scale.estimate.sampling import sample_of
from hybrid_search.settings import DocumentSettings, Settings

SETTING = Setting("a.jsonl", "docs", "opensearch 3.6.0", "cpu", 4, 0, 384, "hnsw", 16, 1)
PROBE = Probe(100, {"read": 0.001, "encode": 0.004, "send": 0.0005}, 0.006, 2.0, 3000.0, 5000.0, 1000.0)
MADE = Estimate(SETTING, Sampled(1_000, 100, 2.0), PROBE, 1_000_000)


def test_documents_hours_disk_and_shards():
    """A million documents of two passages: 2,000,000 x .004 s = 2.2 h; x 5,000 bytes x 2 copies = 20 GB, 1 shard."""
    assert MADE.passages == 2_000_000
    assert MADE.encoder_hours == pytest.approx(2_000_000 * 0.004 / 3600)
    assert MADE.disk == 2_000_000 * 5000 * 2
    assert MADE.sparse_disk == 2_000_000 * 1000 * 2
    assert MADE.shards == 1
    assert msgspec.structs.replace(MADE, documents=10_000_000).shards == 4  # 100 GB of at most 30 each


def test_the_slowest_part_decides():
    """One worker: encoding, 8,000 s; four: 2,000 s, but four cores have 12,000 / 4 = 3,000 s to compute."""
    assert MADE.limits(1) == {"read": 2000.0, "encode": 8000.0, "processors": 3000.0, "engine": 1000.0}
    assert (MADE.slowest(1), MADE.wall(1)) == ("encode", 2.0 + 1.15 * 8000)
    assert (MADE.slowest(4), MADE.wall(4)) == ("processors", 2.0 + 1.15 * 3000)


def test_encoders_on_gpus_are_as_many_as_there_are():
    """Eight workers on two GPUs encode twice as fast as one."""
    made = msgspec.structs.replace(MADE, setting=msgspec.structs.replace(SETTING, device="cuda", gpus=2))
    assert made.limits(8)["encode"] == 8000 / 2


@given(st.integers(1, 64))
def test_more_workers_never_take_longer(workers):
    """Each part of a load is shared, or is what it is."""
    assert MADE.wall(workers + 1) <= MADE.wall(workers)


def test_layouts_are_those_of_the_mappings():
    """A million vectors of 384: whole 4 x 384 + 4 x 16 bytes each, int8 384 + 4 + 64, and on disk both."""
    found = {one.kind: one for one in layouts("elasticsearch", (9, 5, 0), 1_000_000, 384, 16)}
    assert found["hnsw"].memory == (4 * 384 + 64) * 1_000_000 == found["hnsw"].disk
    assert found["int8_hnsw"].memory == (384 + 4 + 64) * 1_000_000
    assert found["int8_hnsw"].disk == found["int8_hnsw"].memory + 4 * 384 * 1_000_000
    assert found["bbq_disk"].memory is None
    assert {one.engine for one in layouts(None, None, 10, 16, 16)} == {"opensearch", "elasticsearch"}


SETTINGS = Settings(documents=DocumentSettings(text=("text",)))


@pytest.mark.parametrize("count", [30, 20_000])
def test_a_sample_is_from_all_over_the_source(tmp_path, count):
    """A small file is counted; of a large one sixteen parts are read, and bytes say how many there are."""
    path = tmp_path / "a.jsonl"
    path.write_text("".join(map(record_line, documents(count))))
    found = sample_of(str(path), SETTINGS, SourceOptions(), 64)
    assert found.total == pytest.approx(count, rel=0.05)
    assert found.is_exact == (count == 30)
    assert len({document.id for document in found.documents}) == min(count, 64)
    assert max(int(document.id[1:]) for document in found.documents) > count // 2


def test_a_source_without_documents_is_said(tmp_path):
    """Nothing can be estimated from nothing."""
    (tmp_path / "a.jsonl").write_text('{"_id": "1"}\n')
    with pytest.raises(SourceError, match="no document"):
        sample_of(str(tmp_path / "a.jsonl"), SETTINGS, SourceOptions(), 64)


def test_a_kept_estimate_says_how_far_it_was_off(tmp_path):
    """1,000 documents by one worker: 2 + 1.15 x 1000 x 2 x .004 = 11.2 s; the run took 14 s, a quarter more."""
    path = tmp_path / "kept" / "e.json"
    keep(MADE, path)
    made = read_kept(path)
    assert made == MADE
    report = IngestReport("docs", indexed=1_000, passages=2_100, wall=14.0)
    assert str(outcome(made, report)) == (
        "estimated 11 s, took 14 s (+25 %); 2,000 passages estimated, 2,100 loaded (+5 %)"
    )
    assert outcome(made, IngestReport("docs", unchanged=5)) is None


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"setting": 1}'])
def test_a_broken_file_is_no_estimate(tmp_path, content):
    """A load says nothing of it, whatever it holds."""
    if content is not None:
        (tmp_path / "e").write_bytes(content)
    assert read_kept(tmp_path / "e") is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (8, "8 s"), (130, "2 min 10 s"), (3600, "1 h"), (12_000, "3 h 20 min"), (442_800, "5 d 3 h")],
)
def test_times_are_said_in_two_units(seconds, said):
    """The largest that is not none, and the next."""
    assert duration(seconds) == said


@pytest.mark.parametrize("given", ["", "0", "a", "1,-2", "1;2"])
def test_what_is_no_number_of_workers_is_refused(given):
    """Before anything is read."""
    with pytest.raises(SettingsError, match="list of numbers"):
        numbers_of(given)
    assert numbers_of("1, 2,8,2") == [1, 2, 8]
