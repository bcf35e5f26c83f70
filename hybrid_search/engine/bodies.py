"""Bodies of answers: JSON decoded by orjson, anything else as text."""

from __future__ import annotations

from typing import Any

import orjson


def decode(body: bytes | str, content_type: str) -> Any:
    """Decoded JSON; text where it is not JSON (a proxy's page, a broken body); None where it is empty."""
    if not body:
        return None
    if "json" in content_type or not content_type:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            return _text(body)
    return _text(body)


def _text(body: bytes | str) -> str:
    return body if isinstance(body, str) else body.decode("utf-8", "replace")
