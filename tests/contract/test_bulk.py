"""The bulk dialect on every engine: what is taken, what is refused and how, item by item."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import orjson
import pytest
from generated import DIMENSION, SCHEMA, filled, hits, passages, write

from hybrid_search.engine import indices, layout
from hybrid_search.engine.answers import Verdict
from hybrid_search.engine.bulk import bulk_request, delete_action, index_action, outcomes
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import ReadOnlyError
from hybrid_search.records import Document, EncodedPassage, Passage, Provenance


def raw(name, passage_id, **source):
    """An action as it would be without the checks of ``index_action``."""
    return orjson.dumps({"index": {"_index": name, "_id": passage_id}}) + b"\n" + orjson.dumps(source) + b"\n"


def sent(connection, lines):
    return list(outcomes(connection.send(bulk_request(lines))))


@pytest.mark.parametrize(
    "source",
    [
        pytest.param({"dense": [0.0] * DIMENSION}, id="zero vector"),
        pytest.param({"dense": [1.0] * (DIMENSION + 1)}, id="wrong dimension"),
        pytest.param({"sparse": {"7": 0}}, id="zero weight"),
        pytest.param({"sparse": {"7": -1.5}}, id="negative weight"),
        pytest.param({"sparse": {"7": [1, 2]}}, id="array of weights"),
        pytest.param({"filter": {"price": "cheap"}}, id="no number"),
        pytest.param({"filter": {"published": "yesterday"}}, id="no date"),
        pytest.param({"unknown": 1}, id="unknown field"),
    ],
)
def test_what_the_engine_refuses_is_told_with_id_and_reason(connection, index_name, source):
    """One bad passage does not take its neighbours with it."""
    name = index_name()
    indices.create_index(connection, name, SCHEMA)
    good = [index_action(name, one, connection.dialect, SCHEMA) for one in passages(2)]
    first, bad, last = sent(connection, good[0] + raw(name, "bad#0", **source) + good[1])
    assert [first.verdict, last.verdict] == [Verdict.DONE, Verdict.DONE]
    assert (bad.id, bad.verdict, bad.cause.status) == ("bad#0", Verdict.REFUSED, 400)
    assert bad.cause.type
    assert bad.cause.reason
    indices.refresh(connection, name)
    assert indices.count(connection, name) == 2


def test_outcomes_keep_the_order_of_the_lines(connection, index_name):
    """Writes, deletes of present and absent ids, and refusals, each at its place."""
    name = filled(connection, index_name(), passages(2))
    lines = (
        delete_action(name, "doc-0#0")
        + delete_action(name, "absent#0")
        + raw(name, "bad#0", unknown=1)
        + index_action(name, passages(3)[2], connection.dialect, SCHEMA)
    )
    answered = [(one.id, one.action, one.verdict) for one in sent(connection, lines)]
    assert answered == [
        ("doc-0#0", "delete", Verdict.DONE),
        ("absent#0", "delete", Verdict.DONE),
        ("bad#0", "index", Verdict.REFUSED),
        ("doc-2#0", "index", Verdict.DONE),
    ]


def test_an_older_load_does_not_undo_a_newer_one(connection, index_name):
    """By the load's number as external version: the same again is taken, an older write or delete is superseded."""
    name, one = index_name(), passages(1)[0]
    indices.create_index(connection, name, SCHEMA)

    def written(load):
        return index_action(name, one, connection.dialect, SCHEMA, Provenance("a", load, "0" * 32, 1))

    def removed(load):
        return delete_action(name, "doc-0#0", load)

    lines = [written(20), written(20), written(10), removed(10), written(30), removed(30), written(20), removed(40)]
    answered = sent(connection, b"".join(lines))
    done, late = Verdict.DONE, Verdict.SUPERSEDED
    assert [item.verdict for item in answered] == [done, done, late, late, done, done, late, done]
    assert not any(item.cause for item in answered)
    statuses = [next(iter(item.values()))["status"] for item in connection.send(bulk_request(written(35)))["items"]]
    assert statuses == [409]


UNICODE_IDS = ["süß", "文書-7", "a/b?c=d&e", "100 %", "x#3", '"quoted"', "🧭", " lead", "x" * 510]


def test_ids_of_any_characters_come_back_unchanged(connection, index_name):
    """Ids travel in bodies, not in paths; 512 bytes with the passage's number are the most."""
    documents = [Document(doc_id, "stone") for doc_id in UNICODE_IDS]
    template = passages(1)[0]
    batch = [EncodedPassage(Passage(one, 0, 0, 5), template.dense, template.sparse) for one in documents]
    name = filled(connection, index_name(), batch)
    body = {"query": {"match": {"text": "stone"}}, "size": 50, "_source": {"includes": ["doc_id"]}}
    answer = connection.send(Request.json("POST", f"/{name}/_search", body))["hits"]["hits"]
    assert {hit["_id"] for hit in answer} == {f"{doc_id}#0" for doc_id in UNICODE_IDS}
    assert {hit["_source"]["doc_id"] for hit in answer} == set(UNICODE_IDS)


def test_an_id_of_more_than_512_bytes_is_refused(connection, index_name):
    """The limit that our own check enforces is the engine's."""
    name = index_name()
    indices.create_index(connection, name, SCHEMA)
    assert statuses(connection, raw(name, "x" * 513, text="stone")) == [400]
    assert statuses(connection, raw(name, "x" * 512, text="stone")) == [201]


def statuses(connection, lines):
    """Status of each item, or of the whole request where the engine refuses that (OpenSearch does)."""
    answer = connection.transport.send(bulk_request(lines))
    return [answer.status] if answer.status >= 400 else [item["index"]["status"] for item in answer.body["items"]]


TOKENS = ["a.b", "a_b", "a%2Eb", "%", ".", "..", "3.5", "über", "##ing", "[SEP]", "a b", "文"]


def test_tokens_of_any_characters_stay_apart(connection, index_name):
    """A dotted token is a path to both engines; escaped, each token matches its own passage and no other."""
    template = passages(1)[0]
    batch = [
        EncodedPassage(Passage(Document(str(number), "stone"), 0, 0, 5), template.dense, {token: 1.0 + number})
        for number, token in enumerate(TOKENS)
    ]
    name = filled(connection, index_name(), batch)
    for number, token in enumerate(TOKENS):
        clause = {"rank_feature": {"field": layout.feature_path(token), "linear": {}}}
        assert hits(connection, name, {"query": {"bool": {"should": [clause]}}}) == [
            (f"{number}#0", pytest.approx(1.0 + number, rel=2**-8))
        ]


def test_a_read_only_index_is_not_retried(connection, index_name):
    """A block of the disk watermark answers 429 like an overload; only lifting it helps."""
    name = filled(connection, index_name(), passages(1))
    indices.update_settings(connection, name, {"index.blocks.read_only_allow_delete": True})
    (outcome,) = sent(connection, index_action(name, passages(2)[1], connection.dialect, SCHEMA))
    assert outcome.verdict is Verdict.READ_ONLY
    with pytest.raises(ReadOnlyError, match="blocked by"):
        connection.send(Request.json("PUT", f"/{name}/_doc/1", {"text": "stone"}))
    indices.update_settings(connection, name, {"index.blocks.read_only_allow_delete": None})
    write(connection, name, passages(2))
    assert indices.count(connection, name) == 2


def test_a_write_block_is_read_only_too(connection, index_name):
    """The same for ``index.blocks.write``, which answers 403."""
    name = filled(connection, index_name(), passages(1))
    indices.update_settings(connection, name, {"index.blocks.write": True})
    (outcome,) = sent(connection, index_action(name, passages(2)[1], connection.dialect, SCHEMA))
    assert (outcome.verdict, outcome.cause.status) == (Verdict.READ_ONLY, 403)


def test_a_body_over_100_mb_must_be_split(connection, index_name):
    """413, whether the answer has a body (OpenSearch) or not (Elasticsearch)."""
    name = index_name()
    indices.create_index(connection, name, SCHEMA)
    line = raw(name, "large#0", text="x" * 1_000_000)
    answer = connection.transport.send(bulk_request(line * 106))
    assert answer.status == 413
    assert indices.count(connection, name) == 0


def test_float32_extremes_of_weights_are_taken(connection, index_name):
    """The smallest and the largest weight that the check lets through are fine with the engine."""
    template = passages(1)[0]
    weights = {"1": layout.MIN_WEIGHT, "2": layout.MAX_WEIGHT}
    name = filled(connection, index_name(), [replace(template, sparse=weights)])
    assert indices.count(connection, name) == 1


def test_vectors_are_written_as_float32_and_nothing_less(connection, index_name):
    """Base64 of half the width would be taken as bfloat16; the exact search must see every bit."""
    random = np.random.default_rng(5)
    vector = random.standard_normal(DIMENSION).astype(np.float32)
    vector /= np.linalg.norm(vector)
    close = vector.copy()
    close[0] = np.nextafter(close[0], np.float32(2), dtype=np.float32) + np.float32(1e-3)
    close /= np.linalg.norm(close)
    one, two = passages(2)
    name = filled(connection, index_name(), [replace(one, dense=vector), replace(two, dense=close)])
    body = connection.dialect.dense_search(vector, size=2, candidates=10, filter=None)
    (first, top), (second, next_score) = hits(connection, name, body)
    assert (first, second) == ("doc-0#0", "doc-1#0")
    assert top == pytest.approx(1.0, abs=1e-7)
    assert next_score == pytest.approx((1 + float(vector.astype(float) @ close.astype(float))) / 2, abs=1e-7)
