"""How many documents a source has, where that can be known at once."""

from __future__ import annotations

from pathlib import Path

LINES = frozenset({".jsonl", ".ndjson"})
CORPUS = "corpus.jsonl"
BLOCK = 1 << 20


def expected_documents(source: Path) -> int | None:
    """The lines of an uncompressed JSONL file or BEIR folder, the rows of a Parquet file; else None.

    A guess for the time that is left, nothing more: empty lines and bad records count too.
    """
    path = source / CORPUS if source.is_dir() else source
    if not path.is_file():
        return None
    if path.suffix == ".parquet":
        from pyarrow import parquet

        rows: int = parquet.read_metadata(path).num_rows
        return rows
    return _lines(path) if path.suffix in LINES else None


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK), b""))
