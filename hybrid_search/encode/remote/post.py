"""One service over HTTP: requests that are tried again, many at a time, and errors that name no secret.

Whatever a service says about a failure is not repeated: it may hold the key or the text that was sent. Redirects are
not followed, so that neither goes to an address that nobody gave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import orjson
import urllib3

from hybrid_search.errors import MissingExtraError, ModelError, ModelInputError, ModelUnavailableError, SettingsError
from hybrid_search.settings.models import ModelSettings

TRIES = 5
CONNECTIONS = 2
"""Tries where nothing listens: an address that was mistyped is said at once."""
BACKOFF = 0.5
"""Seconds before the first retry, doubled each time; a service's ``Retry-After`` counts instead."""
LONGEST_BACKOFF = 20.0
"""Seconds that are waited at most, also where a service asks for more."""
BUSY = (429, 502, 503, 504)
KEYRING = "keyring"
KEYRING_SERVICE = "hybrid-search"

T = TypeVar("T")


class _Again(urllib3.Retry):
    """Tries that no service can put off for hours."""

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        found = super().get_retry_after(response)
        return None if found is None else min(found, LONGEST_BACKOFF)


@dataclass(slots=True)
class Service:
    """What is asked: an address, a key, and how many requests at a time.

    Attributes:
        section: of the settings, for messages.
        url: the base of its paths.
        key: sent as ``Authorization: Bearer``.
        batch: texts of one request.
        concurrency: requests under way at a time.
    """

    section: str
    url: str
    key: str | None = field(default=None, repr=False)
    batch: int = 32
    concurrency: int = 4
    timeout: float = 60.0
    _pool: Any = field(default=None, repr=False)

    @classmethod
    def of(cls, section: str, settings: ModelSettings) -> Service:
        """The service of one section of the settings; nothing is asked yet."""
        url = (settings.url or "").rstrip("/")
        return cls(section, url, _key(section, settings), settings.batch_size, settings.concurrency, settings.timeout)

    def __post_init__(self) -> None:
        again = _Again(
            total=TRIES - 1,
            connect=CONNECTIONS - 1,
            redirect=False,
            status_forcelist=BUSY,
            allowed_methods=None,
            backoff_factor=BACKOFF,
            backoff_max=LONGEST_BACKOFF,
            backoff_jitter=BACKOFF,
            raise_on_status=False,
        )
        self._pool = urllib3.PoolManager(
            retries=again, timeout=self.timeout, maxsize=self.concurrency, block=False, headers=self._headers()
        )

    def get(self, path: str) -> Any:
        """The decoded answer to GET; errors as for :meth:`post`."""
        return self._answer("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The decoded answer to a body.

        Raises:
            ModelUnavailableError: nothing answers, or it is too busy after all tries.
            ModelError: it refuses, or what it answers is no JSON.
        """
        return self._answer("POST", path, orjson.dumps(body))

    def post_all(self, texts: Sequence[str], ask: Callable[[Sequence[str]], Sequence[T]]) -> list[T]:
        """What ``ask`` gives for all texts, in order, in batches of ``batch`` of which some are under way at a time.

        A batch that is too large for the service (413) is halved, down to one text.
        """
        batches = [texts[start : start + self.batch] for start in range(0, len(texts), self.batch)]

        def asked(batch: Sequence[str]) -> Sequence[T]:
            return list(self._halved(batch, ask))

        if len(batches) <= 1 or self.concurrency == 1:  # a query needs no other thread
            return [one for batch in batches for one in asked(batch)]
        with ThreadPoolExecutor(self.concurrency) as pool:
            return [one for found in pool.map(asked, batches) for one in found]

    def refused(self, what: str, remedy: str | None = None) -> ModelError:
        """An error about this service."""
        return ModelError(what, where=f"{self.section}.url {self.url}", remedy=remedy)

    def _halved(self, batch: Sequence[str], ask: Callable[[Sequence[str]], Sequence[T]]) -> Iterator[T]:
        try:
            answers = ask(batch)
        except ModelInputError:
            if len(batch) == 1:
                raise
            half = len(batch) // 2
            yield from self._halved(batch[:half], ask)
            yield from self._halved(batch[half:], ask)
            return
        if len(answers) != len(batch):
            raise self.refused(f"it gave {len(answers):,} answers for {len(batch):,} texts")
        yield from islice(answers, len(batch))

    def _headers(self) -> dict[str, str]:
        kind = {"Content-Type": "application/json", "Accept": "application/json"}
        return kind | ({} if self.key is None else {"Authorization": f"Bearer {self.key}"})

    def _answer(self, method: str, path: str, body: bytes | None) -> Any:
        try:
            answer = self._pool.request(method, self.url + path, body=body, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise ModelUnavailableError(
                f"the service does not answer ({_kind(error)})",
                where=f"{self.section}.url {self.url}",
                remedy=f"Check {self.section}.url, and that the service runs",
            ) from None
        if answer.status != 200:
            raise self._refusal(answer.status, path)
        try:
            return orjson.loads(answer.data)
        except orjson.JSONDecodeError:
            raise self.refused(f"{path} answers no JSON", f"Check {self.section}.url and .service") from None

    def _refusal(self, status: int, path: str) -> ModelError:
        where = f"{self.section}.url {self.url}"
        if status in BUSY:
            remedy = f"Ask less at a time: {self.section}.concurrency"
            return ModelUnavailableError(
                f"the service is busy ({status}) after {TRIES} tries", where=where, remedy=remedy
            )
        if status == 413:
            return ModelInputError(f"{path} takes no more text at a time", where=where, remedy="Give it shorter texts")
        remedies = {
            401: f"Give the key: HYBRID_SEARCH_{self.section.upper()}_API_KEY",
            403: f"Check the key: HYBRID_SEARCH_{self.section.upper()}_API_KEY",
            404: f"Check {self.section}.url and {self.section}.service",
        }
        return ModelError(
            f"{path} answers {status}", where=where, remedy=remedies.get(status, f"Check {self.section}.model")
        )


def _kind(error: Exception) -> str:
    """What went wrong, without the address that urllib3 writes into its messages."""
    reason = getattr(error, "reason", None)
    return type(error if reason is None else reason).__name__


def _key(section: str, settings: ModelSettings) -> str | None:
    """The key: that of the settings, or of the keyring where they say so.

    Raises:
        SettingsError: the keyring has none.
        MissingExtraError: the keyring is not installed.
    """
    if settings.api_key != KEYRING:
        return settings.api_key
    try:
        import keyring
    except ImportError:
        raise MissingExtraError(f"{section}.api_key of the keyring", "keyring") from None
    host = urllib3.util.parse_url(settings.url or "").host or ""
    entry = f"{section}@{host}"
    try:
        found = keyring.get_password(KEYRING_SERVICE, entry)
    except Exception as error:  # any backend of any platform; most have errors of their own
        what = f"the keyring cannot be asked ({type(error).__name__})"
        raise SettingsError(what, where=f"{section}.api_key", remedy="Set the environment variable") from error
    if not found:
        remedy = f"Run: keyring set {KEYRING_SERVICE} {entry}"
        raise SettingsError("the keyring has no key", where=f"{section}.api_key", remedy=remedy)
    return str(found)
