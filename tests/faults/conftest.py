"""One count over all fault tests; a table of it is written where ``HYBRID_SEARCH_FAULTS_TABLE`` says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tally import Tally


@pytest.fixture(scope="session")
def tally() -> Iterator[Tally]:
    """The count of the whole run."""
    counted = Tally()
    yield counted
    if path := os.environ.get("HYBRID_SEARCH_FAULTS_TABLE"):
        counted.write(Path(path))
