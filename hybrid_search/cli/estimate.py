"""How many documents a source has, where that can be known at once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

LINES = frozenset({".jsonl", ".ndjson"})
TABLES = frozenset({".csv", ".tsv", ".tab"})
CORPUS = "corpus.jsonl"
BLOCK = 1 << 20
COUNTED = 64 * BLOCK
"""Bytes that are read to count: a tenth of a second. Of larger files a sample is taken."""

SAMPLED = 16
"""Blocks of the sample, from the first to the last."""


def expected_documents(source: Path) -> int | None:
    """About the lines of an uncompressed JSONL file, a table or BEIR folder, the rows of a Parquet file; else None.

    A guess for the time that is left, nothing more: empty lines and bad records count too.
    """
    path = source / CORPUS if source.is_dir() else source
    if not path.is_file():
        return None
    if path.suffix == ".parquet":
        return _rows(path)
    if path.suffix in TABLES:
        return max(1, _lines(path, quoted=path.suffix == ".csv") - 1)  # without the header
    return _lines(path) if path.suffix in LINES else None


def _rows(path: Path) -> int | None:
    """The rows of a Parquet file; None where it is broken, which the reader says."""
    from pyarrow import ArrowException, parquet

    try:
        with path.open("rb") as file:
            rows: int = parquet.read_metadata(file).num_rows
    except (ArrowException, OSError):
        return None
    return rows


def _lines(path: Path, *, quoted: bool = False) -> int:
    """The lines of a file; of one of many gigabytes as many as a sample of it promises, without reading it twice.

    In a ``quoted`` file, line ends between two quotation marks end no line.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= COUNTED:
            return _ends(iter(lambda: file.read(BLOCK), b""), quoted=quoted)
        found = 0
        for place in range(SAMPLED):
            file.seek((size - BLOCK) * place // (SAMPLED - 1))
            found += _ends([file.read(BLOCK)], quoted=quoted)
    return round(found * size / (SAMPLED * BLOCK))


def _ends(blocks: Iterable[bytes], *, quoted: bool) -> int:
    """The line ends of some blocks that follow each other; all of them where a quotation mark is never closed."""
    found, inside, is_inside = 0, 0, False
    for block in blocks:
        for number, part in enumerate(block.split(b'"') if quoted else [block]):
            is_inside ^= number > 0
            ends = part.count(b"\n")
            inside, found = (inside + ends, found) if is_inside else (inside, found + ends)
    return found + inside if is_inside else found
