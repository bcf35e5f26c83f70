"""What a model does not read of a text is said with its numbers: of queries by the search, of passages by the load."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import tiny_models as tiny
from search_fakes import PlaneEncoder, engine
from test_search_degradation import RUNS, Asked

from hybrid_search import load_encoder
from hybrid_search.encode import EncodedTexts
from hybrid_search.encode.protocols import QueryLimit
from hybrid_search.encode.tokens import WordSpans
from hybrid_search.ingest.stages.chunking import Chunking
from hybrid_search.ingest.work import Batch, NumberedDocument
from hybrid_search.records import Document, Fingerprint
from hybrid_search.settings import ChunkingSettings, DenseSettings, Settings, SparseSettings

PROMPTS = {"query": "search query : ", "document": ""}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A bi-encoder of 32 tokens with a prompt of three for queries, and a SPLADE model of 64 without one."""
    root = tmp_path_factory.mktemp("pair")
    dense = tiny.save_bi_encoder(root / "dense", prompts=PROMPTS, max_tokens=32)
    sparse = tiny.save_splade(root / "sparse")
    return load_encoder(Settings(dense=DenseSettings(model=str(dense)), sparse=SparseSettings(model=str(sparse))))


def test_each_leg_reads_queries_up_to_its_own_limit(pair):
    """32 - [CLS] - [SEP] - "search query :", and 64 - [CLS] - [SEP]."""
    assert {leg: limit.max_tokens for leg, limit in pair.query_limits().items()} == {
        "dense": 32 - 2 - 3,
        "sparse": 64 - 2,
    }


def test_the_limit_is_where_the_vector_stops_changing(pair):
    """The 27th word of a query has an effect, the 28th has none."""
    limit = pair.query_limits()["dense"].max_tokens
    words = ["sunny"] * (limit - 1)
    short, full, longer = pair.encode_queries(
        [" ".join(text) for text in (words, [*words, "today"], [*words, "today", "berlin"])]
    ).dense
    assert not np.allclose(short, full, atol=1e-4)
    np.testing.assert_allclose(full, longer, atol=1e-6)


def test_legs_that_are_off_or_bring_their_vectors_have_no_limit(tmp_path):
    """Nothing is cut of them."""
    tiny.save_tokenizer(tmp_path)
    tiny.write_json(tmp_path / "idf.json", {"sunny": 2.5})
    settings = Settings(
        dense=DenseSettings(model="precomputed", dimension=4), sparse=SparseSettings(model=str(tmp_path))
    )
    assert list(load_encoder(settings).query_limits()) == ["sparse"]


def test_one_pass_has_one_limit():
    """all-MiniLM-L6-v2 reads 256 tokens, with [CLS] and [SEP], for both vectors of the starter."""
    limits = load_encoder(Settings()).query_limits()
    assert {leg: limit.max_tokens for leg, limit in limits.items()} == {"dense": 254, "sparse": 254}


class TwoLimits(PlaneEncoder):
    """A dense leg that reads 10 words and a sparse one that reads 20."""

    def query_limits(self) -> dict[str, QueryLimit]:
        return {"dense": QueryLimit(10, WordSpans()), "sparse": QueryLimit(20, WordSpans())}


def test_a_search_says_which_leg_read_how_much():
    """Of 15 words the dense leg reads 10, of 25 both leave some out."""
    asked = Asked(engine(RUNS), encoder=TwoLimits())
    found = asked.search_many([" ".join(["word"] * count) for count in (10, 15, 25)])
    assert [result.warnings for result in found] == [
        [],
        ["the dense leg read the first 10 of the query's 15 tokens"],
        [
            "the dense leg read the first 10 of the query's 25 tokens",
            "the sparse leg read the first 20 of the query's 25 tokens",
        ],
    ]


class Reader:
    """Reads five words."""

    dense = Fingerprint("dense", "acme/reader", "")
    sparse: Fingerprint | None = None
    tokenizer = WordSpans()
    max_tokens = 5

    def encode_documents(self, _: object) -> EncodedTexts:
        raise AssertionError("nothing is encoded here")

    encode_queries = encode_documents


class Bringer(Reader):
    """Documents bring their vectors."""

    dense = Fingerprint("precomputed", "precomputed", "")


def chunked(encoder, words, **settings):
    """Documents of so many words, without sentences, cut into passages; and what is said of it."""
    chunking = Chunking(encoder, ChunkingSettings(overlap=0, **settings))
    documents = [Document(str(n), " ".join(["word"] * count)) for n, count in enumerate(words)]
    items = [NumberedDocument(n, document, "") for n, document in enumerate(documents)]
    chunking(Batch(0, len(items), items))
    return chunking.note()


def test_chunks_wider_than_the_model_are_said_before_and_after(caplog):
    """12 words make passages of 8 and 4, 6 and 3 words one each: two of the four are longer than 5, the longest 8."""
    with caplog.at_level(logging.WARNING):
        note = chunked(Reader(), [12, 6, 3], max_tokens=8)
    widths = "chunking.max_tokens is 8, and the model reads 5 of a passage (acme/reader)"
    assert caplog.messages == [f"{widths}; longer passages are cut there when they are encoded"]
    assert note == (
        f"{widths}: the ends of 2 of 4 passages are in no vector, the longest has 8 tokens; "
        "set chunking.max_tokens to 5, or leave it out"
    )


@pytest.mark.parametrize(
    ("encoder", "settings"),
    [(Reader(), {}), (Reader(), {"max_tokens": 5}), (Bringer(), {"max_tokens": 8})],
    ids=["no-width", "same-width", "vectors-come-along"],
)
def test_nothing_is_said_where_nothing_is_cut(caplog, encoder, settings):
    """Chunks as wide as the model or narrower, and vectors that the documents bring."""
    with caplog.at_level(logging.WARNING):
        assert chunked(encoder, [12, 6, 3], **settings) is None
    assert not caplog.messages


def test_wide_chunks_that_no_document_fills_are_only_warned_of(caplog):
    """Three words fit."""
    with caplog.at_level(logging.WARNING):
        assert chunked(Reader(), [3], max_tokens=8) is None
    assert len(caplog.messages) == 1
