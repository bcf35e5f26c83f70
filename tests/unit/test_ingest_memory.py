"""What one long document costs: bounded memory on its way through the stages, and a limit with a sentence."""

from __future__ import annotations

import subprocess
import sys

import pytest
from loading import GeneratedEncoder

from hybrid_search.encode.idf import NO_LIMIT
from hybrid_search.errors import RecordError
from hybrid_search.ingest.stages import chunking, prepare
from hybrid_search.ingest.stages.chunking import CHARACTERS, LONGEST, Chunking, portions
from hybrid_search.ingest.stages.prepare import content_hash
from hybrid_search.ingest.work import Batch, NumberedDocument
from hybrid_search.records import Document, IndexSchema
from hybrid_search.settings import ChunkingSettings

SCHEMA = IndexSchema(dense=None, sparse=None)

LOADED = """
import resource, sys
import numpy as np
from hybrid_search.encode.idf import load_idf
from hybrid_search.encode.pair import PairEncoder
from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine.opensearch import OpenSearchDialect
from hybrid_search.ingest.load import through
from hybrid_search.ingest.stages.bodies import Demand, bodies
from hybrid_search.ingest.stages.body_size import CEILING, START, BodySize
from hybrid_search.ingest.stages.chunking import Chunking, portions
from hybrid_search.ingest.stages.encode import Encoding
from hybrid_search.ingest.stages.prepare import Checking, numbered
from hybrid_search.ingest.stages.write import Writing
from hybrid_search.records import Document, Fingerprint, IndexSchema
from hybrid_search.settings import ChunkingSettings

megabytes, is_dense = int(sys.argv[1]), sys.argv[2] == "dense"
encoder = PairEncoder(None, load_idf())

class Dense:
    dense, sparse = Fingerprint("dense", "d", "0" * 16, dimension=384), encoder.sparse
    tokenizer, max_tokens = encoder.tokenizer, 254
    def encode_documents(self, texts):
        return EncodedTexts(np.ones((len(texts), 384), np.float32), encoder.encode_documents(texts).sparse)

used = Dense() if is_dense else encoder
schema = IndexSchema(dense=used.dense, sparse=used.sparse)
encoder.encode_documents(["warm"])
sentence = " ".join(f"word{n} of a text" for n in range(700)) + ". "
text = (sentence * (megabytes * 1_000_000 // len(sentence) + 1))[: megabytes * 1_000_000]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
check = Checking(schema, ChunkingSettings(), lambda id_: True, keeps_bad=False)
read = through(numbered([Document("d", text)], (), lambda id_: None), check)
cut = (portion for batch in through(read, Chunking(used, ChunkingSettings())) for portion in portions(batch))
write = Writing("i", OpenSearchDialect((3, 6, 0)), schema, "s", 1, lambda passage: None, keeps_bad=False)
size, demand, sent = BodySize(START, ceiling=CEILING), Demand(4), 0
for body in bodies(through(through(cut, Encoding(used)), write), size, demand):
    demand.settled()
    sent += len(body.actions)
print(sent, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("models", ["idf", "dense"])
def test_a_long_document_costs_no_more_than_is_said(models):
    """2 MB of text: 110 MiB at most. With idf alone, where nothing else limits passages, it was 44 times the text."""
    done = subprocess.run([sys.executable, "-c", LOADED, "2", models], capture_output=True, text=True, check=True)
    passages, mebibytes = map(int, done.stdout.split())
    assert passages > 50
    assert mebibytes < 110


def chunked(*documents, limit=NO_LIMIT):
    """The documents cut, by an encoder that takes any number of tokens unless it is told another."""
    numbers = [NumberedDocument(number, document, "x") for number, document in enumerate(documents)]
    return Chunking(GeneratedEncoder(max_tokens=limit), ChunkingSettings(overlap=0))(Batch(0, len(numbers), numbers))


def test_passages_are_limited_where_no_model_limits_them():
    """20,000 words are passages of 8,192, 8,192 and 3,616; an ordinary text is one."""
    batch = chunked(Document("long", "w " * 20_000), Document("short", "a b c"))
    lengths = [[len(piece.text.split()) for piece in item.passages] for item in batch.items]
    assert lengths == [[LONGEST, LONGEST, 20_000 - 2 * LONGEST], [3]]


def test_parts_and_portions_are_limited_in_characters(monkeypatch):
    """30 passages of 10 characters, 100 at a time: three parts; each is a portion, though they are few passages."""
    monkeypatch.setattr(chunking, "CHARACTERS", 100)
    text = " ".join(f"w{n:08}" for n in range(10, 40))
    batch = chunked(Document("d", text), limit=1)
    assert [len(item.passages) for item in batch.items] == [11, 11, 8]
    assert [len(portion.items) for portion in portions(batch)] == [1, 1, 1]
    assert [item.is_end for item in batch.items] == [False, False, True]
    assert CHARACTERS == 1_000_000


def test_a_document_beyond_the_limit_is_refused_with_a_sentence(monkeypatch):
    """Text and fields together, in bytes: ``["ä...",{"f":"x"}]`` of 100 two-byte letters is 200 + 14."""
    monkeypatch.setattr(prepare, "MAX_DOCUMENT_BYTES", 213)
    document = Document("d", "ä" * 100, {"f": "x"}, origin="notes.jsonl:7")
    with pytest.raises(RecordError) as caught:
        content_hash(document, ChunkingSettings(), SCHEMA)
    assert str(caught.value).startswith(
        "notes.jsonl:7: the document has 214 bytes of text and fields, more than 213. Split"
    )
    monkeypatch.setattr(prepare, "MAX_DOCUMENT_BYTES", 214)
    assert content_hash(document, ChunkingSettings(), SCHEMA)
