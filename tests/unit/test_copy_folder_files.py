"""The files of a copy in a folder: no name that it gives leads out of it, and one that is gone is copied."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from hybrid_search.copying.folder import BEGUN, WHOLE, FolderOrigin, FolderTarget
from hybrid_search.copying.stored import Bulk, Facts, StoredPassage
from hybrid_search.errors import IngestError, SourceError
from hybrid_search.records import IndexSchema, ResumePoint


class Held:
    """Two bulks of one passage each."""

    where = "http://engine:9200/articles"
    facts = Facts(IndexSchema(dense=None, sparse=None), {}, 1)

    def __init__(self, changed: int = 0) -> None:
        self._changed = changed

    def bulks(self) -> Sequence[Bulk]:
        return [Bulk("a", (1, self._changed), 1), Bulk("b", (1, 1), 1)]

    def read(self, number: int, start: ResumePoint | None = None) -> Iterator[StoredPassage]:
        assert start is None
        id_ = "ab"[number]
        values = {"doc_id": id_, "passage": 0, "start": 0, "end": 4, "text": "text", "fields": {}}
        yield StoredPassage(f"{id_}#0", values, ResumePoint(1, 1))

    def close(self) -> None: ...


def copied(folder: Path, origin: Held | None = None) -> int:
    """Copy as the command does; how many passages were written."""
    target = FolderTarget(folder, origin or Held())
    written = 0 if target.begin() else target.write()
    target.finish()
    assert target.compare(deep=True).wrong == ()
    return written


def test_no_name_leads_out_of_a_folder_that_is_copied_into(tmp_path: Path) -> None:
    """The list of files of a copy that was begun is not believed: what is beside the folder stays."""
    folder, mine = tmp_path / "copy", tmp_path / "mine.txt"
    mine.write_text("mine")
    folder.mkdir()
    for name in ("../mine.txt", str(mine), "sub/passages-00000.parquet", 7):
        begun = {"of": Held.where, "held": [], "files": [name]}
        (folder / BEGUN).write_text(json.dumps(begun))
        with pytest.raises(IngestError, match=f"the folder has a {BEGUN} that is none of ours"):
            copied(folder)
    for said in ("[]", "{}", "no JSON", '{"of": "x", "files": 3}'):
        (folder / BEGUN).write_text(said)
        with pytest.raises(IngestError, match=f"the folder has a {BEGUN} that is none of ours"):
            copied(folder)
    assert mine.read_text() == "mine"


def test_no_name_leads_out_of_a_folder_that_is_copied_from(tmp_path: Path) -> None:
    """A folder that somebody else has made reads no file of the reader's."""
    folder = tmp_path / "copy"
    assert copied(folder) == 2
    (folder / "passages-00001.parquet").rename(tmp_path / "passages-00001.parquet")
    said = (folder / WHOLE).read_text()
    (folder / WHOLE).write_text(said.replace("passages-00001", "../passages-00001"))
    with pytest.raises(SourceError, match=r"names '\.\./passages-00001\.parquet', which is no file of a copy"):
        FolderOrigin(folder)


def test_a_file_that_is_gone_is_copied_again(tmp_path: Path) -> None:
    """Also of a copy that was whole: 1 of 2; and the files of a copy that is begun anew are those of the new one."""
    assert copied(tmp_path / "copy") == 2
    (tmp_path / "copy" / "passages-00001.parquet").unlink()
    assert copied(tmp_path / "copy") == 1
    (tmp_path / "copy" / WHOLE).unlink()
    assert copied(tmp_path / "copy", Held(changed=1)) == 2


def test_a_file_that_is_broken_is_a_difference(tmp_path: Path) -> None:
    """A file cut short, and one that is no Parquet at all."""
    folder = tmp_path / "copy"
    assert copied(folder) == 2
    (folder / "passages-00000.parquet").write_bytes(b"PAR1")
    (folder / "passages-00001.parquet").write_text("something else")
    target = FolderTarget(folder, Held())
    assert target.begin()
    for deep in (True, False):
        said = [f"passages-0000{number}.parquet is broken" for number in (0, 1)]
        assert target.compare(deep=deep).wrong == tuple(said)
