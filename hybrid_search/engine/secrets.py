"""What this client sends as its credentials, and texts without it.

A proxy that echoes a request repeats its ``Authorization`` header, and an engine may name it in a refusal. Both would
end in messages, logs and dead letters. Documents are left as they are: only what an answer says about errors is looked
through.
"""

from __future__ import annotations

import html
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from hybrid_search.addresses import MASK
from hybrid_search.engine.protocols import Answer
from hybrid_search.errors import EngineError

ERRORS = ("error", "failures")
"""Keys of an answer below which an engine says what went wrong."""
INNER = ("items", "responses", "_shards")
"""Keys of an answer below which those keys are looked for."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Finds the credentials in texts: as they are, in base64, percent-encoded, escaped for JSON or HTML."""

    pattern: re.Pattern[str] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, *values: str) -> Secrets:
        """Those of header values (``Basic ...``) and of what they were made from; empty ones are passed over."""
        found = {form for value in values for known in _parts(value) for form in _forms(known)} - {""}
        if not found:
            return NO_SECRETS
        longest_first = sorted(found, key=lambda form: (-len(form), form))
        return cls(re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE))

    def removed(self, text: str) -> str:
        """The text with ``***`` in the place of every secret."""
        return text if self.pattern is None else self.pattern.sub(MASK, text)

    def removed_from(self, value: Any) -> Any:
        """The same for all strings of decoded JSON, keys included."""
        match value:
            case str():
                return self.removed(value)
            case Mapping():
                return {self.removed(str(name)): self.removed_from(item) for name, item in value.items()}
            case list():
                return [self.removed_from(item) for item in value]
            case _:
                return value

    def removed_from_errors(self, body: Any) -> Any:
        """The same for what a good answer says of failed parts: of bulk items, of searches, of shards."""
        if self.pattern is None or not isinstance(body, dict):
            return body
        told = {name: self.removed_from(body[name]) for name in ERRORS if name in body}
        inner = {name: self._removed_from_inner(body[name]) for name in INNER if name in body}
        return {**body, **told, **inner}

    def removed_from_answer(self, answer: Answer) -> Answer:
        """An answer whose errors tell none."""
        if self.pattern is None:
            return answer
        headers = {name: self.removed(value) for name, value in answer.headers.items()}
        if answer.status < 300 and isinstance(answer.body, (Mapping, list)):
            return Answer(answer.status, self.removed_from_errors(answer.body), headers)
        return Answer(answer.status, self.removed_from(answer.body), headers)

    def removed_from_failure(
        self, error: EngineError, cause: BaseException | None
    ) -> tuple[EngineError, BaseException | None]:
        """An error that tells none, and its cause unless a traceback would show one there."""
        if not self.are_in(cause) and not self.are_in(error):
            return error, cause
        return type(error)(self.removed(error.what), where=error.where, remedy=error.remedy), None

    def are_in(self, error: BaseException | None) -> bool:
        """Whether an exception, or one that led to it, would print a secret."""
        while error is not None:
            if self.pattern is not None and self.pattern.search(f"{error} {error!r}"):
                return True
            error = error.__cause__ or error.__context__
        return False

    def _removed_from_inner(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._removed_from_inner(item) if _may_fail(item) else item for item in value]
        if isinstance(value, dict) and len(value) == 1 and isinstance(inner := next(iter(value.values())), dict):
            return {next(iter(value)): self.removed_from_errors(inner)}  # a bulk item: its action, and the outcome
        return self.removed_from_errors(value)


NO_SECRETS = Secrets()


def _may_fail(item: Any) -> bool:
    """Whether an item of a long answer says anything of errors; most do not, and stay the objects that they are."""
    if not isinstance(item, dict):
        return False
    outcome = next(iter(item.values())) if len(item) == 1 else item
    return any(isinstance(part, dict) and not part.keys().isdisjoint({*ERRORS, "_shards"}) for part in (item, outcome))


def _parts(value: str) -> Iterator[str]:
    """A header's credential without its scheme, and what base64 hides: the password of ``user:password``."""
    yield value
    if not re.match(r"(Basic|ApiKey|Bearer) ", value):
        return
    credential = value.partition(" ")[2]
    yield credential
    try:
        plain = b64decode(credential, validate=True).decode()
    except ValueError:
        return
    yield plain
    yield plain.partition(":")[2]


def _forms(text: str) -> Iterator[str]:
    yield text
    yield b64encode(text.encode()).decode("ascii")
    yield quote(text)
    yield quote(text, safe="")
    yield quote_plus(text, safe="")
    yield html.escape(text)
    yield text.encode("unicode_escape").decode("ascii")
    yield text.replace("\\", "\\\\").replace('"', '\\"')
