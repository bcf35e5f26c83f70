"""Brings licence-clean text with Debian's package client and turns it into (source, short, long) pairs.

Nothing is installed and no system file is touched: package lists and packages go to a cache folder and are unpacked
there. The licences are in NOTICE; every package below is under a permissive one.
"""

from __future__ import annotations

import gzip
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

from training import parse
from training.parse import Pair

MAN_PACKAGES = (
    "libssl-doc",
    "freebsd-manpages",
    "libcurl4-doc",
    "libbsd-dev",
    "libx11-doc",
    "tcl8.6-doc",
    "ncurses-doc",
)
HTML_PACKAGES = (
    "python3.11-doc",
    "postgresql-doc-15",
    "apache2-doc",
    "sqlite3-doc",
    "rust-doc",
    "python-django-doc",
    "python-biopython-doc",
    "python-statsmodels-doc",
    "python-sklearn-doc",
    "nodejs-doc",
    "python-nibabel-doc",
    "python-dipy-doc",
)


class Packages:
    """Debian packages in a cache folder, brought by ``apt-get`` and unpacked by ``dpkg-deb``; root is not needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lists = folder / "lists"
        (self.lists / "partial").mkdir(parents=True, exist_ok=True)

    def _apt(self, *arguments: str) -> None:
        options = (
            "Acquire::Languages=en",
            "Acquire::GzipIndexes=false",
            "APT::Sandbox::User=root",  # the cache folder need not be readable for the user _apt
            f"Dir::State::lists={self.lists}",
        )
        command = ["apt-get", "-qq", *(word for option in options for word in ("-o", option)), *arguments]
        subprocess.run(command, check=True, cwd=self.folder)

    def translations(self) -> Iterator[str]:
        """The text of every ``Translation-en`` file."""
        if not any(self.lists.glob("*Translation-en")):
            self._apt("update")
        for path in sorted(self.lists.glob("*Translation-en")):
            yield path.read_text(encoding="utf-8", errors="replace")

    def unpacked(self, name: str) -> Path:
        """The folder a package was unpacked to."""
        target = self.folder / "unpacked" / name
        if not target.exists():
            self._apt("download", name)
            target.parent.mkdir(exist_ok=True)
            archive = next(self.folder.glob(f"{name}_*.deb"))
            subprocess.run(["dpkg-deb", "-x", archive, target], check=True)  # noqa: S607 - Debian has one dpkg
        return target


def debian(packages: Packages) -> Iterator[Pair]:
    """Short to long descriptions of all Debian packages."""
    for text in packages.translations():
        yield from parse.debian_descriptions(text)


def wordnet(packages: Packages) -> Iterator[Pair]:
    """A usage example or a word to its synset's entry, which goes on with broader and narrower entries.

    The neighbours make passages on one topic, closer to real ones than a bare gloss. A word that is the query is
    left out of its own entry: only what it means can then match.
    """
    folder = packages.unpacked("wordnet-base") / "usr/share/wordnet"
    paths = [folder / f"data.{part}" for part in ("noun", "verb", "adj", "adv")]
    synsets = {s.key: s for path in paths for s in parse.wordnet_synsets(path.read_text().splitlines())}
    for synset in synsets.values():
        near = [synsets[key].entry() for key in (*synset.broader, *synset.narrower[:6]) if key in synsets]
        if synset.examples and len(synset.examples[0].split()) >= 4:
            yield synset.examples[0], ". ".join([synset.entry(), *near])
        else:
            synonyms = f"{', '.join(synset.words[1:])}: " if len(synset.words) > 1 else ""
            yield synset.words[0], ". ".join([synonyms + synset.gloss, *near])


def man_pages(packages: Packages) -> Iterator[Pair]:
    """NAME to DESCRIPTION."""
    for name in MAN_PACKAGES:
        for path in sorted((packages.unpacked(name) / "usr/share/man").glob("man*/*.gz")):
            if path.is_file():  # some pages are links into packages that are not here
                page = parse.man_page(gzip.decompress(path.read_bytes()).decode("utf-8", "replace"))
                if page:
                    yield page


def html(packages: Packages) -> Iterator[Pair]:
    """Section headings to section texts of the documentation of permissively licensed projects."""
    for name in HTML_PACKAGES:
        for path in sorted(packages.unpacked(name).rglob("*.html")):
            if path.is_file() and "_modules" not in path.parts and "_sources" not in path.parts:
                yield from parse.html_sections(path.read_text(encoding="utf-8", errors="replace"))


def python(_: Packages) -> Iterator[Pair]:
    """Docstrings of the running Python's standard library (PSF licence): summary to body."""
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        if not {"site-packages", "test", "tests", "idlelib", "lib2to3"} & set(path.parts):
            yield from parse.docstring_pairs(path.read_text(encoding="utf-8", errors="ignore"))


SOURCES: dict[str, Callable[[Packages], Iterator[Pair]]] = {
    "debian": debian,
    "wordnet": wordnet,
    "man": man_pages,
    "html": html,
    "python": python,
}
