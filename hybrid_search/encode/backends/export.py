"""A network as an ONNX graph: made of the user's own weights on this machine, never downloaded."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hybrid_search.encode.backends.network import Exportable
from hybrid_search.errors import MissingExtraError, ModelError

OPSET = 20
"""The first with GELU as an operator, which runtimes need not put together again."""
GRAPH = "graph.onnx"
ONE_FILE = 1_500_000_000
"""Bytes of weights above which they get a file of their own: a graph's file ends at 2 GB."""

_CHATTY = ("torch.onnx", "onnxscript", "onnx_ir", "root")


def export(exportable: Exportable, folder: Path, *, int8: bool = False) -> None:
    """Write the graph into an empty folder, with any number of texts and tokens.

    Args:
        exportable: the network, whose module is on the CPU and in float32.
        folder: gets :data:`GRAPH`, and a file of weights where they are many.
        int8: matrices of 8-bit integers, a scale for each column; what they are multiplied with is made integers on
            the way (dynamic quantisation).

    Raises:
        ModelError: the network cannot be written as a graph.
        MissingExtraError: a library of the extra [onnx] is missing.
    """
    try:
        import onnx  # noqa: F401 - torch imports it late, with a message that names no extra
        import onnxscript  # noqa: F401 - the same
    except ImportError as error:
        raise MissingExtraError("A graph of a model", "onnx") from error
    example = tuple(exportable.probes[0][name] for name in exportable.inputs)
    shapes = tuple({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC} for _ in example)
    is_variadic = any(
        one.kind == one.VAR_POSITIONAL for one in signature(exportable.module.forward).parameters.values()
    )
    large = sum(weight.nbytes for weight in _weights(exportable.module)) > ONE_FILE
    with _quiet(), _in_steps(exportable.module), torch.inference_mode():
        try:
            torch.onnx.export(
                exportable.module,
                example,
                folder / GRAPH,
                input_names=list(exportable.inputs),
                output_names=list(exportable.outputs),
                dynamic_shapes=(shapes,) if is_variadic else shapes,
                opset_version=OPSET,
                dynamo=True,
                external_data=large,
                verbose=False,
            )
            if int8:
                _quantize(folder, large=large)
        except Exception as error:  # whatever an architecture makes the exporter raise
            raise ModelError(
                f"cannot be written as a graph ({type(error).__name__})",
                where=exportable.name,
                remedy='Set encode.backend to "torch"',
            ) from error


def _weights(module: nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _quantize(folder: Path, *, large: bool) -> None:
    """Put the quantised graph in the place of the whole one."""
    from onnxruntime.quantization import (  # type: ignore[import-untyped]  # it has no types
        QuantType,
        quantize_dynamic,
    )

    whole = folder / "whole.onnx"
    (folder / GRAPH).rename(whole)
    quantize_dynamic(
        whole,
        folder / GRAPH,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        # 7 bits of 8: where a processor adds two products in 16 bits (AVX2), more would overflow.
        reduce_range=True,
        weight_type=QuantType.QInt8,
        use_external_data_format=large,
    )
    for path in folder.glob("*"):
        if path.name.startswith((whole.name, f"{GRAPH}.data")) and not (large and path.name == f"{GRAPH}.data"):
            path.unlink()


@contextlib.contextmanager
def _in_steps(module: nn.Module) -> Iterator[None]:
    """Attention of transformers' models written out, as matrices and a softmax, while the graph is made.

    PyTorch's own operator brings a look for rows that see nothing into the graph, over all logits; runtimes spend up to
    a quarter of their time there, and do not know the pattern. Passes beside this are a little slower meanwhile.
    """
    changed: list[Any] = [
        one
        for one in module.modules()
        if getattr(getattr(one, "config", None), "_attn_implementation", None) == "sdpa"
        and hasattr(one, "set_attn_implementation")
    ]
    try:
        for one in changed:
            one.set_attn_implementation("eager")
        yield
    finally:
        for one in changed:
            one.set_attn_implementation("sdpa")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No lines of progress, warnings or log records from the exporter."""
    levels = {name: logging.getLogger(name).level for name in _CHATTY}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            for name in _CHATTY:
                logging.getLogger(name).setLevel(logging.ERROR)
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
