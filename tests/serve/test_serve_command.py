"""``hybrid-search serve`` as a program: it starts, says where, answers, and ends in order."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest


@contextmanager
def running(opensearch_url, index, folder, *arguments, **variables):
    """The command; its first two lines have been read when the block begins."""
    command = [sys.executable, "-m", "hybrid_search", "serve", index, "--legs", "bm25", "--port", "0"]
    environment = {**os.environ, "HYBRID_SEARCH_URL": opensearch_url, **variables}
    with subprocess.Popen(
        [*command, *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as command_running:
        try:
            said = command_running.stdout.readline()
            command_running.stdout.readline()
            yield command_running, said
        finally:
            command_running.kill()


def ask(port: str, path: str, body: dict | None = None, headers: dict | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
    sent = None if body is None else json.dumps(body)
    connection.request(
        "GET" if body is None else "POST", path, sent, {"Content-Type": "application/json", **(headers or {})}
    )
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_it_starts_answers_and_ends(opensearch_url, small_index, tmp_path) -> None:
    """Without a token on loopback; SIGTERM ends it with 0, an answer that has begun is finished, nothing is logged."""
    with running(opensearch_url, small_index, tmp_path) as (command, said):
        port = re.fullmatch(rf"The workbench of {small_index} is at http://127\.0\.0\.1:(\d+)/\n", said)[1]
        status, answer = ask(port, "/search", {"query": "unmistakable tea"})
        assert status == 200
        assert json.loads(answer)["legs"].keys() == {"bm25"}
        assert '"index": "' + small_index in ask(port, "/")[1]
        found: list[tuple[int, str]] = []
        late = threading.Thread(target=lambda: found.append(ask(port, "/runs", {"query": "tea"})))
        late.start()
        late.join(0.02)
        command.send_signal(signal.SIGTERM)
        rest, errors = command.communicate(timeout=60)
        late.join(60)
    assert (command.returncode, errors) == (0, "")
    assert "unmistakable" not in rest
    assert [status for status, _ in found] in ([200], [])  # begun and finished, or not accepted any more


def test_only_the_legs_that_are_named_are_there(opensearch_url, small_index, tmp_path) -> None:
    """Those of the page and of a search alike; of what is left out the page has no slider."""
    with running(opensearch_url, small_index, tmp_path) as (_, said):
        page = ask(re.search(r":(\d+)/", said)[1], "/")[1]
    about = json.loads(re.search(r'id="about">(.*?)</script>', page)[1])
    assert about["legs"] == ["bm25"]
    assert about["fusion"] == {"method": "min-max", "weights": {"bm25": 1.0}, "rank_constant": 60}


def test_another_address_needs_the_token_that_is_printed(opensearch_url, small_index, tmp_path) -> None:
    """Once, in the address to open; Ctrl-C ends it with 0."""
    with running(opensearch_url, small_index, tmp_path, "--host", "0.0.0.0") as (command, said):  # noqa: S104
        port, token = re.search(r":(\d+)/\?token=([\w-]{40,})\n", said).groups()
        assert ask(port, "/search?query=tea")[0] == 401
        assert ask(port, "/search?query=tea", headers={"Authorization": f"Bearer {token}"})[0] == 200
        command.send_signal(signal.SIGINT)
        rest, errors = command.communicate(timeout=60)
    assert (command.returncode, errors) == (0, "")
    assert token not in rest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--queries", "q.tsv"], "--queries and --qrels go together"),
        (["--judge", "."], "holds a data set"),
        (["--host", "no.such.host.invalid"], "cannot listen"),
    ],
    ids=["half-judged", "data-set", "host"],
)
def test_wrong_options_are_said_before_anything_is_asked(tmp_path, arguments, said) -> None:
    """With the exit status of wrong input."""
    (tmp_path / "corpus.jsonl").write_text("{}\n", encoding="utf-8")
    command = [sys.executable, "-m", "hybrid_search", "serve", "docs", "--url", "http://127.0.0.1:1", *arguments]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr


def test_an_index_that_is_not_there_ends_it(opensearch_url, tmp_path) -> None:
    """As it ends every command; nothing listens then."""
    command = [
        sys.executable,
        "-m",
        "hybrid_search",
        "serve",
        "no-such-index",
        "--legs",
        "bm25",
        "--url",
        opensearch_url,
    ]
    ended = subprocess.run([*command, "--port", "0"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "no-such-index" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
