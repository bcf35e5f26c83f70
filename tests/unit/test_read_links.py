"""Links in a source: what leads out of the folder is passed over with a note, for whoever searches would find it."""

from __future__ import annotations

import pytest

from hybrid_search.errors import SourceError
from hybrid_search.read import documents
from hybrid_search.settings import DocumentSettings


@pytest.fixture
def folder(tmp_path):
    """Notes with a link to one of them, and links to a file and a folder outside."""
    outside, inside = tmp_path / "outside", tmp_path / "notes"
    for path in (outside, inside, inside / "below"):
        path.mkdir()
    (outside / "secret.md").write_text("# Key\nthe key is under the mat")
    (inside / "a.md").write_text("# A\ngreen tea")
    (inside / "b.md").symlink_to("a.md")
    (inside / "passwd.md").symlink_to(outside / "secret.md")
    (inside / "below" / "up.md").symlink_to("../../outside/secret.md")
    (inside / "shared").symlink_to(outside)
    (inside / "circle.md").symlink_to("circle.md")
    return inside


def read(source, *, follow_links=False):
    """The ids of the documents, and the notes."""
    notes = []
    found = documents(source, DocumentSettings(follow_links=follow_links), on_note=notes.append)
    return sorted(document.id for document in found), " ".join(notes)


def test_links_out_of_a_folder_are_passed_over_with_a_note(folder):
    """Of files and of folders, at any depth; those that stay inside are read."""
    ids, notes = read(folder)
    assert ids == ["a.md", "b.md"]
    assert "passwd.md" in notes
    assert "shared" in notes
    assert "--follow-links reads them" in notes


def test_links_are_followed_when_asked(folder):
    """The file under each of its names."""
    (folder / "circle.md").unlink()
    assert read(folder, follow_links=True)[0] == ["a.md", "b.md", "below/up.md", "passwd.md", "shared/secret.md"]


def test_a_linked_folder_above_is_not_read_for_ever(folder):
    """A link to the folder that it is in is no folder of its own."""
    (folder / "circle.md").unlink()
    (folder / "below" / "round").symlink_to(folder)
    assert "below/round/a.md" not in read(folder, follow_links=True)[0]


def test_a_pattern_matches_no_link_out_of_its_folder(folder):
    """The folder is what stands before the first wildcard."""
    ids, notes = read(f"{folder}/*.md")
    assert ids == ["a.md", "b.md"]
    assert "passwd.md" in notes
    with pytest.raises(SourceError, match="--follow-links"):
        read(f"{folder}/pass*.md")
    assert read(f"{folder}/pass*.md", follow_links=True)[0] == ["passwd.md"]


def test_a_link_that_is_named_is_read(folder, tmp_path):
    """Whoever names it means it, as a file or as the folder itself."""
    assert read(folder / "passwd.md")[0] == ["passwd.md"]
    (tmp_path / "link").symlink_to(folder)
    assert read(tmp_path / "link")[0] == ["a.md", "b.md"]


def test_a_folder_of_nothing_but_links_says_so(tmp_path):
    """As the cache of a model hub has them: the sentence names the option."""
    (tmp_path / "blob").write_text('{"_id": "a", "text": "tea"}\n')
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "corpus.jsonl").symlink_to(tmp_path / "blob")
    with pytest.raises(SourceError, match=r"links out of it and nothing else.*--follow-links"):
        read(tmp_path / "snapshot")
    assert read(tmp_path / "snapshot", follow_links=True)[0] == ["a"]
