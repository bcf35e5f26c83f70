"""What ``models check`` has shown of a model in another precision, kept in the cache folder; no torch here.

8-bit integers change vectors, so they are part of a fingerprint. A query in one precision may still search an index
made in the other, once it is known on this machine how near the two are: the least cosine over texts of either kind.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import platformdirs

from hybrid_search.private_files import APPLICATION, make_folder, write_bytes
from hybrid_search.records import PRECISION, Fingerprint

log = logging.getLogger(__name__)

NEAR = {"dense": 0.98, "sparse": 0.85}
"""The least cosine by which queries in one precision search an index in another, by leg. At .990 and .861 (MiniLM and
the starter's head in 8 bits) no leg lost more than .0035 of nDCG@10: docs/encoding.md."""

RUNTIMES = ("torch", "onnxruntime", "openvino")
"""Whose releases results depend on."""


def keep(model: Fingerprint, agreement: float) -> None:
    """Remember how near the vectors of a model in its precision are to torch's in float32.

    Raises:
        OSError: the cache cannot be written.
    """
    path = _path(model)
    make_folder(path.parent)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    write_bytes(unfinished, json.dumps({"situation": situation(), "agreement": agreement}).encode())
    unfinished.replace(path)


def shown(model: Fingerprint) -> float | None:
    """The agreement of a model with itself in float32, as it was shown here; None where nobody has looked."""
    try:
        kept = json.loads(_path(model).read_bytes())
        found = kept["agreement"] if kept["situation"] == situation() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, float) else None


def near_enough(index: Fingerprint, here: Fingerprint) -> bool:
    """Whether queries of the model ``here`` may search an index of another precision, which is said once."""
    if index.in_float32().difference(here.in_float32()):
        return False
    found = [shown(model) for model in (index, here) if PRECISION in model.extra]
    least = min((-1.0 if agreement is None else agreement for agreement in found), default=-1.0)
    is_near = least >= NEAR.get(here.kind, 1.0)
    if is_near:
        _say(here.name, here.precision, index.precision, f"{least:.4f}")
    return is_near


@cache
def _say(name: str, here: str, index: str, agreement: str) -> None:
    log.warning(
        "queries are encoded in %s by %s, and the index was made in %s: models check found a cosine of %s here",
        *(here, name, index, agreement),
    )


def _path(model: Fingerprint) -> Path:
    """By all that is compared, the precision among it; not by the name, which is for people."""
    compared = {key: value for key, value in asdict(model).items() if key != "name"}
    key = hashlib.sha256(json.dumps(compared, sort_keys=True, default=_plain).encode()).hexdigest()[:24]
    return platformdirs.user_cache_path(APPLICATION) / "agreements" / f"{key}.json"


def _plain(value: object) -> Any:
    """Of a fingerprint that was read from an index or made here, the same JSON."""
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else str(value)


def situation() -> dict[str, Any]:
    """What the results of a backend depend on beside the model: releases and the machine."""
    return {"versions": {name: _version(name) for name in RUNTIMES}, "machine": [platform.machine(), _processor()]}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
