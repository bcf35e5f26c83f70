"""Build the idf table that the lexical sparse encoder ships: ``python -m training.idf``.

Document frequencies of the 30,522 word pieces of the BERT uncased vocabulary, counted over English text whose
licences allow it, brought by package clients on a Debian-like machine:

- the long descriptions of all Debian packages (``apt-get update`` with ``Acquire::Languages=en``);
- the glosses and examples of WordNet 3.0 (the Debian package ``wordnet-base``; WordNet licence);
- the docstrings of the Python standard library (PSF licence).

Only counts leave these texts: a document is a run of about 100 words, and the table holds
``idf = ln(1 + (N - df + 0.5) / (df + 0.5))`` (Robertson and Sparck Jones) as float16.
Runs in two minutes on one core and needs the extra [models] for the vocabulary.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from hybrid_search.encode.idf import TABLE_FILE
from hybrid_search.encode.sources import find_model
from hybrid_search.encode.tokens import load_tokenizer
from hybrid_search.settings import DENSE_MODEL

WORDS_PER_DOCUMENT = 100
PARAGRAPH = re.compile(r"\n\s*\n")


def debian_descriptions(folder: Path) -> Iterator[str]:
    """Long descriptions of all packages that the machine's apt sources list."""
    lists = folder / "lists"
    (lists / "partial").mkdir(parents=True)
    command = ["/usr/bin/apt-get", "-q", "-o", "Acquire::Languages=en", "-o", f"Dir::State::lists={lists}", "update"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for path in sorted(lists.glob("*Translation-en*")):
        # apt keeps its lists compressed and reads them with its own helper.
        text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], check=True, capture_output=True).stdout
        yield from _descriptions(text.decode("utf-8"))


def _descriptions(text: str) -> Iterator[str]:
    for stanza in PARAGRAPH.split(text):
        _, found, body = stanza.partition("Description-en:")
        if found:
            yield body.replace("\n .\n", "\n")


def wordnet_glosses(folder: Path) -> Iterator[str]:
    """What stands after ``|`` in WordNet's data files: the gloss and its examples."""
    command = ["/usr/bin/apt-get", "-q", "download", "wordnet-base"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (package,) = folder.glob("wordnet-base_*.deb")
    subprocess.run(["/usr/bin/dpkg-deb", "-x", package, folder / "wordnet"], check=True)
    for path in sorted((folder / "wordnet").rglob("data.*")):
        for line in path.read_text("utf-8").splitlines():
            if not line.startswith("  "):  # the licence text
                yield line.partition("|")[2]


def standard_library_docstrings() -> Iterator[str]:
    """Docstrings of all modules, classes and functions of the standard library, tests left out."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        if {"site-packages", "test", "tests", "idlelib", "lib2to3"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield ast.get_docstring(node) or ""


def runs_of_words(texts: Iterable[str]) -> Iterator[str]:
    """Texts joined and cut anew, so that short glosses and long descriptions count alike."""
    words: list[str] = []
    for text in texts:
        words += text.split()
        while len(words) >= WORDS_PER_DOCUMENT:
            yield " ".join(words[:WORDS_PER_DOCUMENT])
            del words[:WORDS_PER_DOCUMENT]
    if words:
        yield " ".join(words)


def main() -> None:
    """Count, and write the table where the encoder reads it."""
    arguments = argparse.ArgumentParser(description="Build the idf table of the lexical sparse encoder.")
    arguments.add_argument("--output", type=Path, default=TABLE_FILE)
    output = arguments.parse_args().output
    tokenizer = load_tokenizer(find_model(DENSE_MODEL))
    frequency = np.zeros(tokenizer.get_vocab_size(), dtype=np.int64)
    documents = 0
    with tempfile.TemporaryDirectory() as name:
        for source in (debian_descriptions(Path(name)), wordnet_glosses(Path(name)), standard_library_docstrings()):
            before = documents
            for text in runs_of_words(source):
                ids = tokenizer.encode(text, add_special_tokens=False).ids
                frequency[np.unique(np.asarray(ids, dtype=np.int64))] += 1
                documents += 1
            print(f"{source.__name__}: {documents - before:,} documents", file=sys.stderr)
    idf = np.log1p((documents - frequency + 0.5) / (frequency + 0.5)).astype(np.float16)
    np.savez_compressed(output, idf=idf, documents=np.int64(documents))
    print(f"{output}: {output.stat().st_size:,} bytes, {np.count_nonzero(frequency):,} pieces seen", file=sys.stderr)


if __name__ == "__main__":
    main()
