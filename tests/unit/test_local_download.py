"""Only verified artifacts reach the cache, whatever the repository sends."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from hybrid_search.engine.local.download import _session, bring, repository_url
from hybrid_search.engine.local.lock import Artifact
from hybrid_search.errors import LocalNodeError

CONTENT = bytes(range(256)) * 4000


def locked(name: str, content: bytes = CONTENT) -> Artifact:
    return Artifact(
        group="org.example",
        artifact=name,
        version="1.0",
        packaging="jar",
        classifier="",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        folders=("lib",),
    )


@dataclass
class Repository:
    """A Maven repository on the loopback interface: what it serves, and what it was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)


class Server(BaseHTTPRequestHandler):
    """Serves the repository's files, from an offset where the client asks for one."""

    def __init__(self, repository: Repository, *args) -> None:
        self.repository = repository
        super().__init__(*args)

    def do_GET(self):
        path, wanted = self.path.lstrip("/"), self.headers.get("Range")
        self.repository.asked.append((path, wanted))
        content = self.repository.files.get(path)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if content is None:
            self.send_error(404)
            return
        if wanted and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:])

    def log_message(self, *_):
        """Keep the test's output clean."""


@pytest.fixture
def repository(monkeypatch, tmp_path) -> Iterator[Repository]:
    served = Repository()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, served))
    served.url = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setenv("HYBRID_SEARCH_MAVEN_URL", served.url)
    monkeypatch.setenv("M2_REPO", str(tmp_path / "no-m2"))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_artifacts_are_downloaded_once(repository, cache):
    """A second call finds everything in the cache and asks for nothing."""
    artifacts = [locked("a"), locked("b", b"other")]
    repository.files = {artifacts[0].path: CONTENT, artifacts[1].path: b"other"}
    places = bring(artifacts, cache)
    assert places[artifacts[0]].read_bytes() == CONTENT
    assert places[artifacts[1]].read_bytes() == b"other"
    assert len(repository.asked) == 2
    bring(artifacts, cache)
    assert len(repository.asked) == 2


@pytest.mark.parametrize("sent", [CONTENT[:-1] + b"!", CONTENT[:100], CONTENT + b"more"])
def test_a_wrong_file_is_refused_and_thrown_away(repository, cache, sent):
    """Same size and other bytes, too short, too long: none reaches the cache, and the error names the file."""
    artifact = locked("a")
    repository.files = {artifact.path: sent}
    with pytest.raises(LocalNodeError, match=r"SHA-256 or size of a-1\.0\.jar") as caught:
        bring([artifact], cache)
    assert artifact.path in caught.value.where
    assert files_in(cache) == []


def test_a_file_spoilt_in_the_cache_is_downloaded_again(repository, cache):
    """The cache is trusted no more than the network."""
    artifact = locked("a")
    repository.files = {artifact.path: CONTENT}
    place = bring([artifact], cache)[artifact]
    place.write_bytes(CONTENT[::-1])
    assert bring([artifact], cache)[artifact].read_bytes() == CONTENT


def test_an_interrupted_download_goes_on_where_it_stopped(repository, cache):
    """What was received is kept beside the place, and only the rest is asked for."""
    artifact = locked("a")
    part = cache / f"{artifact.path}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:1000])
    repository.files = {artifact.path: CONTENT}
    assert bring([artifact], cache)[artifact].read_bytes() == CONTENT
    assert repository.asked == [(artifact.path, "bytes=1000-")]
    assert files_in(cache) == ["a-1.0.jar"]


def test_a_complete_part_needs_only_its_name(repository, cache):
    """Interrupted after the last byte: the checksum decides, and the repository is not asked."""
    artifact = locked("a")
    part = cache / f"{artifact.path}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    repository.files = {artifact.path: CONTENT}
    assert bring([artifact], cache)[artifact].read_bytes() == CONTENT
    assert repository.asked == []


@pytest.mark.parametrize("size", [10, len(CONTENT) - 1, len(CONTENT), len(CONTENT) + 1, 3 * len(CONTENT)])
def test_a_wrong_partial_file_is_begun_anew(repository, cache, size):
    """Of any length, as a mirror of another day may have left it: one call brings the right file."""
    artifact = locked("a")
    part = cache / f"{artifact.path}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"!" * size)
    repository.files = {artifact.path: CONTENT}
    assert bring([artifact], cache)[artifact].read_bytes() == CONTENT
    assert files_in(cache) == [artifact.filename]


@pytest.mark.parametrize("have", [0, 1000])
def test_no_more_is_received_than_the_locked_size(repository, cache, monkeypatch, have):
    """A server that sends without end fills no disk: one byte too many ends the download."""
    artifact = locked("a", b"x" * 2000)
    part = cache / f"{artifact.path}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * have)
    repository.files = {artifact.path: b"x" * 2000 + b"y" * 50_000_000}
    seen: list[int] = []
    unlink = Path.unlink

    def watched(self, missing_ok=False):
        seen.append(self.stat().st_size)
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", watched)
    with pytest.raises(LocalNodeError, match="SHA-256 or size"):
        bring([artifact], cache)
    assert set(seen) == {2001}
    assert files_in(cache) == []


def test_the_users_own_maven_repository_is_used_when_it_has_the_right_file(repository, cache, monkeypatch, tmp_path):
    """A verified file is copied from there; a wrong one is passed over."""
    right, wrong = locked("right"), locked("wrong")
    for artifact, content in ((right, CONTENT), (wrong, CONTENT[::-1])):
        own = tmp_path / "m2" / artifact.path
        own.parent.mkdir(parents=True)
        own.write_bytes(content)
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    repository.files = {wrong.path: CONTENT}
    places = bring([right, wrong], cache)
    assert [place.read_bytes() == CONTENT for place in places.values()] == [True, True]
    assert repository.asked == [(wrong.path, None)]


def test_a_missing_file_names_its_address_and_the_mirror_variable(repository, cache):
    """A repository that lacks an artifact is the repository's fault: name another."""
    repository.files = {}
    with pytest.raises(LocalNodeError, match="404") as caught:
        bring([locked("absent")], cache)
    assert "HYBRID_SEARCH_MAVEN_URL" in caught.value.remedy


def test_no_network_is_one_clear_line(cache, monkeypatch):
    """A refused connection ends as an error of the package with what to check."""
    from urllib3.util import Retry

    monkeypatch.setattr(Retry, "sleep", lambda *_: None)
    monkeypatch.setenv("HYBRID_SEARCH_MAVEN_URL", "http://127.0.0.1:9")
    with pytest.raises(LocalNodeError, match="The download failed") as caught:
        bring([locked("a")], cache)
    assert "Check the network" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_little_room_is_refused_before_the_download(repository, cache, monkeypatch):
    """The size is known beforehand, so nothing is asked of the network."""
    usage = shutil.disk_usage(cache.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(LocalNodeError, match=r"1 MB are needed .* and 0 MB are free"):
        bring([locked("a")], cache)
    assert repository.asked == []


def test_a_disk_that_fills_meanwhile_is_a_clear_error(repository, cache, monkeypatch):
    """The system's own words, the file, and the remedy."""
    artifact = locked("a")
    repository.files = {artifact.path: CONTENT}

    def full(self, _target):
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(LocalNodeError, match="No space left on device") as caught:
        bring([artifact], cache)
    assert "Free some disk space" in caught.value.remedy


def test_the_public_repository_is_the_default(monkeypatch):
    """No address is written in this package: jgo knows it, and the variable overrides it."""
    from jgo.maven import MavenContext

    monkeypatch.delenv("HYBRID_SEARCH_MAVEN_URL", raising=False)
    assert repository_url() == MavenContext().remote_repos["central"].rstrip("/")
    monkeypatch.setenv("HYBRID_SEARCH_MAVEN_URL", "http://mirror.example/maven/")
    assert repository_url() == "http://mirror.example/maven"


def test_tls_trusts_the_authorities_that_the_environment_names(monkeypatch):
    """Companies replace certificates at the border: OpenSSL's variable counts as well as that of requests."""
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/company.pem")
    assert _session().verify == "/etc/company.pem"
    monkeypatch.delenv("SSL_CERT_FILE")
    assert _session().verify is True
