"""Which files of a folder are read, in which formats: a BEIR corpus, parts of one format at any depth, or texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from hybrid_search.errors import SourceError
from hybrid_search.read.beir import packed_variant
from hybrid_search.read.formats.photos import IMAGE, captions_of
from hybrid_search.read.formats.registry import FORMATS, REGISTRY, SUFFIXES, Files, telling_suffix
from hybrid_search.read.objects import Seen
from hybrid_search.read.own_files import OwnFiles
from hybrid_search.read.places import (
    FOLLOW,
    LINKS,
    LeftOut,
    files_below,
    leads_out,
    objects_below,
    without_companions,
    without_descriptions,
)
from hybrid_search.read.raw import OnNote
from hybrid_search.read.streams import PACKED, shown
from hybrid_search.read.texts import suffix_of

CORPUS = "corpus.jsonl"
"""What a folder of BEIR has beside its queries."""


def parts_of(folder: Path, format: str | None, own: OwnFiles, on_note: OnNote, *, follow_links: bool = False) -> Files:
    """The files of a folder that are to be read: a BEIR corpus, parts of one format at any depth, or texts."""
    corpus = packed_variant(folder, CORPUS)
    is_inside = corpus is not None and (follow_links or not leads_out(corpus, folder))
    if corpus is not None and is_inside and corpus not in own and format in {None, "jsonl"}:
        return [(corpus, "jsonl")]
    left_out = LeftOut()
    return _chosen(files_below(folder, own, left_out, follow_links=follow_links), folder, format, left_out, on_note)


def parts_of_prefix(folder: Path, format: str | None, on_note: OnNote) -> tuple[Files, dict[Path, Seen]]:
    """The same of the objects below a prefix, and which versions of them are there."""
    left_out = LeftOut()
    seen = objects_below(folder, left_out)
    corpora = (folder / f"{CORPUS}{suffix}" for suffix in ("", *PACKED))
    corpus = next((path for path in corpora if path in seen), None)
    if corpus is not None and format in {None, "jsonl"}:
        return [(corpus, "jsonl")], seen
    return _chosen(seen, folder, format, left_out, on_note), seen


def _chosen(found: Iterable[Path], folder: Path, format: str | None, left_out: LeftOut, on_note: OnNote) -> Files:
    """Those of one format, or of texts."""
    parts: dict[str, Files] = {}
    for path in without_descriptions(found, left_out):
        kind = SUFFIXES.get(telling_suffix(path))
        if kind is None:
            left_out.add("of no known format", f"*{suffix_of(path)}" if path.suffix else path.name)
        elif format in {None, kind}:
            family = "text" if REGISTRY[kind].is_document and format is None and kind != IMAGE else kind
            parts.setdefault(family, []).append((path, kind))
    wanted = _without_companions(_pictures_or_others(parts, folder, left_out), folder, left_out)
    if len(wanted) != 1:
        what = f"the folder holds {' and '.join(wanted)}" if wanted else "the folder holds nothing that can be read"
        remedy = f"Give --format, or name a file or a pattern; known: {', '.join(FORMATS)}"
        if not wanted and LINKS in left_out.reasons:
            what, remedy = "the folder holds links out of it and nothing else that can be read", FOLLOW
        raise SourceError(what, where=shown(folder), remedy=remedy)
    files = _with_libraries(wanted.popitem()[1], folder, left_out)
    left_out.note(folder, on_note)
    return files


def _pictures_or_others(parts: dict[str, Files], folder: Path, left_out: LeftOut) -> dict[str, Files]:
    """Pictures alone, where all else are their captions or companions; else what they are beside, without them."""
    pictures = parts.get(IMAGE, [])
    if not pictures or len(parts) == 1:
        return parts
    captions = {caption for path, _ in pictures for caption in captions_of(path)}
    others = {
        kind: rest
        for kind, files in parts.items()
        if kind != IMAGE and (rest := [one for one in files if one[0] not in captions])
    }
    aside = replace(left_out, reasons={})
    if list(_without_companions({IMAGE: pictures, **others}, folder, aside)) == [IMAGE]:
        left_out.take(aside)
        return {IMAGE: pictures}
    for path, _ in pictures:
        left_out.add("pictures beside documents: --format image", f"*{suffix_of(path)}")
    return {kind: files for kind, files in parts.items() if kind != IMAGE}


def _with_libraries(files: Files, folder: Path, left_out: LeftOut) -> Files:
    """Of several formats those whose library is installed; of one alone all, whose reader says what it needs."""
    if "office" not in {kind for _, kind in files} or find_spec("kreuzberg") is not None:
        return files
    others = [(path, kind) for path, kind in files if kind != "office"]
    if not others:
        return files
    for path, kind in files:
        if kind == "office":
            left_out.add("needs pip install 'hybrid-search[documents]'", str(path.relative_to(folder)))
    return others


def _without_companions(parts: dict[str, Files], folder: Path, left_out: LeftOut) -> dict[str, Files]:
    """Of several formats those that are left when a README, a licence and the like are taken for what they are."""
    if len(parts) < 2:
        return parts
    aside = replace(left_out, reasons={})
    kept: dict[str, Files] = {}
    for kind, files in parts.items():
        names = set(without_companions([path for path, _ in files], folder, aside))
        if rest := [(path, each) for path, each in files if path in names]:
            kept[kind] = rest
    if len(kept) != 1:
        return parts
    left_out.take(aside)
    return kept
