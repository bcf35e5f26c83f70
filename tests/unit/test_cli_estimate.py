"""How many documents a source seems to have, for the time that is left."""

from __future__ import annotations

import pytest

from hybrid_search.cli import estimate


def test_small_files_are_counted(tmp_path):
    """1,000 lines are 1,000 lines; a folder counts its corpus; what cannot be known is None."""
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a"}\n' * 1_000)
    assert estimate.expected_documents(tmp_path / "corpus.jsonl") == 1_000
    assert estimate.expected_documents(tmp_path) == 1_000
    assert estimate.expected_documents(tmp_path / "a.csv") is None


def test_large_files_are_sampled(tmp_path, monkeypatch):
    """Lines of 10 bytes in the first half and of 30 in the second: 10 MB have 666,666, and a sample says so to 5 %."""
    monkeypatch.setattr(estimate, "COUNTED", 1_000_000)
    monkeypatch.setattr(estimate, "BLOCK", 50_000)
    path = tmp_path / "large.jsonl"
    path.write_bytes((b"x" * 9 + b"\n") * 500_000 + (b"x" * 29 + b"\n") * 166_666)
    assert estimate.expected_documents(path) == pytest.approx(666_666, rel=0.05)


def test_rows_of_tables_are_counted(tmp_path):
    """Without the header; a line end in quotes ends no row of CSV, and no quote of TSV means anything."""
    (tmp_path / "a.csv").write_text('id,text\n1,"two\nlines"\n2,"say ""so""\n"\n3,x\n')
    (tmp_path / "a.tsv").write_text('id\ttext\n1\t5" pipe\n2\tx\n')
    assert estimate.expected_documents(tmp_path / "a.csv") == 3
    assert estimate.expected_documents(tmp_path / "a.tsv") == 2


def test_a_quote_that_is_never_closed_takes_no_rows_from_the_estimate(tmp_path):
    """One inch sign among 1,000 rows: 1,000, and not the two before it."""
    rows = [f"{number},text\n" for number in range(1_000)]
    rows[2] = '2,"5 inches\n'
    (tmp_path / "a.csv").write_text("id,text\n" + "".join(rows))
    assert estimate.expected_documents(tmp_path / "a.csv") == 1_000
