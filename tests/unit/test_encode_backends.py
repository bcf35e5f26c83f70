"""Backends: what ONNX Runtime and OpenVINO give is what torch gives, for every layout of models."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tiny_models as tiny
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid_search.encode.backends import choice
from hybrid_search.encode.backends.cache import GraphCache
from hybrid_search.encode.bert import BertBackbone
from hybrid_search.encode.cross import load_cross
from hybrid_search.encode.dense import load_dense
from hybrid_search.encode.sentence import SentenceBackbone
from hybrid_search.encode.sparse import load_sparse
from hybrid_search.errors import ModelError, SettingsError
from hybrid_search.settings import DenseSettings, EncodeSettings, RerankSettings, SparseSettings

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")

GRAPHS = ("onnx", "openvino")
TEXTS = ["the weather is lovely today", "", "he drove to the stadium " * 9, "so sunny", "berlin?", "a"]
STRANGE = [
    "\U0001f31e\U0001f468\u200d\U0001f469\u200d\U0001f467",  # emoji, of several characters each
    "a\x00b",
    "\u0645\u0631\u062d\u0628\u0627",  # from right to left
    "x" * 3000,
]


@pytest.fixture(scope="module", autouse=True)
def _graphs_of_the_module(tmp_path_factory):
    """A cache of its own, which all tests of the file share: both backends read one graph."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


def plain(folder: Path) -> Path:
    return tiny.save_bi_encoder(folder, prompts={"query": "query: ", "document": "passage: "}, num_hidden_layers=1)


def with_maximum(folder: Path) -> Path:
    return tiny.save_bi_encoder(folder, pooling="max", normalize=False, num_hidden_layers=1)


def last_token(folder: Path) -> Path:
    """Padding at the left, as generators that became encoders have it."""
    tiny.save_bi_encoder(folder, pooling="lasttoken", num_hidden_layers=1)
    tiny.change_json(folder / "tokenizer_config.json", padding_side="left")
    return folder


def modern(folder: Path) -> Path:
    import transformers

    torch.manual_seed(0)
    config = transformers.ModernBertConfig(
        vocab_size=len(tiny.VOCABULARY),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
        **{f"{name}_token_id": number for name, number in (("pad", 0), ("bos", 2), ("eos", 3), ("cls", 2), ("sep", 3))},
    )
    transformers.ModernBertModel(config).eval().save_pretrained(folder)
    tiny.save_tokenizer(folder)
    return folder


def roberta(folder: Path) -> Path:
    import transformers

    torch.manual_seed(0)
    config = transformers.XLMRobertaConfig(
        vocab_size=len(tiny.VOCABULARY),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=80,
        initializer_range=0.5,
        pad_token_id=0,
    )
    transformers.XLMRobertaModel(config).eval().save_pretrained(folder)
    tiny.save_tokenizer(folder)
    return folder


def routed(folder: Path) -> Path:
    """Queries by one network, documents by another with a Dense layer on top."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Router, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    def route(name: str, seed: int) -> list[object]:
        tiny.save_bi_encoder(folder.parent / name, seed=seed, num_hidden_layers=1)
        return [Transformer(str(folder.parent / name)), Pooling(32, "mean"), Dense(32, 16)]

    torch.manual_seed(3)
    router = Router.for_query_document(query_modules=route("q", 1), document_modules=route("d", 2))
    SentenceTransformer(modules=[router]).save(str(folder))
    return folder


LAYOUTS = (plain, with_maximum, last_token, modern, roberta, routed)


@pytest.fixture(scope="module", params=LAYOUTS, ids=lambda save: save.__name__)
def folder(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp(request.param.__name__) / "model")


def load(folder, backend, precision="fp32", **options):
    chosen = EncodeSettings(backend=backend, precision=precision)
    return load_dense(DenseSettings(model=str(folder), device="cpu", **options), chosen)


def library(folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu")


@pytest.mark.parametrize("backend", GRAPHS)
def test_a_graph_gives_what_sentence_transformers_gives(folder, backend):
    """Queries and passages of mixed lengths, an empty one and a cut one among them, and texts that are hardly any."""
    encoder, model = load(folder, backend), library(folder)
    assert {used for network in encoder.backbone.networks for used in network.backends.values()} == {backend}
    assert encoder.backbone.networks
    texts = [*TEXTS, *STRANGE]
    np.testing.assert_allclose(encoder.encode_queries(texts), model.encode_query(texts), atol=1e-5)
    np.testing.assert_allclose(encoder.encode_documents(texts), model.encode_document(texts), atol=1e-5)


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory):
    return plain(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def three(tiny_bert):
    """One model by three backends."""
    return {backend: load(tiny_bert, backend) for backend in ("torch", *GRAPHS)}


@given(texts=st.lists(st.text(max_size=80) | st.integers(0, 70).map(lambda n: "so " * n), min_size=1, max_size=5))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_has_one_vector(three, texts):
    """Lengths from nothing to beyond the limit, signs of any script; vectors of length one."""
    wanted = three["torch"].encode_documents(texts)
    for backend in GRAPHS:
        found = three[backend].encode_documents(texts)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("backend", GRAPHS)
def test_token_states_of_a_graph_are_those_of_torch(three, backend):
    """Late interaction and the starter's head read them."""
    wanted = three["torch"].token_states(TEXTS, query=False)
    for ours, theirs in zip(three[backend].token_states(TEXTS, query=False), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("backend", GRAPHS)
def test_threads_share_a_graph(three, backend):
    """A service asks from many threads at once; no answer is another's."""
    texts = [f"{word} {word} sunny" for word in tiny.WORDS.split()]
    alone = [three[backend].encode_queries([text])[0] for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: three[backend].encode_queries([text])[0], texts))
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("backend", GRAPHS)
def test_splade_by_a_graph_gives_the_librarys_weights(tmp_path, backend):
    """The network is the graph's, the head stays the one that holds no logits of all tokens."""
    from sentence_transformers import SparseEncoder

    saved = tiny.save_splade(tmp_path, num_hidden_layers=1)
    encoder = load_sparse(SparseSettings(model=str(saved), device="cpu"), EncodeSettings(backend=backend))
    wanted = SparseEncoder(str(saved), device="cpu").encode_document(TEXTS, convert_to_sparse_tensor=False).numpy()
    found = np.zeros_like(wanted)
    for row, vector in enumerate(encoder.encode_documents(TEXTS)):
        for entry, weight in vector.items():
            found[row, int(entry)] = weight
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert [set(network.backends.values()) for network in encoder.networks] == [{backend}]


@pytest.mark.parametrize("backend", GRAPHS)
def test_a_cross_encoder_by_a_graph_gives_the_librarys_scores(tmp_path, backend):
    """Pairs have segments, which bi-encoders have not."""
    from sentence_transformers import CrossEncoder

    saved = tiny.save_cross_encoder(tmp_path, num_hidden_layers=1)
    reranker = load_cross(RerankSettings(model=str(saved), device="cpu"), EncodeSettings(backend=backend))
    wanted = CrossEncoder(str(saved), device="cpu").predict([("so sunny", text) for text in TEXTS])
    np.testing.assert_allclose(reranker.score("so sunny", TEXTS), wanted, atol=1e-5)
    assert [set(network.backends.values()) for network in reranker.networks] == [{backend}]


def test_static_embeddings_have_no_network_to_run_elsewhere(tmp_path):
    """A named backend leaves a model without a transformer as it is: there is nothing to make a graph of."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tiny.save_bi_encoder(tmp_path / "source") / "tokenizer.json"))
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16)]).save(str(tmp_path / "static"))
    encoder = load(tmp_path / "static", "onnx")
    assert encoder.backbone.networks == []
    wanted = library(tmp_path / "static").encode(TEXTS)
    np.testing.assert_allclose(encoder.encode_documents(TEXTS), wanted, atol=1e-5)


@pytest.mark.parametrize("backend", GRAPHS)
def test_integers_are_near_and_the_fingerprint_says_so(tiny_bert, three, backend):
    """An index knows that it was made with them; in other precisions it is one and the same."""
    whole, rough = three["torch"], load(tiny_bert, backend, "int8")
    vectors = rough.encode_documents(TEXTS)
    cosines = (vectors * whole.encode_documents(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.97
    assert np.abs(vectors - whole.encode_documents(TEXTS)).max() > 1e-5
    assert rough.fingerprint.difference(whole.fingerprint)
    assert not three[backend].fingerprint.difference(whole.fingerprint)


@pytest.mark.parametrize("backend", ["auto", "torch", "openvino"])
def test_half_precision_is_near_enough_for_one_fingerprint(tmp_path, backend):
    """bfloat16, checked against float32 when it is loaded; on a processor without it OpenVINO computes in float32."""
    saved = tiny.save_bi_encoder(tmp_path, initializer_range=0.1)
    whole, half = load(saved, "torch"), load(saved, backend, "bf16")
    wanted = whole.encode_documents(TEXTS)
    assert ((half.encode_documents(TEXTS) * wanted).sum(axis=1)).min() > 0.9995
    assert half.encode_documents(TEXTS).dtype == np.float32
    assert not half.fingerprint.difference(whole.fingerprint)


def test_half_precision_that_changes_too_much_is_refused(tiny_bert):
    """These weights are random and wide: in 8 bits of mantissa the vectors are others."""
    with pytest.raises(ModelError, match=r"torch in bf16 gives other results than torch .* 0\.9995 is needed"):
        load(tiny_bert, "torch", "bf16")


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_half_precision_through_the_library(tmp_path, backend):
    """Models that the plain path does not know have it as well."""
    saved = tiny.save_bi_encoder(tmp_path, pooling="max", normalize=False, initializer_range=0.1)
    found = load(saved, backend, "bf16").encode_documents(TEXTS)
    wanted = load(saved, "torch").encode_documents(TEXTS)
    cosines = (found * wanted).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosines.min() > 0.9995


@pytest.mark.parametrize(
    ("backend", "precision"), [("torch", "int8"), ("onnx", "bf16"), ("onnx", "fp16"), ("tensorrt", "fp32")]
)
def test_what_a_backend_cannot_do_is_refused_by_the_settings(backend, precision):
    """Before anything is loaded."""
    with pytest.raises(SettingsError, match="encode"):
        EncodeSettings(backend=backend, precision=precision)


def test_sixteen_bits_on_a_processor_are_refused(tiny_bert):
    """torch emulates them there, slower than 32."""
    with pytest.raises(SettingsError, match="fp16"):
        load(tiny_bert, "torch", "fp16")


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache that nothing is in."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hybrid-search" / "graphs"


def test_auto_runs_by_torch_until_a_load_has_passed_then_measures_once(tiny_bert, own_cache, monkeypatch):
    """A search makes no graph. The second start takes what the first has measured, without exporting anything."""
    monkeypatch.setattr(choice, "PREPARE_AFTER", 10)
    encoder = load(tiny_bert, "auto")
    before = encoder.encode_queries(["so sunny"] * 20)
    assert not own_cache.exists()
    encoder.encode_documents([f"{word} sunny" for word in tiny.WORDS.split()[:10]])
    (kept,) = own_cache.glob("*/auto-fp32.json")
    measured = json.loads(kept.read_text())["found"]
    assert {report["backend"] for report in measured["reports"]} == {"torch", *GRAPHS}
    assert all(report["agreement"] >= 0.99999 and report["query"] > 0 for report in measured["reports"])
    chosen = {use: measured[use] for use in ("query", "passages")}
    assert encoder.backbone.networks[0].backends == chosen
    np.testing.assert_allclose(encoder.encode_queries(["so sunny"] * 20), before, atol=1e-5)
    monkeypatch.setattr(choice, "export", _unknown)
    assert load(tiny_bert, "auto").backbone.networks[0].backends == chosen


def test_queries_and_passages_may_have_backends_of_their_own(tiny_bert, own_cache, monkeypatch):
    """The one that takes least time for each; both give the same vectors."""
    told = iter([1.0, 9.0, 2.0, 3.0, 9.0, 2.0])  # torch, onnx, openvino: a query and passages each
    monkeypatch.setattr(choice, "seconds", lambda *_: next(told))
    monkeypatch.setattr(choice, "PREPARE_AFTER", 1)
    encoder = load(tiny_bert, "auto")
    wanted = encoder.encode_queries(["so sunny today"])
    encoder.encode_documents(["so sunny"])
    assert encoder.backbone.networks[0].backends == {"query": "torch", "passages": "openvino"}
    assert next(own_cache.glob("*/auto-fp32.json")).is_file()
    many = encoder.encode_queries(["so sunny today"] * 50 + [f"{word} today" for word in tiny.WORDS.split()])
    np.testing.assert_allclose(many[0], wanted[0], atol=1e-5)


@pytest.mark.parametrize("backend", GRAPHS)
def test_a_named_backend_stays_however_many_passages_come(tiny_bert, backend, monkeypatch):
    """It let torch's weights go, so there is nothing to choose from after a thousand passages, nor need there be."""
    monkeypatch.setattr(choice, "PREPARE_AFTER", 1)
    encoder = load(tiny_bert, backend)
    wanted = encoder.encode_documents(["so sunny"])
    np.testing.assert_allclose(encoder.encode_documents(["so sunny", "today"])[:1], wanted, atol=1e-5)
    assert encoder.backbone.networks[0].backends == {"query": backend, "passages": backend}


@pytest.mark.usefixtures("own_cache")
def test_a_backend_that_disagrees_is_not_taken(tiny_bert, monkeypatch):
    """auto stays with torch; a backend that was named is refused with how far it is off."""
    monkeypatch.setattr(choice, "agreement", lambda *_: 0.98)
    monkeypatch.setattr(choice, "PREPARE_AFTER", 1)
    encoder = load(tiny_bert, "auto")
    encoder.encode_documents(["so sunny"])
    assert encoder.backbone.networks[0].backends == {"query": "torch", "passages": "torch"}
    with pytest.raises(ModelError, match=r"agreement 0\.98000, 0\.99999 is needed"):
        load(tiny_bert, "onnx")


def test_a_broken_graph_is_made_again(tiny_bert, own_cache):
    """A file that was cut short, and one that is whole by its digest and cannot be read."""
    wanted = load(tiny_bert, "onnx").encode_queries(TEXTS)
    (graph,) = own_cache.glob("*/fp32/graph.onnx")
    size = graph.stat().st_size
    graph.write_bytes(graph.read_bytes()[: size // 2])
    np.testing.assert_allclose(load(tiny_bert, "onnx").encode_queries(TEXTS), wanted, atol=1e-6)
    assert graph.stat().st_size == size
    cache = GraphCache(load(tiny_bert, "torch").backbone.networks[0].exportable.identity)
    cache.discard("fp32")
    cache.made("fp32", lambda folder: (folder / "graph.onnx").write_bytes(b"no graph") and None)
    np.testing.assert_allclose(load(tiny_bert, "openvino").encode_queries(TEXTS), wanted, atol=1e-5)
    assert graph.stat().st_size == size


def test_two_that_want_one_graph_make_it_once(tmp_path):
    """The second waits for the first, and takes what it made."""
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "graph.onnx").write_bytes(b"graph")

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: GraphCache("one", tmp_path).made("fp32", make), range(4)))
    assert len(made) == 1
    assert {(one / "graph.onnx").read_bytes() for one in found} == {b"graph"}
    assert GraphCache("another", tmp_path).find("fp32") is None


def test_a_cache_that_cannot_be_written_is_an_error_where_a_backend_is_named(tiny_bert, tmp_path, monkeypatch):
    """With what to do; auto goes on by torch."""
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="cache of graphs cannot be written"):
        load(tiny_bert, "onnx")
    monkeypatch.setattr(choice, "PREPARE_AFTER", 1)
    encoder = load(tiny_bert, "auto")
    assert encoder.encode_documents(TEXTS).shape == (len(TEXTS), 32)
    assert encoder.backbone.networks[0].backends == {"query": "torch", "passages": "torch"}


def test_all_backends_can_be_compared(tmp_path):
    """For ``models check``: agreement, speed and the time that a graph takes, of every precision that is here."""
    encoder = load(tiny.save_bi_encoder(tmp_path, initializer_range=0.1), "torch")
    assert isinstance(encoder.backbone, BertBackbone)
    (network,) = encoder.backbone.networks
    reports = {(one.backend, one.precision): one for one in network.check()}
    assert reports["torch", "fp32"].agreement == pytest.approx(1.0)
    assert {("onnx", "fp32"), ("onnx", "int8"), ("openvino", "fp32"), ("openvino", "bf16")} <= reports.keys()
    assert all(one.query > 0 and one.passages > 0 for one in reports.values())


def test_a_network_with_inputs_that_are_not_known_is_left_to_torch(tmp_path, monkeypatch):
    """auto takes torch and says nothing; a backend that is named is refused."""
    saved = with_maximum(tmp_path)
    monkeypatch.setattr("hybrid_search.encode.backends.graft.token_feeds", _unknown)
    encoder = load(saved, "auto")
    assert isinstance(encoder.backbone, SentenceBackbone)
    assert encoder.backbone.networks == []
    with pytest.raises(ModelError, match="no graph can be made of"):
        load(saved, "onnx")


def _unknown(*_: object, **__: object) -> None:
    raise ValueError("inputs pixel_values")
