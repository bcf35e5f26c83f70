"""Whether ten times as many documents need more memory: python benchmarks/ingest/memory.py [--documents N N] [--url U].

Each size is loaded from a JSONL file by a process of its own, journal, dead letters and generated vectors included;
its peak is what the kernel says (``ru_maxrss``). The node is a real one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
from corpus import OneToken

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine import connect, indices
from hybrid_search.engine.local import ephemeral
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.source import index_source
from hybrid_search.records import Fingerprint
from hybrid_search.settings import DocumentSettings, EngineSettings, Settings

RESULT = Path(__file__).parents[1] / "results" / "ingest-memory.json"
DIMENSION = 8
LINE = b'{"_id":"document-%07d","text":"the text of document %d is forty characters long","number":%d,"stored":"' + (
    b"only stored, so that bodies have their usual size " * 8 + b'"}\n'
)
SETTINGS = Settings(documents=DocumentSettings(text=("text",), number=("number",)), engine=EngineSettings())


class Drawn:
    """An encoder that draws vectors: 8 dimensions and a term, so that the engine is no slower than it must be."""

    dense = Fingerprint("dense", "drawn", "0" * 16, dimension=DIMENSION, normalized=False)
    sparse = Fingerprint("sparse", "drawn", "1" * 16)
    max_tokens = 512
    tokenizer = OneToken()

    def __init__(self) -> None:
        self._random = np.random.default_rng(1)

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        dense = self._random.standard_normal((len(texts), DIMENSION), np.float32)
        return EncodedTexts(dense, [{str(len(text)): 1.0} for text in texts])

    encode_queries = encode_documents


def main() -> None:
    """Load every size in a process of its own, print and keep the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--url", help="a node to use instead of an own one")
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.source is not None:
        print(json.dumps(load(given.source, given.url)))
        return
    with node(given.url) as url, tempfile.TemporaryDirectory() as folder:
        loads = {count: in_a_process(count, url, Path(folder)) for count in given.documents}
    first = loads[given.documents[0]]["peak_mib"]
    figures = {str(n): {**one, "times_the_first": round(one["peak_mib"] / first, 3)} for n, one in loads.items()}
    RESULT.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


@contextmanager
def node(url: str | None) -> Iterator[str]:
    """The given node, or one of this run."""
    if url is not None:
        yield url
        return
    with ephemeral(heap="2g") as own:
        yield own.url


def in_a_process(count: int, url: str, folder: Path) -> dict[str, float]:
    """The figures of one load."""
    source = folder / f"{count}.jsonl"
    with source.open("wb") as file:
        file.writelines(LINE % (number, number, number) for number in range(count))
    command = [sys.executable, __file__, "--url", url, "--source", str(source)]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    figures: dict[str, float] = json.loads(subprocess.check_output(command, env=environment))
    if figures["documents"] != count:
        raise RuntimeError(f"{figures['documents']} of {count} documents are in the index")
    return figures


def load(source: Path, url: str) -> dict[str, float]:
    """Load a file and say what it took; the index is deleted again."""
    index = f"benchmark-memory-{uuid4().hex[:8]}"
    began = time.perf_counter()
    with connect(EngineSettings(url=url)) as connection:
        index_source(source, index, connection, Drawn(), SETTINGS, files=LoadFiles())
        seconds, found = time.perf_counter() - began, indices.count(connection, index)
        indices.delete_index(connection, index)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"documents": found, "peak_mib": round(peak, 1), "documents_per_second": round(found / seconds)}


if __name__ == "__main__":
    main()
