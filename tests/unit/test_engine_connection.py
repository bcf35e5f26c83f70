"""Which engine answers, which client speaks to it, and where the credentials come from."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from hybrid_search.engine.access import Address, access
from hybrid_search.engine.connection import check_client, dialect_of, has_painless
from hybrid_search.engine.protocols import Answer
from hybrid_search.errors import (
    ClientVersionError,
    MissingExtraError,
    RequestRefusedError,
    SettingsError,
    UnsupportedError,
)
from hybrid_search.settings import EngineSettings

WHERE = "http://search:9200"
SECRET = "battery"  # noqa: S105 - nobody's


def root(number, **more):
    return {"version": {"number": number, **more}}


def test_the_engine_is_told_by_its_root():
    """OpenSearch names its distribution."""
    found = dialect_of(root("3.6.0", distribution="opensearch"), None, WHERE)
    assert (found.engine, found.version) == ("opensearch", (3, 6, 0))
    found = dialect_of(root("9.5.3"), "elasticsearch", WHERE)
    assert (found.engine, found.version) == ("elasticsearch", (9, 5, 3))


@pytest.mark.parametrize(
    ("answer", "kind", "error"),
    [
        (root("2.10.0", distribution="opensearch"), None, UnsupportedError),
        (root("8.10.4"), None, UnsupportedError),
        (root("7.17.0"), None, UnsupportedError),
        (root("9.5.3"), "opensearch", UnsupportedError),
        ({"name": "some service"}, None, RequestRefusedError),
        ("<html/>", None, RequestRefusedError),
        (None, None, RequestRefusedError),
    ],
)
def test_what_cannot_be_spoken_to_is_refused(answer, kind, error):
    """Too old, another engine than was promised, or none."""
    with pytest.raises(error):
        dialect_of(answer, kind, WHERE)


def test_a_client_newer_than_the_server_is_refused_with_the_command():
    """elasticsearch-py 9 and Elasticsearch 8 have no media type in common; 8 and 9 do."""
    with pytest.raises(ClientVersionError, match="pip install 'elasticsearch>=8,<9'"):
        check_client("9.5.1", (8, 19, 3), WHERE)
    check_client("8.19.3", (8, 11, 0), WHERE)
    check_client("8.19.3", (9, 5, 3), WHERE)


def test_scripts_are_assumed_where_nobody_may_look():
    """A user without rights on the cluster's nodes gets 403."""
    node = {"modules": [{"name": "rest-root"}]}
    assert has_painless(Answer(403, None))
    assert not has_painless(Answer(200, {"nodes": {"a": node}}))
    node["modules"].append({"name": "lang-painless"})
    assert has_painless(Answer(200, {"nodes": {"a": node}}))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://search", Address("http", "search", 9200)),
        ("https://search", Address("https", "search", 443)),
        ("https://u:p%40@search:9243/prefix/", Address("https", "search", 9243, "/prefix")),
        ("http://[::1]:9200", Address("http", "::1", 9200)),
    ],
)
def test_addresses(url, expected):
    """Default ports as the vendors' clients have them; no credentials in what is shown."""
    found = access(EngineSettings(), url)
    assert found.addresses == (expected,)
    assert "@" not in found.where


@pytest.mark.parametrize("url", ["search:9200", "ftp://search", "http://", "http://search:port", ""])
def test_what_is_no_address_is_refused(url):
    """With how to write it."""
    with pytest.raises(SettingsError, match="https://host:port"):
        access(EngineSettings(), url)


def test_several_nodes_are_one_list():
    """Separated by commas, each once."""
    found = access(EngineSettings(), "http://a:1, http://b:2,http://a:1/")
    assert found.where == "http://a:1,http://b:2"


def test_a_cloud_id_is_an_address():
    """Host and id of the deployment, in base64 after the name."""
    cloud_id = "my-deployment:ZXhhbXBsZS5vcmckYWJjJGRlZg=="  # example.org$abc$def
    assert access(EngineSettings(cloud_id=cloud_id), "").where == "https://abc.example.org:443"
    with pytest.raises(SettingsError, match="cloud id"):
        access(EngineSettings(cloud_id="nonsense"), "")


def test_a_password_may_be_in_the_keyring(monkeypatch):
    """Under the service hybrid-search and user@host; without an entry, the command that makes one."""
    entries = {("hybrid-search", "searcher@search"): SECRET}
    fake = SimpleNamespace(get_password=lambda service, entry: entries.get((service, entry)))
    monkeypatch.setitem(sys.modules, "keyring", fake)
    found = access(EngineSettings(user="searcher"), "https://search:9200")
    assert found.headers == {"authorization": "Basic c2VhcmNoZXI6YmF0dGVyeQ=="}
    assert SECRET not in repr(found)
    assert "c2VhcmNo" not in repr(found)
    with pytest.raises(SettingsError, match="keyring set hybrid-search other@search"):
        access(EngineSettings(user="other"), "https://search:9200")
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(MissingExtraError, match="keyring"):
        access(EngineSettings(user="searcher"), "https://search:9200")


def test_files_are_looked_for_at_once(tmp_path):
    """Rather than in the first handshake."""
    for name in ("ca_file", "client_cert"):
        with pytest.raises(SettingsError, match=f"engine.{name}"):
            access(EngineSettings(**{name: str(tmp_path / "absent.pem")}), "https://search:9200")


@pytest.mark.parametrize("text", ["ab", "zz" * 32, ":" * 64])
def test_a_fingerprint_is_64_hexadecimal_digits(text):
    """Colons are allowed, other things are not."""
    with pytest.raises(SettingsError, match="SHA-256"):
        access(EngineSettings(ca_fingerprint=text), "https://search:9200")
