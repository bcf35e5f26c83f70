"""oneDNN's linear layers give what PyTorch's give, and are left alone where they are not meant."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from hybrid_search.encode import onednn
from hybrid_search.encode.onednn import GeluIntermediate, OneDnnLinear, use_onednn


class Widening(nn.Module):
    """As transformers has it, by its names."""

    def __init__(self, activation):
        super().__init__()
        self.dense = nn.Linear(8, 16)
        self.intermediate_act_fn = activation

    def forward(self, hidden_states):
        return self.intermediate_act_fn(self.dense(hidden_states))


@pytest.fixture(autouse=True)
def used(monkeypatch):
    """Whatever is faster on this machine, oneDNN is used where it can be."""
    monkeypatch.setattr(onednn, "is_faster", lambda: True)


def layer(rows_in, rows_out, *, bias=True):
    made = nn.Linear(rows_in, rows_out, bias=bias)
    use_onednn(made)
    assert type(made) is OneDnnLinear
    return made


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.integers(1, 600), st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_the_numbers_are_pytorchs(texts, tokens, inner, outer, bias):
    """Alone, with GELU and with a residual, of few rows and of many, with a bias and without."""
    torch.manual_seed(tokens)
    ours, rows, other = (
        layer(inner, outer, bias=bias),
        torch.randn(texts, tokens, inner),
        torch.randn(texts, tokens, outer),
    )
    plain = functional.linear(rows, ours.weight, ours.bias)
    with torch.inference_mode():
        torch.testing.assert_close(ours(rows), plain, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours.then_gelu(rows), functional.gelu(plain), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours.plus(rows, other), other + plain, atol=1e-5, rtol=1e-5)


def test_many_rows_go_its_way_and_few_do_not(monkeypatch):
    """From 256 rows; of a query each operator would cost what it saves."""
    asked = []
    monkeypatch.setattr(onednn, "_linear", lambda rows, weight, bias: asked.append(len(rows)) or rows @ weight.T + bias)
    made = layer(8, 8)
    with torch.inference_mode():
        for count in (255, 256):
            made(torch.zeros(count, 8))
    assert asked == [256]


def test_training_goes_pytorchs_way():
    """The operator has no gradient: what is learned from must not pass through it."""
    made, rows = layer(8, 8), torch.randn(300, 8)
    made(rows).sum().backward()
    torch.testing.assert_close(made.weight.grad, rows.sum(dim=0).repeat(8, 1))


def test_gelu_is_known_by_what_it_gives():
    """The exact GELU is taken in; one that is approximated, and another activation, stay what they are."""
    torch.manual_seed(0)
    exact, near, relu = Widening(nn.GELU()), Widening(nn.GELU("tanh")), Widening(nn.ReLU())
    rows = torch.randn(300, 8)
    for module, taken in ((exact, True), (near, False), (relu, False)):
        before = module(rows)
        use_onednn(module)
        assert isinstance(module, GeluIntermediate) is taken
        with torch.inference_mode():
            torch.testing.assert_close(module(rows), before, atol=1e-6, rtol=1e-5)


def test_a_release_without_the_operator_is_served_by_pytorch(monkeypatch):
    """It is not documented, and may go."""
    monkeypatch.undo()
    onednn.is_faster.cache_clear()
    monkeypatch.setattr(onednn, "_operator", lambda: torch.ops.mkldnn.no_such_operator)
    try:
        assert not onednn.is_faster()
        made, rows = layer(8, 4), torch.randn(300, 8)
        torch.testing.assert_close(made(rows), functional.linear(rows, made.weight, made.bias))
    finally:
        onednn.is_faster.cache_clear()
