"""What is done for a GPU, run on a CPU: the same code with the device's part exchanged."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import tiny_models as tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.encode import devices
from hybrid_search.encode.backends import choice, network
from hybrid_search.encode.backends.graphs import Graphs, bucket
from hybrid_search.encode.backends.network import TorchNetwork
from hybrid_search.encode.batching import GPU_SIZES, TRIES, TokenBudget, behind, packed
from hybrid_search.encode.bert import BertBackbone
from hybrid_search.encode.dense import load_dense
from hybrid_search.encode.pair import PairEncoder
from hybrid_search.encode.sparse import load_sparse
from hybrid_search.scale.gpus import on_its_device
from hybrid_search.settings import DenseSettings, EncodeSettings, Settings, SparseSettings

CPU, GPU = torch.device("cpu"), torch.device("mps")
TEXTS = ["the weather is lovely today", "a", "so sunny outside", "he drove to the stadium", ""] * 5


def recorded(captured: list[int]):
    """Stands for a CUDA graph: what was recorded is done again over the same memory."""

    def capture(run, _device):
        captured.append(1)
        outputs = [output.clone() for output in run()]

        def replay():
            for output, now in zip(outputs, run(), strict=True):
                output.copy_(now)
            return outputs

        return replay

    return capture


@given(st.integers(1, 10), st.integers(1, 200))
def test_a_recorded_shape_holds_the_pass(texts, tokens):
    """A power of two by a multiple of sixteen, or the limit; none where it would be larger than 128 tokens."""
    shape = bucket(texts, tokens, 64)
    if shape is not None:
        assert shape[0] >= texts
        assert shape[1] >= tokens
        assert shape[0] * shape[1] <= 128
        assert shape[0] & (shape[0] - 1) == 0


def test_a_recorded_pass_gives_what_the_pass_gives_and_each_shape_is_recorded_once(tmp_path):
    """Queries of 3 to 20 tokens, alone and three together: what was in the memory before does not matter."""
    switched = BertBackbone(tiny.save_bi_encoder(tmp_path), device="cpu").networks[0]
    plain, captured = TorchNetwork(switched.exportable, CPU), []
    graphs = Graphs(switched.exportable.module, plain, CPU, limit=32, capture=recorded(captured))
    for shape in ((1, 20), (1, 3), (3, 5), (1, 16), (2, 9), (4, 16), (9, 30)):
        feeds = switched.exportable.feeds(*shape)
        for made, wanted in zip(graphs(feeds), plain(feeds), strict=True):
            of_tokens = feeds["mask"] if made.dim() == 3 else slice(None)
            torch.testing.assert_close(made[of_tokens], wanted[of_tokens], atol=1e-5, rtol=0)
    assert len(captured) == 4  # 1 x 32, 1 x 16, 4 x 16, 2 x 16; 9 x 30 is too large
    first = graphs(switched.exportable.feeds(1, 4))[1]
    graphs(switched.exportable.feeds(1, 5))
    torch.testing.assert_close(first, plain(switched.exportable.feeds(1, 4))[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("speed", "taken"), [({"Graphs": 1.0}, True), ({"Graphs": 9.0}, False)])
def test_small_passes_are_recorded_where_that_is_faster(tmp_path, monkeypatch, speed, taken):
    """On a device that records; the clock says which is faster."""
    monkeypatch.setattr(choice, "capture_for", lambda _: recorded([]))
    monkeypatch.setattr(choice, "seconds", lambda one, *_: speed.get(type(one).__name__, 5.0))
    backbone = BertBackbone(tiny.save_bi_encoder(tmp_path), device="cpu", encode=EncodeSettings(backend="torch"))
    assert isinstance(backbone.networks[0]._networks["query"], Graphs) is taken
    assert not isinstance(backbone.networks[0]._networks["passages"], Graphs)


def test_what_cannot_be_recorded_is_run_as_ever(tmp_path, monkeypatch):
    """An operator that a graph cannot have."""

    def refuses(*_):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(choice, "capture_for", lambda _: refuses)
    backbone = BertBackbone(tiny.save_bi_encoder(tmp_path), device="cpu", encode=EncodeSettings(backend="torch"))
    assert not isinstance(backbone.networks[0]._networks["query"], Graphs)


@pytest.mark.parametrize("depth", [0, 1])
def test_results_are_waited_for_when_the_next_pass_has_begun(depth):
    """On a device of its own one pass is ahead; on a CPU none."""
    begun = []

    def passes():
        for number in range(3):
            begun.append(number)
            yield number

    seen = [(item, len(begun)) for item in behind(passes(), depth)]
    assert seen == [(number, min(3, number + 1 + depth)) for number in range(3)]


def test_an_encoder_with_a_pass_ahead_gives_the_same(tmp_path, monkeypatch):
    """The order of results is that of the texts."""
    encoder = load_dense(DenseSettings(model=str(tiny.save_bi_encoder(tmp_path)), device="cpu", batch_size=1))
    alone = encoder.encode_documents(TEXTS)
    monkeypatch.setattr(devices, "ahead_of", lambda _: 1)
    np.testing.assert_array_equal(encoder.encode_documents(TEXTS), alone)


def test_the_device_is_waited_for_while_sizes_are_compared():
    """Four sizes, two full passes of each; then a device is not waited for any more."""
    waits = []
    budget = TokenBudget(8, GPU_SIZES, wait=lambda: waits.append(1))
    made = list(packed([1] * 400, budget, len))
    assert len(waits) == TRIES * len(GPU_SIZES)
    assert len(made) > len(waits)
    chosen = TokenBudget(8, (1.0,), wait=lambda: waits.append(1))
    list(packed([1] * 400, chosen, len))
    assert len(waits) == TRIES * len(GPU_SIZES)


def test_two_models_on_one_accelerator_run_at_the_same_time():
    """Each waits for the other to have begun, which one after the other never ends; on a CPU they take turns."""
    meet = threading.Barrier(2, timeout=30)
    assert devices.side_by_side([meet.wait, meet.wait], [GPU, GPU]) != [None, None]
    order = []
    devices.side_by_side([lambda: order.append(1), lambda: order.append(2)], [CPU, CPU])
    assert order == [1, 2]


def test_a_pair_on_an_accelerator_gives_what_it_gives_on_a_cpu(tmp_path, monkeypatch):
    """Dense and sparse side by side; the error of either is that of the call."""
    dense = load_dense(DenseSettings(model=str(tiny.save_bi_encoder(tmp_path / "d")), device="cpu"))
    sparse = load_sparse(SparseSettings(model=str(tiny.save_splade(tmp_path / "s")), device="cpu"))
    pair = PairEncoder(dense, sparse)
    alone, jobs = pair.encode_documents(TEXTS), []
    whole = devices.side_by_side
    monkeypatch.setattr(
        devices, "side_by_side", lambda given, where: jobs.append(where) or whole(given, [GPU] * len(where))
    )
    found = pair.encode_documents(TEXTS)
    assert jobs == [[CPU, CPU]]
    np.testing.assert_allclose(found.dense, alone.dense, atol=1e-6)
    assert [sorted(vector) for vector in found.sparse] == [sorted(vector) for vector in alone.sparse]
    monkeypatch.setattr(type(sparse), "encode_documents", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pair.encode_documents(TEXTS)


def test_each_worker_has_a_gpu_of_its_own(monkeypatch):
    """Five workers on two GPUs take them in turn; a device that is named stays, and so does all where there is one."""
    here = ["cuda", "cuda:1", "cpu"]
    monkeypatch.setattr(devices, "devices_here", lambda: here)
    settings = Settings(dense=DenseSettings(device="gpu"), sparse=SparseSettings(device="cpu"))
    assert [on_its_device(settings, n).dense.device for n in range(5)] == ["cuda", "cuda:1", "cuda", "cuda:1", "cuda"]
    assert on_its_device(settings, 1).sparse.device == "cpu"
    wordless = Settings(dense=DenseSettings(model="none"), sparse=SparseSettings(model="idf"))
    assert on_its_device(wordless, 1) == wordless
    del here[1]
    assert on_its_device(settings, 1) == settings


def test_half_precision_is_refused_where_it_is_not_near_enough(tmp_path, monkeypatch):
    """Cosine .9994 is below .9995."""
    from hybrid_search.errors import ModelError

    monkeypatch.setattr(choice, "agreement", lambda *_: 0.9994)
    with pytest.raises(ModelError, match=r"agreement 0\.99940"):
        BertBackbone(
            tiny.save_bi_encoder(tmp_path), device="cpu", encode=EncodeSettings(backend="torch", precision="bf16")
        )


def test_what_a_cpu_has_is_not_copied():
    """Nothing to pin, nothing to wait for, and nobody who counts its use."""
    tensor = torch.ones(2)
    assert devices.to_device(tensor, CPU) is tensor
    assert devices.from_device(tensor)() is tensor
    devices.synchronize(CPU)
    assert devices.utilisation(CPU) is None
    assert (devices.ahead_of(CPU), devices.ahead_of(GPU)) == (0, 1)
    assert network.DTYPES["bf16"] is torch.bfloat16
