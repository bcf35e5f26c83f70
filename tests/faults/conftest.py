"""One count over all fault tests; a table of it is written where ``HYBRID_SEARCH_FAULTS_TABLE`` says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tally import Tally


@pytest.fixture(scope="session")
def tally() -> Tally:
    """The count of the whole run."""
    path = os.environ.get("HYBRID_SEARCH_FAULTS_TABLE")
    return Tally(Path(path) if path else None)
