"""Which files a source is: itself, those of a folder, those that match a pattern; and which of them are left out."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from hybrid_search.errors import SourceError
from hybrid_search.read.objects import Seen, below, matching
from hybrid_search.read.own_files import OwnFiles
from hybrid_search.read.raw import OnNote
from hybrid_search.read.storage import exists
from hybrid_search.read.streams import shown

_TEMPORARY = re.compile(
    r"~\$.*|.*~|#.*#|.*\.(tmp|temp|part|partial|crdownload|swp|bak)|thumbs\.db|desktop\.ini", re.IGNORECASE
)
_BESIDE = re.compile(
    r"(readme|license|licence|notice|changelog|changes|contributing|citation|code_of_conduct|security|authors)(\..*)?"
    r"|(dataset_infos?|dataset_dict|state|croissant|metadata|_metadata|_common_metadata)(\.json)?|manifest\.json"
    r"|(requirements|robots|llms)\.txt",
    re.IGNORECASE,
)
"""What lies beside the files of a data set and is none of them."""

_DESCRIPTION = re.compile(r"(dataset_infos?|dataset_dict|croissant)\.json", re.IGNORECASE)
"""What describes a data set, though it is JSON as the data may be."""

_PARTITION = re.compile(r"([^=]+)=(.*)")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def is_pattern(source: str | Path) -> bool:
    """Whether a source stands for the files that match it: ``parts/*.jsonl``; a file of this very name comes first."""
    return glob.has_magic(str(source)) and not exists(Path(source))


def matched(pattern: str | Path) -> list[Path]:
    """The files that match a pattern, sorted; hidden ones match only where the pattern says so.

    Raises:
        SourceError: there are none.
    """
    found = sorted(path for name in glob.glob(str(pattern), recursive=True) if (path := Path(name)).is_file())  # noqa: PTH207 patterns may be absolute
    if not found:
        raise SourceError("no file matches the pattern", where=str(pattern), remedy="Check the path")
    return found


def matched_objects(pattern: Path) -> dict[Path, Seen]:
    """The objects that match a pattern, ascending by name; SourceError where there are none."""
    found = {path: seen for path, seen in matching(pattern).items() if not path.name.startswith(".")}
    if not found:
        raise SourceError("no object matches the pattern", where=shown(pattern), remedy="Check the address")
    return found


def fixed_part(pattern: str | Path) -> Path:
    """The folder that all files of a pattern lie in."""
    parts = Path(pattern).parts
    fixed = [part for number, part in enumerate(parts) if not any(map(glob.has_magic, parts[: number + 1]))]
    return Path(*fixed[: len(parts) - 1])


@dataclass(slots=True)
class LeftOut:
    """Files of a folder that are no part of a source, by why, for one note."""

    reasons: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        """Count a file, or a folder with all that is in it."""
        self.reasons.setdefault(reason, Counter())[name] += 1

    def take(self, others: LeftOut) -> None:
        """Count what others have counted."""
        for reason, names in others.reasons.items():
            self.reasons.setdefault(reason, Counter()).update(names)

    def note(self, folder: Path, on_note: OnNote) -> None:
        """Say what was left out, if anything was."""
        if self.reasons:
            told = [_told(reason, names) for reason, names in self.reasons.items()]
            on_note(f"{folder}: left out: {'; '.join(told)}")


def _told(reason: str, names: Counter[str], shown: int = 4) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{', '.join(list(names)[:shown])}{more} ({reason})"


FOLLOW = "If what they lead to may be found by everybody who searches: --follow-links"
LINKS = "links out of the folder: --follow-links reads them"
"""Why they are left out: ``notes.md -> /etc/passwd`` would be found by everybody who may search."""


def leads_out(path: Path, folder: Path) -> bool:
    """Whether what is found in a folder lies outside, because of a link; the folder may be a link itself."""
    try:
        return not path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link that leads round in a circle
        return True


def without_links_out(files: Iterable[Path], folder: Path, on_note: OnNote) -> list[Path]:
    """The files that match a pattern, but for links that lead out of the folder that they all lie in.

    Raises:
        SourceError: there are no others.
    """
    left_out, kept = LeftOut(), []
    for file in files:
        if leads_out(file, folder):
            left_out.add(LINKS, file.name)
        else:
            kept.append(file)
    if LINKS in left_out.reasons and not kept:
        raise SourceError("all that match are links out of their folder", where=shown(folder), remedy=FOLLOW)
    left_out.note(folder, on_note)
    return kept


def files_below(
    folder: Path, own: OwnFiles, left_out: LeftOut, *, follow_links: bool = False, top: Path | None = None
) -> Iterator[Path]:
    """Files at any depth, sorted, without hidden and temporary ones, and without those that a load writes.

    Links that lead out of ``top`` (None: ``folder``) are left out too, and linked folders not entered, unless
    ``follow_links``.
    """
    top = top or folder
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            left_out.add("hidden", path.name)
        elif path.name.startswith("_") and (path.is_dir() or not path.suffix):
            left_out.add("working files", path.name)
        elif path.is_symlink() and not follow_links and leads_out(path, top):
            left_out.add(LINKS, path.name)
        elif path in own:
            continue
        elif path.is_dir():
            if not path.is_symlink() or (follow_links and leads_out(path, top)):
                yield from files_below(path, own, left_out, follow_links=follow_links, top=top)
            else:
                left_out.add("links to folders", path.name)
        elif _TEMPORARY.fullmatch(path.name):
            left_out.add("temporary", path.name)
        elif path.exists() and not path.is_file():
            left_out.add("no files", path.name)  # pipes and sockets: to open one waits for somebody who writes
        else:
            yield path


def objects_below(folder: Path, left_out: LeftOut) -> dict[Path, Seen]:
    """Objects below a prefix, ascending by name, without what :func:`files_below` leaves out of a folder.

    Raises:
        SourceError: there are none.
    """
    kept: dict[Path, Seen] = {}
    found = below(folder)
    if not found:
        raise SourceError("no such object, and none below it", where=shown(folder), remedy="Check the address")
    for path, seen in found.items():
        *folders, name = path.relative_to(folder).parts
        if any(part.startswith(".") for part in (*folders, name)):
            left_out.add("hidden", name)
        elif any(part.startswith("_") for part in folders) or (name.startswith("_") and not path.suffix):
            left_out.add("working files", name)
        elif _TEMPORARY.fullmatch(name):
            left_out.add("temporary", name)
        else:
            kept[path] = seen
    return kept


def without_companions(files: Iterable[Path], folder: Path, left_out: LeftOut) -> list[Path]:
    """Files of data without what lies beside them: a README, a licence, a description."""
    kept = []
    for path in files:
        if _BESIDE.fullmatch(path.name):
            left_out.add("beside the data", str(path.relative_to(folder)))
        else:
            kept.append(path)
    return kept


def without_descriptions(files: Iterable[Path], left_out: LeftOut) -> list[Path]:
    """Files without the descriptions of a data set among them, unless there is nothing else."""
    found = list(files)
    kept = [path for path in found if not _DESCRIPTION.fullmatch(path.name)]
    if not kept:
        return found
    for path in found:
        if path not in kept:
            left_out.add("beside the data", path.name)
    return kept


def partition_values(file: Path, folder: Path) -> dict[str, str]:
    """What the folders of a file say of its records, as Hive writes it: ``year=2024/part-0.parquet``."""
    pairs = (_PARTITION.fullmatch(part) for part in file.relative_to(folder).parts[:-1])
    return {unquote(pair[1]): unquote(pair[2]) for pair in pairs if pair is not None and pair[2] != _NO_VALUE}
