"""The folder's card: what the model was made of, by which numbers, and what came of it; nothing of the documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from hybrid_search.encode.finetune.recipe import Recipe
from hybrid_search.encode.folder import weights_digest
from hybrid_search.errors import ModelError
from hybrid_search.private_files import make_folder, write_bytes
from hybrid_search.train.records import Change, Trained

FILE = "training.json"
UNKNOWN = "unknown"
_LICENCE = re.compile(r"^license:\s*['\"]?([\w.+-]+)", re.MULTILINE)
SETTINGS = {"dense": "dense.model", "sparse": "sparse.model", "starter": "sparse.model", "rerank": "rerank.model"}


def card_of(recipe: Recipe, base: str, folder: Path, trained: Trained) -> dict[str, Any]:
    """All that is known of a run, as plain JSON types; ``folder`` has the files of the base."""
    fitted = trained.fitted
    return {
        "what": recipe.what,
        "base": base,
        "base_weights": weights_digest(folder),
        "base_licence": licence_of(folder),
        "recipe": recipe.told(),
        "data": {"origins": list(trained.origins), **trained.counts},
        "measured": [_change(one) for one in trained.changes],
        "is_better": trained.is_better,
        "looks": [[one.step, round(one.fused, 5)] for one in fitted.steps],
        "ended_by": fitted.ended,
        "kept_step": fitted.best.step,
        "seconds": round(fitted.seconds, 1),
        "mebibytes": round(fitted.mebibytes),
        "notes": list(trained.notes),
        "versions": {name: version(name) for name in ("sentence-transformers", "torch", "transformers")},
    }


def _change(one: Change) -> dict[str, Any]:
    told: dict[str, Any] = {"system": one.system, "before": round(one.before, 5), "after": round(one.after, 5)}
    if one.comparison is not None:
        interval = one.comparison.interval
        told |= {
            "difference": round(one.comparison.difference, 5),
            "interval": None if interval is None else [round(end, 5) for end in interval],
            "p": round(one.comparison.p_holm, 5),
        }
    return told


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """``training.json`` for programs and ``README.md`` for people."""
    make_folder(folder)
    write_bytes(folder / FILE, orjson.dumps(card, option=orjson.OPT_INDENT_2))
    write_bytes(folder / "README.md", "".join(f"{line}\n" for line in _readme(card)).encode())


def read_card(folder: Path) -> Mapping[str, Any]:
    """What :func:`write_card` wrote; empty where the folder has none.

    Raises:
        ModelError: it is no JSON object.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        card = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ModelError(f"is not JSON ({error})", where=str(path), remedy="Train the model again") from error
    return card if isinstance(card, dict) else {}


def licence_of(folder: Path) -> str:
    """As the header of the base's README names it."""
    readme = folder / "README.md"
    if not readme.is_file():
        return UNKNOWN
    found = _LICENCE.search(readme.read_text("utf-8", errors="replace")[:20_000])
    return UNKNOWN if found is None else found[1]


def _readme(card: Mapping[str, Any]) -> Iterator[str]:
    licence, data = card["base_licence"], card["data"]
    yield "---"
    if licence != UNKNOWN:
        yield f"license: {licence}"
    yield "tags: [hybrid-search, sentence-transformers]"
    yield "---"
    yield f"# {card['what']}, trained on one's own corpus"
    yield ""
    yield f"Begun with `{Path(str(card['base'])).name if '/' not in str(card['base']) else card['base']}`"
    yield f"(licence of the base: {licence}; what was trained on may bring another)."
    yield f"Used as `{SETTINGS[card['what']]}`: the path of this folder."
    yield ""
    counted = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in data.items() if name != "origins")
    yield f"Trained on {', '.join(data['origins'])}: {counted}. Seed {card['recipe']['seed']}."
    yield f"Kept step {card['kept_step']}; ended by {card['ended_by']}, after {card['seconds']:,.0f} s."
    yield ""
    verdict = "is better than" if card["is_better"] else "is not shown to be better than"
    yield f"On held-out queries, fused, it {verdict} what was live (nDCG@10):"
    yield ""
    yield "| system | before | after | difference | 95 % interval | p (Holm) |"
    yield "|---|---|---|---|---|---|"
    for row in card["measured"]:
        yield _row(row)
    yield ""
    for note in card["notes"]:
        yield f"- {note}"


def _row(row: Mapping[str, Any]) -> str:
    if "difference" not in row:
        return f"| {row['system']} | {row['before']:.4f} | the same | | | |"
    low_high = "" if row["interval"] is None else "{:+.4f} to {:+.4f}".format(*row["interval"])
    return (
        f"| {row['system']} | {row['before']:.4f} | {row['after']:.4f} | {row['difference']:+.4f} "
        f"| {low_high} | {row['p']:.3f} |"
    )
