"""Batches without padding give what batches with padding give, and are used only where they take less time."""

from __future__ import annotations

import pytest
import tiny_models as tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.encode.backends import choice
from hybrid_search.encode.backends.choice import Switched
from hybrid_search.encode.backends.network import TorchNetwork
from hybrid_search.encode.backends.packing import LARGE, PADDED, TRIES, PaddedOrPacked, packings
from hybrid_search.encode.bert import BertBackbone
from hybrid_search.settings import EncodeSettings

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["mean", "cls"])
def network(request, tmp_path_factory) -> Switched:
    folder = tiny.save_bi_encoder(tmp_path_factory.mktemp("packing"), pooling=request.param)
    return BertBackbone(folder, device="cpu").networks[0]


def feeds(lengths: list[int], rows: int = 20) -> dict[str, torch.Tensor]:
    longest = max(lengths)
    ids = torch.randint(0, rows, (len(lengths), longest), generator=torch.Generator().manual_seed(sum(lengths)))
    return {"ids": ids, "mask": torch.arange(longest) < torch.tensor(lengths)[:, None]}


WAYS = packings(CPU, torch.float32)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_a_row_of_texts_gives_what_a_padded_batch_gives(network, lengths):
    """States of tokens (absolute or relative) and embeddings within 1e-5, whatever the lengths; each text for itself."""
    given = feeds(lengths)
    padded = TorchNetwork(network.exportable, CPU)
    states, embeddings = padded(given)
    for way in WAYS:
        packed_states, packed = padded.packing(way)(given)
        torch.testing.assert_close(packed, embeddings, atol=1e-5, rtol=0)
        # States have no length of one: the last digits of their larger components differ between kernels.
        torch.testing.assert_close(packed_states[given["mask"]], states[given["mask"]], atol=1e-5, rtol=1e-5)
        assert not packed_states[~given["mask"]].any()


class Told:
    """A way whose passes take so many seconds by the clock that it moves."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        self.clock, self.seconds, self.passes = clock, seconds, 0

    def __call__(self, _):
        self.passes += 1
        self.clock[0] += self.seconds
        return [torch.zeros(1)]


@pytest.mark.parametrize(("packed", "best"), [(0.5, "each"), (2.0, PADDED)])
def test_the_way_that_takes_less_time_stays(packed, best):
    """Three passes of each tell; the others are run by the faster."""
    clock = [0.0]
    ways = {PADDED: Told(clock, 1.0), "each": Told(clock, packed)}
    either = PaddedOrPacked(ways[PADDED], lambda: {"each": ways["each"]}, CPU, lambda: clock[0])
    for _ in range(2 * TRIES + 10):
        either(feeds([LARGE, LARGE // 2]))
    assert either.way == best
    assert {name: way.passes for name, way in ways.items()} == {PADDED: TRIES, "each": TRIES} | {best: TRIES + 10}


def test_where_there_is_no_padding_nothing_is_tried():
    """A query, texts of one length, and a small batch are run as ever, and nobody asks for another way."""
    padded = Told([0.0], 1.0)
    either = PaddedOrPacked(padded, lambda: pytest.fail("was asked"), CPU)
    for lengths in ([8], [LARGE, LARGE], [9, 8]):
        either(feeds(lengths))
    assert (padded.passes, either.way) == (3, PADDED)


def test_without_another_way_all_is_padded():
    """A card that has none."""
    padded = Told([0.0], 1.0)
    either = PaddedOrPacked(padded, dict, CPU)
    for _ in range(3):
        either(feeds([LARGE, LARGE // 2]))
    assert (padded.passes, either.way) == (3, PADDED)


def test_a_way_that_gives_something_else_is_not_used(network, monkeypatch):
    """It is compared with the padded passes before it is tried, and one that this build cannot run is left out."""
    other = lambda *_: lambda query, key, value: value * 0.5  # noqa: E731, ARG005 - three that look at no key
    monkeypatch.setattr("hybrid_search.encode.backends.network.attention", other)
    assert network._packed(TorchNetwork(network.exportable, CPU)) == {}

    def failing(*_):
        raise RuntimeError("no kernel")

    monkeypatch.setattr("hybrid_search.encode.backends.network.attention", failing)
    assert network._packed(TorchNetwork(network.exportable, CPU)) == {}


def test_an_encoder_takes_the_way_that_is_faster(tmp_path, monkeypatch):
    """Of the loaded network: the ways that agree are tried on passes with padding, and named."""
    monkeypatch.setattr(choice, "PaddedOrPacked", lambda *args: PaddedOrPacked(*args, clock=lambda: 0.0))
    backbone = BertBackbone(tiny.save_bi_encoder(tmp_path), device="cpu", encode=EncodeSettings(backend="torch"))
    texts, ids = [""] * 20, [[1] * (20 + n) for n in range(20)]
    for _ in range(TRIES * 3):
        backbone(texts, ids, prompt="", query=False)
    assert set(backbone.networks[0]._unpadded._times) == {PADDED, *WAYS}
    assert backbone.networks[0].way in {PADDED, *WAYS}


def test_a_gpu_in_16_bits_has_the_kernel_of_flash_attention():
    """In 32 bits it has not."""
    cuda = torch.device("cuda")
    assert packings(cuda, torch.bfloat16) == ["nested", "varlen"]
    assert packings(cuda, torch.float32) == ["nested"]
    assert packings(torch.device("mps"), torch.float32) == []
