"""Lines, numbers and weights that were made to break a reader: refused or read, never more than that."""

from __future__ import annotations

import struct

import pytest

from hybrid_search.encode import load_encoder
from hybrid_search.engine import Connection, indices
from hybrid_search.engine.opensearch import OpenSearchDialect
from hybrid_search.engine.protocols import Answer
from hybrid_search.errors import ModelError, RecordError, SourceError
from hybrid_search.read import documents
from hybrid_search.settings import DenseSettings, DocumentSettings, Settings, SparseSettings


@pytest.mark.parametrize(
    "line",
    [
        '{"_id": "a", "text": ' + "[" * 100_000,
        '{"a":' * 100_000,
        '{"_id": "a", "text": "x", "n": ' + "[" * 2000 + "]" * 2000 + "}",
    ],
    ids=["brackets", "objects", "closed"],
)
def test_deep_json_is_a_bad_record(tmp_path, line):
    """Not a recursion that ends the program."""
    path = tmp_path / "docs.jsonl"
    path.write_text(line + "\n")
    with pytest.raises((RecordError, SourceError)) as caught:
        list(documents(path, DocumentSettings()))
    assert len(str(caught.value)) < 500


def test_a_number_of_5000_digits_is_read_or_refused(tmp_path):
    """As the record of its line, not as an error of the program."""
    path = tmp_path / "docs.jsonl"
    path.write_text('{"_id": "a", "text": "x", "n": ' + "9" * 5000 + '}\n{"_id": "b", "text": "y"}\n')
    bad = []
    found = list(documents(path, DocumentSettings(), on_bad=lambda error, _: bad.append(error)))
    assert len(found) + len(bad) == 2
    assert found[-1].id == "b"


@pytest.mark.parametrize(
    "head",
    [struct.pack("<Q", 2**62), struct.pack("<Q", 100_000_000) + b"{", struct.pack("<Q", 8) + b"[[[[[[[["],
    ids=len,
)
def test_a_header_of_weights_that_claims_too_much_is_a_model_error(tmp_path, head):
    """safetensors: a length of exbibytes, one beyond the file, a header that is no object."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(head)
    with pytest.raises(ModelError):
        load_encoder(Settings(dense=DenseSettings(model=str(folder)), sparse=SparseSettings(model="none")))


@pytest.mark.parametrize("name", ["a/_all", "a?b", "a#b", "../a", "a%2f", "ä ö"])
def test_a_name_of_an_index_is_one_part_of_a_path(name):
    """Percent-encoded, so that it names nothing else."""
    asked = []

    class Recorded:
        where = "http://fake"

        def send(self, request):
            asked.append(request.path)
            return Answer(200, {"i": {"mappings": {}}})

    indices.exists(Connection(Recorded(), OpenSearchDialect((3, 6, 0))), name)
    assert all(path.count("/") <= 2 and not set("?# ") & set(path) for path in asked)
