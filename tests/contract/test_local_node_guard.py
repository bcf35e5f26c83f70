"""What a local node refuses, on a real one: web pages, vectors that would end it, and other accounts of the machine."""

from __future__ import annotations

import http.client
import json
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from hybrid_search.engine import Connection, connect
from hybrid_search.engine.local import LocalNode, ephemeral
from hybrid_search.engine.local.folders import is_root
from hybrid_search.engine.protocols import Request
from hybrid_search.settings import EngineSettings

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
VECTOR: dict[str, Any] = {"type": "knn_vector", "dimension": 4}
LUCENE = VECTOR | {"method": {"name": "hnsw", "engine": "lucene"}}
FAISS = VECTOR | {"method": {"name": "hnsw", "engine": "faiss"}}
KNN = {"index.knn": True}


@pytest.fixture(scope="module")
def node() -> Iterator[LocalNode]:
    """One node for all tests of this module."""
    with ephemeral(heap="512m") as made:
        yield made


@pytest.fixture
def connection(node) -> Iterator[Connection]:
    with connect(EngineSettings(url=node.url)) as opened:
        yield opened


@pytest.fixture
def ask(node) -> Callable[..., tuple[int, str]]:
    """Status and text of the answer to a request with exactly these headers, as a browser sends it."""

    def asked(method: str, path: str, headers: dict[str, str], body: str = "") -> tuple[int, str]:
        opened = http.client.HTTPConnection("127.0.0.1", node.members[0].port)
        try:
            opened.putrequest(method, path, skip_host="Host" in headers)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                opened.putheader(name, value)
            opened.endheaders(body.encode())
            answer = opened.getresponse()
            return answer.status, answer.read().decode()
        finally:
            opened.close()

    return asked


@pytest.fixture
def kept(connection) -> Iterator[str]:
    """An index with one document."""
    connection.send(Request.json("PUT", "/kept/_doc/1", {"n": 1}, refresh="true"))
    yield "kept"
    assert count(connection, "kept") == 1
    connection.send(Request.json("DELETE", "/kept"))


def count(connection: Connection, index: str) -> int:
    return int(connection.send(Request.json("GET", f"/{index}/_count"))["count"])


def create(connection: Connection, index: str, field: dict[str, Any], **settings: Any) -> tuple[int, str]:
    """Status of a new index with one field, and the answer's text."""
    body = {"settings": KNN | settings, "mappings": {"properties": {"v": field}}}
    answer = connection.transport.send(Request.json("PUT", f"/{index}", body))
    return answer.status, json.dumps(answer.body)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000", "https://127.0.0.1:9200"])
@pytest.mark.parametrize(
    "path", ["/*/_delete_by_query?q=*:*", "/kept/_close", "/_all/_close", "/kept/_search?q=*", "/_bulk"]
)
def test_a_form_of_a_web_page_is_refused(ask, origin, path):
    """A cross-site post needs no leave of the browser's: the node obeyed it, whatever page it came from."""
    assert ask("POST", path, FORM | {"Origin": origin})[0] == 403


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("host", ["evil.example", "0.0.0.0:9200", "localhost.evil.example", "127.0.0.1.evil.example"])
@pytest.mark.parametrize("origin", [{}, {"Origin": "http://evil.example"}], ids=["get", "fetch"])
def test_a_name_that_was_pointed_at_this_machine_is_refused(ask, host, origin):
    """After DNS rebinding the browser takes the node for the page's own server: only the name tells them apart."""
    for path in ("/", "/kept/_search?q=*", "/_cat/indices"):
        code, text = ask("GET", path, {"Host": host} | origin)
        assert code == 403
        assert '"n"' not in text
    code, text = ask("GET", "/kept/_search?q=*", {"Host": host})
    assert "this node answers requests to localhost, 127.0.0.1 and [::1] only" in text


@pytest.mark.usefixtures("kept")
def test_a_script_of_another_site_without_an_origin_is_refused(ask):
    """An image of a page is a GET without Origin, and the browser says whose it is; a person may follow a link."""
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert ask("GET", "/_refresh", foreign | {"Sec-Fetch-Mode": "no-cors"})[0] == 403
    assert ask("GET", "/", foreign | {"Sec-Fetch-Mode": "navigate"})[0] == 200
    assert ask("POST", "/kept/_close", foreign | {"Sec-Fetch-Mode": "navigate"})[0] == 403


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("path", ["/_all", "/*", "/ke*", "/kept,*"])
def test_nothing_is_deleted_by_a_pattern(ask, path):
    """A slip of the hand, or a tool that tidies up, must name what it deletes."""
    code, text = ask("DELETE", path, {})
    assert code == 400
    assert "Wildcard expressions or all indices are not allowed" in text


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:{port}", "127.0.0.1:{port}", "[::1]:{port}", "localhost:8888"]
)
def test_programs_of_this_machine_are_answered(ask, node, host):
    """By every name of it, through a forwarded port as well."""
    code, text = ask("GET", "/kept/_search?q=*", {"Host": host.format(port=node.members[0].port)})
    assert code == 200
    assert '"n"' in text


@pytest.mark.parametrize(
    "field",
    [VECTOR, FAISS, {"type": "knn_vector", "dimension": 8, "mode": "on_disk"}, VECTOR | {"data_type": "byte"}],
    ids=["default", "faiss", "on_disk", "bytes"],
)
def test_an_index_that_would_end_the_node_is_refused(connection, node, field):
    """The sentence says what to name instead; nothing that is then sent to that index ends the server."""
    code, text = create(connection, "native", field)
    assert code == 400
    assert "[v]: this node has no native library for the k-NN engine faiss" in text
    assert '"engine\\\\\\": \\\\\\"lucene' in json.dumps(text)
    connection.transport.send(Request.json("POST", "/_flush", force="true"))
    assert node.state == "running"


@pytest.mark.parametrize("mode", [{}, {"mode": "on_disk"}], ids=["in memory", "on disk"])
def test_vectors_of_one_bit_are_refused(connection, node, mode):
    """Lucene's need native code as well, at the first search; those of 4x do not."""
    code, text = create(connection, "bits", LUCENE | mode | {"compression_level": "32x"})
    assert code == 400
    assert "[v]: this node has no native library for vectors of one bit" in text
    assert create(connection, "bits", LUCENE | {"mode": "on_disk", "compression_level": "4x"})[0] == 200
    connection.transport.send(Request.json("DELETE", "/bits"))
    assert node.state == "running"


def test_every_way_to_a_native_mapping_is_refused(connection, node):
    """A field that is added, a template, a template for new fields, a trained model."""
    assert create(connection, "ways", LUCENE)[0] == 200
    added = {"properties": {"o": {"properties": {"w": VECTOR}}}}
    template = {"index_patterns": ["ways-*"], "template": {"settings": KNN, "mappings": {"properties": {"v": VECTOR}}}}
    training = {"training_index": "ways", "training_field": "v", "dimension": 4, "method": FAISS["method"]}
    refused = [
        Request.json("PUT", "/ways/_mapping", added),
        Request.json("PUT", "/_index_template/ways", template),
        Request.json("POST", "/_plugins/_knn/models/m/_train", training),
    ]
    for request in refused:
        answer = connection.transport.send(request)
        assert answer.status in {400, 403}
        assert "no native library" in json.dumps(answer.body)
    template["template"]["mappings"] = {"dynamic_templates": [{"v": {"match": "v", "mapping": VECTOR}}]}
    connection.send(Request.json("PUT", "/_index_template/ways", template))
    answer = connection.transport.send(Request.json("PUT", "/ways-1/_doc/1", {"v": [1, 2, 3, 4]}, refresh="true"))
    assert (answer.status, "no native library" in json.dumps(answer.body)) == (400, True)
    connection.transport.send(Request.json("POST", "/_flush", force="true"))
    assert node.state == "running"


@pytest.mark.parametrize(("field", "is_knn"), [(LUCENE, True), (VECTOR, False)], ids=["lucene", "without a graph"])
def test_vectors_that_need_no_library_are_taken(connection, node, field, is_knn):
    """Lucene's graph, and vectors that are only scored: documents are flushed, and the mapping is as it was sent."""
    assert create(connection, "fine", field, **{"index.knn": is_knn})[0] == 200
    connection.send(Request.json("PUT", "/fine/_doc/1", {"v": [1, 2, 3, 4]}, refresh="true"))
    connection.send(Request.json("POST", "/fine/_flush", force="true"))
    assert list(connection.send(Request.json("GET", "/fine/_mapping"))["fine"]["mappings"]) == ["properties"]
    connection.send(Request.json("DELETE", "/fine"))
    assert node.state == "running"


def test_what_the_server_holds_is_its_own_accounts(node, kept, connection):
    """Data, logs and configuration: 0700 and 0600, and root's server is neither root nor `nobody`."""
    connection.send(Request.json("POST", f"/{kept}/_flush", force="true"))
    held = [
        place
        for folder in (node.data, node.log.parent, node.members[0].config)
        for place in [folder, *folder.rglob("*")]
    ]
    assert len(held) > 20
    assert {stat.S_IMODE(place.lstat().st_mode) for place in held if place.exists()} <= {0o700, 0o600}
    user = psutil.Process(node.pid).uids().effective
    assert {place.lstat().st_uid for place in held if place.exists()} == {user}
    assert (user != os.getuid()) == is_root()
    if is_root():
        import pwd

        assert user not in {entry.pw_uid for entry in pwd.getpwall()}
        assert stat.S_IMODE(node.data.parent.stat().st_mode) == 0o710
