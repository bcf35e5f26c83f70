"""Vectors that a source carries, checked before an engine or a model sees them."""

from __future__ import annotations

import base64
import binascii
import math
from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np

from hybrid_search.errors import RecordError
from hybrid_search.records import SparseVector, Vector


def dense_vector(value: Any, field: str) -> Vector:
    """A dense vector of float32: from a list of numbers, or base64 of little-endian float32.

    Raises:
        RecordError: it is neither, is empty, or has a component that is NaN or infinite, or only zeros.
    """
    vector = _decoded(value, field) if isinstance(value, str) else _listed(value, field)
    if not vector.size:
        raise RecordError(f"the dense vector {field!r} is empty", remedy="Leave the field out to have it encoded")
    finite = np.isfinite(vector)
    if not finite.all():
        place = int(np.argmin(finite))
        what = f"the dense vector {field!r} has {vector[place]} as component {place}"
        raise RecordError(what, remedy="Every component must be a finite float32; encode the text again")
    if not vector.any():
        raise RecordError(
            f"the dense vector {field!r} is zero, which has no direction", remedy="Leave it out to have it encoded"
        )
    return vector


def _listed(value: Any, field: str) -> Vector:
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value, dtype=np.float32)
    try:
        return np.frombuffer(array("f", value), dtype=np.float32)
    except TypeError:
        remedy = "Give a list of numbers, or base64 of little-endian float32"
        raise RecordError(f"the dense vector {field!r} is no list of numbers: {value!r:.60}", remedy=remedy) from None


def _decoded(text: str, field: str) -> Vector:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4").astype(np.float32, copy=False)
    except (binascii.Error, ValueError):
        remedy = "Give standard base64 of little-endian float32, 4 bytes for each component"
        raise RecordError(f"the dense vector {field!r} is not base64 of float32: {text!r:.60}", remedy=remedy) from None


def sparse_vector(value: Any, field: str) -> SparseVector:
    """A sparse vector ``{token: weight}``; a list of ``[token, weight]`` pairs is taken too.

    Raises:
        RecordError: it is neither, is empty, has a token twice, or a weight that is not positive and finite.
    """
    pairs = _pairs(value, field)
    vector: dict[str, float] = {}
    for token, weight in pairs:
        if not isinstance(token, str) or not token or token in vector:
            what = f"the sparse vector {field!r} has the token {token!r}, which is given twice or is no text"
            raise RecordError(what, remedy="Give every token once, as a string that is not empty")
        if type(weight) not in (int, float) or not 0 < weight < math.inf:
            what = f"the sparse vector {field!r} gives {token!r} the weight {weight!r}"
            raise RecordError(what, remedy="Weights must be positive and finite: leave tokens of weight 0 out")
        vector[token] = float(weight)
    if not vector:
        raise RecordError(f"the sparse vector {field!r} is empty", remedy="Leave the field out to have it encoded")
    return vector


def _pairs(value: Any, field: str) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, list) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in value):
        return [(token, weight) for token, weight in value]
    remedy = "Give an object of token and weight"
    raise RecordError(f"the sparse vector {field!r} is no object: {value!r:.60}", remedy=remedy)
