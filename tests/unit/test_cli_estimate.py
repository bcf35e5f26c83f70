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
