"""Credentials are taken, and given away nowhere: in addresses, in settings, by flags, in what an engine repeats."""

from __future__ import annotations

import io
import logging
import sys
import traceback
from base64 import b64encode
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console
from strange_server import ROOTS, engine, http, strange_server
from typer.testing import CliRunner

from hybrid_search import addresses
from hybrid_search.cli.app import app
from hybrid_search.engine import connect, connect_async
from hybrid_search.engine.access import access
from hybrid_search.engine.protocols import Answer, Request
from hybrid_search.engine.secrets import Secrets
from hybrid_search.errors import EngineError, HybridSearchError, SettingsError
from hybrid_search.read.settings_file import load_settings, to_toml
from hybrid_search.settings import EngineSettings, Settings

MARK = "Zq7Xw"
"""Part of every password here, and of nothing else."""

PASSWORDS = st.builds(lambda before, after: f"{before}{MARK}{after}", st.text(max_size=8), st.text(max_size=8))
WRITTEN = [
    "https://bob:{}@host:9200",
    "bob:{}@host:9200",
    "https:/bob:{}@host:9200",
    "https:bob:{}@host",
    "ftp://bob:{}@host",
    "https://a:9200,bob:{}@b:9200",
    "https://a:9200,https://bob:{}@b:9200",
    "https://bob:{}@a:9200,b:9200",
    "https://bob:{}@a:9200,https://bob:other@b:9200",
    "https://[::1:{}@h",
    "https://bob:{}@host:port",
    " https://bob:{}@",
]


def printed(error):
    """All that is ever printed of an error."""
    return "\n".join([str(error), repr(error), *traceback.format_exception(error)])


def shown_by(url):
    """All that is printed of a URL: of its error, or of the settings that hold it and what is made of them."""
    console = Console(file=io.StringIO(), width=1000)
    try:
        settings = Settings(engine=EngineSettings(url=url))
        reached = access(settings.engine, url)
    except HybridSearchError as error:
        return printed(error)
    console.print(settings)
    seen = [repr(settings), str(settings), console.file.getvalue(), to_toml(settings), repr(reached), reached.where]
    return "\n".join([*seen, addresses.masked(url), addresses.without_credentials(url)])


@given(password=PASSWORDS, written=st.sampled_from(WRITTEN), encoded=st.booleans())
@example(password=f"{MARK}/a", written=WRITTEN[0], encoded=False)
@example(password=f"a@{MARK}", written=WRITTEN[0], encoded=False)
@example(password=f"1,http://{MARK}", written=WRITTEN[0], encoded=False)
@example(password=f"1,http://{MARK},http://x", written=WRITTEN[0], encoded=False)
@example(password=f"1/{MARK}", written=WRITTEN[1], encoded=False)
@example(password=f"1?{MARK}#", written=WRITTEN[0], encoded=False)
@example(password=f"\t{MARK}\n", written=WRITTEN[0], encoded=False)
def test_a_password_of_any_characters_is_shown_nowhere(password, written, encoded):
    """However the address is written: an error, repr, rich, TOML and the place in messages hold none of it."""
    url = written.format(quote(password, safe="") if encoded else password)
    assert MARK not in shown_by(url)


@given(password=PASSWORDS)
def test_a_percent_encoded_password_is_sent_as_it_is(password):
    """``user:password`` in base64, whatever the characters."""
    found = access(EngineSettings(), f"https://bob:{quote(password, safe='')}@host:9200")
    expected = b64encode(f"bob:{password}".encode()).decode()
    assert found.headers == {"authorization": f"Basic {expected}"}
    assert found.where == "https://host:9200"


def test_the_password_of_an_address_is_sent_for_its_own_user_only():
    """With another user in the settings it stays here, and theirs is asked for."""
    url = f"https://bob:{MARK}@host:9200"
    assert access(EngineSettings(user="bob"), url).headers == access(EngineSettings(), url).headers
    with pytest.raises(HybridSearchError, match="alice"):
        access(EngineSettings(user="alice"), url)


@pytest.mark.parametrize("key", ["user", "password", "api_key", "bearer"])
@pytest.mark.parametrize("character", ["\n", "\r\n", "\x00", "\x1b", "\x7f", "\x85", "\ud800"], ids=ascii)
def test_a_control_character_in_a_secret_is_refused_by_the_keys_name(key, character):
    """A header cannot hold it, and the HTTP libraries print what they refuse."""
    login = {"user": "bob"} if key == "password" else {}
    with pytest.raises(SettingsError, match=rf"engine\.{key}: holds a line break") as caught:
        EngineSettings(**{**login, key: f"a{MARK}{character}"})
    assert MARK not in printed(caught.value)


@pytest.mark.parametrize("values", [{"bearer": "a b"}, {"bearer": "ü"}, {"api_key": "ü"}, {"user": "a:b"}], ids=str)
def test_what_no_header_may_hold_is_refused_by_the_keys_name(values):
    """A space or a letter beyond ASCII in a token; a colon in a user's name."""
    with pytest.raises(SettingsError, match=rf"engine\.{next(iter(values))}: holds"):
        EngineSettings(**values)
    EngineSettings(api_key="id:ü", user=None)


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=ascii)
def test_the_line_break_that_ends_a_secret_file_is_dropped(end):
    """A secret store that makes a variable of a file keeps it; one in the middle stays an error."""
    environ = {"HYBRID_SEARCH_ENGINE_USER": f"bob{end}", "HYBRID_SEARCH_ENGINE_PASSWORD": f"{MARK}{end}"}
    found = load_settings(None, {}, environ).engine
    assert (found.user, found.password) == ("bob", MARK)
    assert load_settings(None, {}, {"HYBRID_SEARCH_URL": f"http://a{end}"}).engine.url == "http://a"
    with pytest.raises(SettingsError, match=r"HYBRID_SEARCH_ENGINE_BEARER: engine\.bearer: holds a line break"):
        load_settings(None, {}, {"HYBRID_SEARCH_ENGINE_BEARER": f"{MARK}{end}x"})


@pytest.mark.parametrize(
    "override", [f"engine.password {MARK}", f"engine.password:{MARK}", f"engine.url https://b:{MARK}@h", MARK]
)
def test_a_malformed_override_is_not_repeated(override):
    """Only the key that it begins with."""
    result = CliRunner().invoke(app, ["search", "docs", "tea", "--set", override])
    assert result.exit_code == 2
    assert "is not KEY=VALUE" in result.output
    assert MARK not in result.output


@pytest.mark.parametrize(
    ("options", "variable"),
    [
        (["--url", f"http://bob:{MARK}@127.0.0.1:1"], "HYBRID_SEARCH_URL"),
        (["--url", "http://127.0.0.1:1", "--set", f"engine.bearer={MARK}"], "HYBRID_SEARCH_ENGINE_BEARER"),
    ],
    ids=["url", "set"],
)
def test_a_secret_among_the_arguments_is_taken_with_a_word_of_advice(options, variable):
    """Every user of the machine can read it there; the environment variable is named."""
    result = CliRunner().invoke(app, ["search", "docs", "tea", *options])
    assert f"process list for all users of this machine: set {variable} instead" in result.output
    assert "nothing answers" in result.output
    assert MARK not in result.output


def test_a_secret_of_a_wrong_type_is_not_repeated(tmp_path):
    """A list as url, a number as password: the key and the kind."""
    path = tmp_path / "settings.toml"
    for line in (f'url = ["https://b:{MARK}@h"]', f'user = "b"\npassword = ["{MARK}"]'):
        path.write_text(f"[engine]\n{line}\n")
        with pytest.raises(SettingsError, match="expected a string, got a list") as caught:
            load_settings(path, {}, {})
        assert MARK not in printed(caught.value)


def test_a_keyring_without_a_backend_is_a_sentence(monkeypatch):
    """As in every container: what failed, and the variable that needs no keyring."""

    def failing(*_):
        raise RuntimeError("No recommended backend was available")

    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(get_password=failing))
    with pytest.raises(SettingsError, match=r"no password for user 'bob'.*HYBRID_SEARCH_ENGINE_PASSWORD"):
        access(EngineSettings(user="bob"), "https://search:9200")


@pytest.mark.parametrize(
    "login",
    [{"bearer": "t"}, {"user": "u", "password": "p"}, {"api_key": "k"}, {"aws_region": "r"}],
    ids=lambda login: next(iter(login)),
)
@pytest.mark.parametrize("url", ["https://a,http://b", "http://b,https://a"])
def test_credentials_do_not_go_in_the_clear_to_one_node_of_several(login, url):
    """The plain member of a list is named; without credentials the list is taken."""
    with pytest.raises(SettingsError, match="http://b:9200 would get the credentials without TLS"):
        access(EngineSettings(**login), url)
    assert len(access(EngineSettings(), url).addresses) == 2
    with pytest.raises(SettingsError, match="without TLS"):
        access(EngineSettings(), url.replace("//", "//u:p@"))


@given(password=PASSWORDS.filter(lambda text: text.isprintable()))
def test_our_credentials_are_removed_from_what_an_engine_says(password):
    """The header, its base64, the password plain, percent-encoded, in JSON, in HTML; documents stay as they are."""
    found = access(EngineSettings(user="bob", password=password), "https://host")
    said = f"Authorization: {found.headers['authorization']}; {password} {quote(password, safe='')} bob:{password}"
    body = {
        "error": {"reason": said, "root_cause": [{"reason": said}]},
        "items": [{"index": {"_id": password, "error": {"reason": said}}}, {"index": {"_id": password}}],
        "responses": [{"hits": {"hits": [{"_source": {"text": password}}]}, "took": 1}, {"error": said, "status": 400}],
        "_shards": {"failures": [{"reason": {"reason": said}}]},
    }
    clean = found.secrets.removed_from_answer(Answer(200, body)).body
    assert clean["items"][1] == {"index": {"_id": password}}
    assert clean["responses"][0] == body["responses"][0]
    told = [clean["error"], clean["items"][0]["index"]["error"], clean["responses"][1], clean["_shards"]]
    refused = found.secrets.removed_from_answer(Answer(400, {"message": [said]}, {"location": said}))
    text = found.secrets.removed_from_answer(Answer(200, said)).body
    for shown in (repr(told), repr(refused), text):
        assert MARK not in shown
        assert found.headers["authorization"].split()[1] not in shown


def test_without_credentials_an_answer_is_the_same_object():
    """Nothing is looked for where nothing is secret."""
    answer = Answer(400, {"error": "x"})
    assert Secrets.of("", "").removed_from_answer(answer) is answer


@pytest.mark.parametrize("kind", ROOTS)
@pytest.mark.parametrize(
    "login",
    [{"user": "bob", "password": f"{MARK}/@ü"}, {"api_key": f"id:{MARK}"}, {"bearer": MARK}],
    ids=lambda login: next(iter(login)),
)
async def test_a_proxy_that_echoes_the_request_gets_nothing_printed(kind, login, caplog):
    """Over both clients: the error, its traceback and its causes, and logs of any level."""

    def echo(request):
        return http(request.encode(), "400 Bad Request", content_type="text/plain")

    headers = access(EngineSettings(**login), "http://a").headers["authorization"].split()[1]
    caplog.set_level(logging.DEBUG)
    with strange_server(engine(kind, echo)) as server:
        settings = EngineSettings(url=server.url, **login)
        with connect(settings) as opened, pytest.raises(EngineError, match=r"authorization: \*\*\*") as caught:
            opened.send(Request("GET", "/docs"))
        shown = printed(caught.value)
        async with await connect_async(settings) as opened:
            with pytest.raises(EngineError, match=r"(?i)authorization: \*\*\*") as caught:
                await opened.send(Request("GET", "/docs"))
        assert any(headers in request for request in server.seen)
    for text in (shown, printed(caught.value), caplog.text):
        assert MARK not in text
        assert headers not in text


@pytest.mark.parametrize("kind", ROOTS)
async def test_a_warning_of_an_engine_is_visible_and_tells_no_secret(kind):
    """Both vendors' clients print them: no control sequences, not our header."""

    def warn(_):
        return http({"count": 1}, warning=f'299 {kind} "\x1b]0;title\x07 {MARK} is deprecated"')

    with strange_server(engine(kind, warn)) as server:
        settings = EngineSettings(url=server.url, bearer=MARK)
        with connect(settings) as opened, pytest.warns(Warning, match="is deprecated") as caught:
            opened.send(Request("GET", "/docs/_count"))
        seen = [str(warning.message) for warning in caught]
        async with await connect_async(settings) as opened:
            with pytest.warns(Warning, match="is deprecated") as caught:
                await opened.send(Request("GET", "/docs/_count"))
        seen += [str(warning.message) for warning in caught]
    assert len(seen) == 2
    assert all("***" in text and MARK not in text and text.isprintable() for text in seen)
