"""The images with their security on: a private authority, logins and keys, and what a wrong one leads to."""

from __future__ import annotations

import logging
import traceback
from base64 import b64encode

import pytest
import trustme
from clusters import PASSWORD, connection_to
from generated import filled, hits, passages

from hybrid_search.engine import connect_async, indices
from hybrid_search.engine.connection import ROOT
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import AuthenticationError, EngineUnreachableError
from hybrid_search.search import legs

WRONG = PASSWORD + "-not"


async def test_the_whole_way_works_over_tls_with_a_login(secured):
    """An index is made, filled, searched and deleted; the asynchronous client reads it as well."""
    with connection_to(secured) as connection:
        batch = passages(50)
        name = filled(connection, "test-secured", batch)
        found = hits(connection, name, legs.sparse(batch[7].sparse))
        assert "doc-7#0" in {passage for passage, _ in found}
        async with await connect_async(secured.settings()) as other:
            assert (await other.send(Request("GET", f"/{name}/_count")))["count"] == 50
        indices.delete_index(connection, name)


def test_another_authority_is_refused(secured, tmp_path):
    """One that did not sign the server's certificate; nor do the system's authorities."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    for authority in (str(other), None):
        with pytest.raises(EngineUnreachableError, match="TLS failed"):
            connection_to(secured, ca_file=authority)


@pytest.mark.parametrize("login", [{"password": WRONG}, {"user": None, "password": None}], ids=["wrong", "none"])
def test_a_wrong_login_is_refused_without_showing_it(secured, login, caplog):
    """Our own error; the password is in no text of it, nor in a log of any level."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(AuthenticationError) as caught:
        connection_to(secured, **login)
    shown = "\n".join([*traceback.format_exception(caught.value), repr(secured.settings(**login)), caplog.text])
    user = secured.login["user"]
    encoded = [b64encode(f"{user}:{password}".encode()).decode() for password in (WRONG, PASSWORD)]
    assert not [secret for secret in (WRONG, PASSWORD, *encoded) if secret in shown]


def test_an_api_key_opens_the_door(secured):
    """As Elasticsearch makes it, encoded or in two parts; a changed one does not."""
    with connection_to(secured) as connection:
        if connection.dialect.engine == "opensearch":
            pytest.skip("API keys are Elasticsearch's")
        made = connection.send(Request.json("POST", "/_security/api_key", {"name": "test"}))
    plain, encoded = f"{made['id']}:{made['api_key']}", made["encoded"]
    for key in (plain, encoded):
        with connection_to(secured, user=None, password=None, api_key=key) as connection:
            assert "version" in connection.send(ROOT)
    with pytest.raises(AuthenticationError) as caught:
        connection_to(secured, user=None, password=None, api_key=f"{made['id']}:{WRONG}")
    assert WRONG not in "".join(traceback.format_exception(caught.value))
