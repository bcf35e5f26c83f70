"""What the faults did: documents lost, duplicated and unexplained, counted by fault and engine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hybrid_search.engine import Connection, indices
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.records import Document
from hybrid_search.settings import ChunkingSettings

RUNS = int(os.environ.get("HYBRID_SEARCH_FAULT_RUNS", "10"))
"""How many times a killed ingest is killed; 100 for the table in the docs."""

HEAD = """# Faults

Each line is a fault that the tests in `tests/faults` cause on a real engine while documents are loaded, how many times
it struck, how many documents were loaded through it, and what was wrong afterwards: documents *lost* (not in the
index as the source has them, and not in the dead letters), *duplicated* (passages beyond those of the source) and
*unexplained* (refused without an id and a reason). The table is written by

    HYBRID_SEARCH_FAULTS_TABLE=docs/faults.md HYBRID_SEARCH_FAULT_RUNS=100 pytest tests/faults

A node of three that is killed or paused during loads and searches is in `tests/docker`, which checks the same.
What people and pipelines do, rather than machines: [faults-people.md](faults-people.md).

| fault | engine | strikes | documents | refused | lost | duplicated | unexplained |
|---|---|---:|---:|---:|---:|---:|---:|
"""


@dataclass(slots=True)
class Row:
    """What one fault did on one engine."""

    strikes: int = 0
    documents: int = 0
    refused: int = 0
    lost: int = 0
    duplicated: int = 0
    unexplained: int = 0


@dataclass(slots=True)
class Tally:
    """The rows of the table, by fault and engine; written to ``path`` whenever one changes."""

    path: Path | None = None
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)

    def check(
        self,
        fault: str,
        strikes: int,
        connection: Connection,
        index: str,
        *,
        source: Iterable[Document],
        refused: Iterable[tuple[str, str]] = (),
    ) -> Row:
        """Compare the index with its source, book and return what was found; ``refused`` has ids and reasons."""
        reasons = dict(refused)
        expected = [document for document in source if document.id not in reasons]
        report = verify(expected, index, connection, ChunkingSettings())
        passages = indices.count(connection, index)
        row = Row(
            strikes=strikes,
            documents=len(expected) + len(reasons),
            refused=len(reasons),
            lost=report.missing.count + report.stale.count + report.partial.count,
            duplicated=report.extra.count + max(0, passages - len(expected)),
            unexplained=sum(1 for id_, reason in reasons.items() if not (id_ and reason)),
        )
        total = self.rows.setdefault((fault, connection.dialect.engine), Row())
        for name in row.__dataclass_fields__:
            setattr(total, name, getattr(total, name) + getattr(row, name))
        if self.path is not None:
            self._write(self.path)
        return row

    def _write(self, path: Path) -> None:
        """The table as Markdown."""
        lines = []
        for (fault, engine), row in self.rows.items():
            numbers = (getattr(row, name) for name in row.__dataclass_fields__)
            lines.append(f"| {fault} | {engine} | {' | '.join(f'{number:,}' for number in numbers)} |\n")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEAD + "".join(lines))


def is_clean(row: Row) -> bool:
    """Nothing lost, nothing twice, nothing unexplained."""
    return (row.lost, row.duplicated, row.unexplained) == (0, 0, 0)
