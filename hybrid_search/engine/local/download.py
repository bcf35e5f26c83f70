"""Bring the locked artifacts into the cache: in parallel, resumable, and only what has the right SHA-256.

A file is downloaded beside its place under the name ``*.part`` and renamed when its checksum is right, so the cache
never holds a half or wrong file, and an interrupted download goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from hybrid_search.engine.local.lock import Artifact
from hybrid_search.errors import LocalNodeError, MissingExtraError

if TYPE_CHECKING:
    import requests

MIRROR_VARIABLE = "HYBRID_SEARCH_MAVEN_URL"
PARALLEL = 8
CHUNK = 1 << 18
TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and without a byte."""

Advance = Callable[[int], None]
"""Told of every so many bytes that arrived."""


def repository_url() -> str:
    """The Maven repository: ``HYBRID_SEARCH_MAVEN_URL`` (a mirror), else the public one that jgo knows."""
    try:
        from jgo.maven import MavenContext
    except ModuleNotFoundError as error:
        raise MissingExtraError("The local node", "local") from error
    url = os.environ.get(MIRROR_VARIABLE) or MavenContext().remote_repos["central"]
    return url.rstrip("/")


def bring(artifacts: Sequence[Artifact], cache: Path) -> dict[Artifact, Path]:
    """The path of every artifact in ``cache``, verified; what is missing is downloaded with a progress bar.

    Raises:
        LocalNodeError: no network, a wrong checksum, or no room on the disk.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        missing = [artifact for artifact in artifacts if not _cached(artifact, cache)]
        if missing:
            _check_room(cache, sum(artifact.size for artifact in missing))
            _download_all(missing, cache)
    except OSError as error:
        raise LocalNodeError(
            f"The downloads cannot be kept: {error.strerror}",
            where=str(error.filename or cache),
            remedy="Free some disk space, or set XDG_CACHE_HOME to a folder that can be written",
        ) from error
    return {artifact: cache / artifact.path for artifact in artifacts}


def is_verified(path: Path, artifact: Artifact) -> bool:
    """Whether the file is there and is exactly the locked one."""
    if not path.is_file() or path.stat().st_size != artifact.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == artifact.sha256


def _cached(artifact: Artifact, cache: Path) -> bool:
    """Whether the cache has the artifact, after taking it from the user's own Maven repository where that has it."""
    place = cache / artifact.path
    if is_verified(place, artifact):
        return True
    own = Path(os.environ.get("M2_REPO", Path.home() / ".m2" / "repository")) / artifact.path
    if not is_verified(own, artifact):
        return False
    place.parent.mkdir(parents=True, exist_ok=True)
    part = _part(place)
    shutil.copyfile(own, part)
    part.replace(place)
    return True


def _part(place: Path) -> Path:
    return place.with_name(f"{place.name}.part")


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LocalNodeError(
            f"{needed / 1e6:.0f} MB are needed to download OpenSearch and {free / 1e6:.0f} MB are free",
            where=str(folder),
            remedy="Free some disk space, or set XDG_CACHE_HOME to a folder on another disk",
        )


def _download_all(artifacts: Iterable[Artifact], cache: Path) -> None:
    """Download side by side, largest first; the first failure stops the others and is raised."""
    ordered = sorted(artifacts, key=lambda artifact: -artifact.size)
    total = sum(artifact.size for artifact in ordered)
    url = repository_url()
    with _progress(total) as advance, _session() as session, ThreadPoolExecutor(PARALLEL) as pool:
        transfer = _Transfer(session, url, cache, advance)
        jobs = [pool.submit(transfer.bring, artifact) for artifact in ordered]
        try:
            wait(jobs, return_when=FIRST_EXCEPTION)
        finally:
            transfer.stop.set()
            pool.shutdown(cancel_futures=True)
    for job in jobs:
        if not job.cancelled():
            job.result()


@contextmanager
def _progress(total: int) -> Iterator[Advance]:
    """A bar of the bytes that arrived, on stderr."""
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    from hybrid_search.printed.console import literal, progress_on_stderr

    columns = (
        literal("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with progress_on_stderr(*columns) as progress:
        task = progress.add_task("Downloading OpenSearch", total=total)
        yield partial(progress.advance, task)


def _session() -> requests.Session:
    """A session that waits and tries again where the repository is busy; TLS trusts what the environment names."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    session = requests.Session()
    session.verify = os.environ.get("SSL_CERT_FILE") or True  # requests looks for REQUESTS_CA_BUNDLE itself
    retry = Retry(total=4, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False)
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=PARALLEL))
    return session


@dataclass(frozen=True, slots=True)
class _Transfer:
    """Downloads artifacts one by one; used by several threads at once."""

    session: requests.Session
    url: str
    cache: Path
    advance: Advance
    stop: Event = field(default_factory=Event)

    def bring(self, artifact: Artifact) -> None:
        """Download one artifact, verify it and put it in its place; a part that turns out wrong is begun anew once."""
        import requests

        address, place = f"{self.url}/{artifact.path}", self.cache / artifact.path
        part = _part(place)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            have = _resumable(part, artifact)
            if have < artifact.size:
                self._receive(address, part, have, artifact)
            else:
                self.advance(have)
            if have and not self.stop.is_set() and not is_verified(part, artifact):
                part.unlink()
                self.advance(-artifact.size)
                self._receive(address, part, 0, artifact)
        except requests.RequestException as error:
            raise LocalNodeError(
                f"The download failed: {error}",
                where=address,
                remedy=f"Check the network and proxy, or name a mirror of Maven Central in {MIRROR_VARIABLE}",
            ) from error
        if not self.stop.is_set():
            _accept(address, artifact, place)

    def _receive(self, address: str, part: Path, have: int, artifact: Artifact) -> None:
        """Append what is missing to the partial file, of which ``have`` bytes are there, and at most one byte more."""
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with self.session.get(address, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416:  # it has no more: the checksum decides
                self.advance(artifact.size)
                return
            response.raise_for_status()
            resumed = response.status_code == 206
            left = artifact.size - (have if resumed else 0)
            self.advance(artifact.size - left)
            with part.open("ab" if resumed else "wb") as file:
                for chunk in response.iter_content(CHUNK):
                    if self.stop.is_set() or left < 0:
                        return
                    file.write(chunk[: left + 1])  # one too many, so that the size is wrong
                    self.advance(min(len(chunk), left))
                    left -= len(chunk)


def _resumable(part: Path, artifact: Artifact) -> int:
    """Bytes of a partial file that can be gone on with; one that can never become right is removed."""
    if not part.is_file():
        return 0
    size = part.stat().st_size
    if size < artifact.size or is_verified(part, artifact):
        return size
    part.unlink()
    return 0


def _accept(address: str, artifact: Artifact, place: Path) -> None:
    """Move a partial file that is right into its place; remove one that is not."""
    part = _part(place)
    if is_verified(part, artifact):
        part.replace(place)
        return
    part.unlink()
    raise LocalNodeError(
        f"The SHA-256 or size of {artifact.filename} is not the locked one, and the file was thrown away",
        where=address,
        remedy=f"Try again; if it stays so, the repository is not to be trusted: name another in {MIRROR_VARIABLE}",
    )
