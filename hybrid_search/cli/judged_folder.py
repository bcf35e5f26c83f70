"""A new folder of judged queries, in the layout of BEIR that ``evaluate`` and ``tune`` read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hybrid_search.errors import SettingsError
from hybrid_search.private_files import make_folder, open_new


def check_new(folder: Path) -> None:
    """What is there is not written over, and said before minutes are spent."""
    if folder.exists():
        raise SettingsError("is there and is not touched", where=f"--out {folder}", remedy="Name a new folder")
    if not folder.parent.is_dir():
        raise SettingsError("no such folder", where=f"--out {folder.parent}", remedy="Make it, or name another")


def write_judged(folder: Path, qrels: Mapping[str, Mapping[str, int]], queries: Mapping[str, str]) -> None:
    """Write ``queries.jsonl`` and ``qrels/test.tsv``; SettingsError where that cannot be done."""
    import orjson

    lines = [f"{query}\t{id_}\t{grade}\n" for query, some in qrels.items() for id_, grade in some.items()]
    asked = [orjson.dumps({"_id": id_, "text": text}).decode() + "\n" for id_, text in queries.items()]
    try:
        make_folder(folder)
        make_folder(folder / "qrels")
        with open_new(folder / "queries.jsonl") as file:
            file.writelines(asked)
        with open_new(folder / "qrels" / "test.tsv") as file:
            file.writelines(["query-id\tcorpus-id\tscore\n", *lines])
    except OSError as error:
        raise SettingsError(f"cannot be written ({error.strerror})", where=str(folder)) from error
