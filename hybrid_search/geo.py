"""Places as records write them, and the distances and corners of filters on them.

A place is a latitude and a longitude in degrees (WGS 84). Text has the latitude first (``48.1,11.5``), as people write
it; lists, GeoJSON and WKT have the longitude first, as their standards say (RFC 7946; OGC 06-103r4). What is out of
range is no place: swapped numbers show so, as far as they can.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Place = tuple[float, float]
"""Latitude from -90 to 90 and longitude from -180 to 180."""

FARTHEST = 20_100_000.0
"""Meters beyond which nothing on the earth is away from anything else; half its circumference is 20,015 km."""

UNITS: Mapping[str, float] = {
    "m": 1.0,
    "km": 1_000.0,
    "mi": 1_609.344,
    "nmi": 1_852.0,
    "yd": 0.9144,
    "ft": 0.3048,
}
"""Meters of the units that distances are given in."""

_WRITTEN = 1e9
"""Degrees up to which a message has them."""

_FORMS = '"48.1,11.5" (latitude, longitude), {"lat": 48.1, "lon": 11.5}, [11.5, 48.1], GeoJSON or WKT points'
_DECIMAL = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_PAIR = re.compile(rf"\s*({_DECIMAL})\s*[,;]\s*({_DECIMAL})\s*")
_POINT = re.compile(rf"\s*POINT\s*(?:Z\s*)?\(\s*({_DECIMAL})\s+({_DECIMAL})(?:\s+{_DECIMAL})?\s*\)\s*", re.IGNORECASE)
_DISTANCE = re.compile(rf"\s*({_DECIMAL})\s*([a-z]+)\s*", re.IGNORECASE)
_LATITUDES = ("lat", "latitude")
_LONGITUDES = ("lon", "lng", "long", "longitude")


def place(value: Any) -> Place:
    """The place that a value of a record says.

    Raises:
        ValueError: it says none, or one that is out of range.
    """
    if isinstance(value, str):
        latitude, longitude = _in_text(value)
    elif isinstance(value, Mapping):
        latitude, longitude = _in_object(value)
    elif is_pair(value):
        longitude, latitude = value[:2]
    else:
        raise ValueError(f"a place: {_FORMS}")
    return checked_place(latitude, longitude)


def checked_place(latitude: Any, longitude: Any) -> Place:
    """The two as a place; ValueError where one is no number or out of range."""
    for name, degrees, most in (("latitude", latitude, 90), ("longitude", longitude, 180)):
        if isinstance(degrees, bool) or not isinstance(degrees, int | float) or not abs(degrees) >= 0:
            raise ValueError(f"a place with a number for its {name}")
        if abs(degrees) > most:  # compared as it is: a whole number may be beyond all floats
            beyond = f"{degrees:g}" if abs(degrees) < _WRITTEN else "another number"
            raise ValueError(f"a place with a {name} from -{most} to {most}, and {beyond} is beyond")
    return float(latitude), float(longitude)


def is_pair(value: Any) -> bool:
    """Whether it is a list that says one place: two numbers, or three with an altitude."""
    is_list = isinstance(value, list | tuple) and len(value) in {2, 3}
    return is_list and all(isinstance(part, int | float) and not isinstance(part, bool) for part in value)


def meters(distance: Any) -> float:
    """A distance such as ``5km``, or a number of meters; at most :data:`FARTHEST`.

    Raises:
        ValueError: it is none, or not above 0.
    """
    found = _measured(distance)
    if not found > 0:
        raise ValueError("a distance above 0, such as 5km")
    return min(found, FARTHEST)


def _measured(distance: Any) -> float:
    if isinstance(distance, int | float) and not isinstance(distance, bool):
        return float(min(max(distance, -1), FARTHEST))
    read = _DISTANCE.fullmatch(distance) if isinstance(distance, str) else None
    if read is None or read[2].lower() not in UNITS:
        raise ValueError(f"a distance such as 5km; the units are {', '.join(UNITS)}")
    return float(read[1]) * UNITS[read[2].lower()]


def _in_text(text: str) -> tuple[Any, Any]:
    if found := _PAIR.fullmatch(text):
        return float(found[1]), float(found[2])
    if found := _POINT.fullmatch(text):
        return float(found[2]), float(found[1])
    raise ValueError(f"a place: {_FORMS}")


def _in_object(value: Mapping[Any, Any]) -> tuple[Any, Any]:
    if str(value.get("type", "")).lower() == "point" and is_pair(value.get("coordinates")):
        longitude, latitude = value["coordinates"][:2]
        return latitude, longitude
    latitude = next((value[name] for name in _LATITUDES if name in value), None)
    longitude = next((value[name] for name in _LONGITUDES if name in value), None)
    if latitude is None or longitude is None:
        raise ValueError(f"a place: {_FORMS}")
    return _degrees(latitude), _degrees(longitude)


def _degrees(value: Any) -> Any:
    """A number that is written as text as a number."""
    return float(value) if isinstance(value, str) and re.fullmatch(rf"\s*{_DECIMAL}\s*", value) else value
