"""ONNX Runtime and OpenVINO over one and the same graph."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybrid_search.encode.backends.export import GRAPH
from hybrid_search.encode.backends.network import Feeds, Network
from hybrid_search.encode.threads import own_threads
from hybrid_search.errors import MissingExtraError, SettingsError

MODULES = {"onnx": "onnxruntime", "openvino": "openvino"}
"""What a backend needs installed."""


def installed() -> list[str]:
    """The backends beside torch that could be used here."""
    return [name for name, module in MODULES.items() if importlib.util.find_spec(module) is not None]


class OnnxSession:
    """ONNX Runtime (https://onnxruntime.ai) on one graph; its threads sleep while they wait."""

    def __init__(self, folder: Path, precision: str, device: torch.device) -> None:
        del precision  # it is the graph's
        try:
            import onnxruntime  # type: ignore[import-untyped]  # it has no types
        except ImportError as error:
            raise MissingExtraError('encode.backend = "onnx"', "onnx") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = own_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(
            str(folder / GRAPH), options, providers=_providers(onnxruntime.get_available_providers(), device)
        )
        self._inputs = {one.name: _integers(one.type) for one in self._session.get_inputs()}

    def __call__(self, feeds: Feeds) -> Sequence[Tensor]:
        """The outputs; on the CPU without a copy."""
        given = {name: _array(feeds[name], kind) for name, kind in self._inputs.items()}
        return [torch.from_numpy(output) for output in self._session.run(None, given)]


def _providers(available: Sequence[str], device: torch.device) -> list[Any]:
    """Where the graph runs; a device that this build of the library has not is no reason to be silently slow."""
    if device.type == "cpu":
        return ["CPUExecutionProvider"]
    wanted = f"{device.type.upper()}ExecutionProvider"
    if wanted not in available:
        raise SettingsError(
            f"the installed onnxruntime does not run on {device.type!r}",
            where="encode.backend",
            remedy='Set it to "torch", or install onnxruntime-gpu',
        )
    return [(wanted, {"device_id": device.index or 0}), "CPUExecutionProvider"]


class OpenvinoSession:
    """OpenVINO (https://docs.openvino.ai) on one graph, on the CPU; each thread has a request of its own."""

    def __init__(self, folder: Path, precision: str, device: torch.device) -> None:
        try:
            import openvino  # type: ignore[import-untyped]  # it has no types
        except ImportError as error:
            raise MissingExtraError('encode.backend = "openvino"', "openvino") from error
        if device.type != "cpu":
            raise SettingsError(
                f"OpenVINO runs on the CPU here, and the device is {device.type!r}",
                where="encode.backend",
                remedy='Set it to "torch", or the device to "cpu"',
            )
        core = openvino.Core()
        self._compiled: Any = core.compile_model(
            core.read_model(str(folder / GRAPH)),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": own_threads(),
                "NUM_STREAMS": 1,
                # Left alone, it computes in 16 bits wherever the processor has them.
                "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._inputs = {
            one.get_any_name(): np.dtype(one.get_element_type().to_dtype()) for one in self._compiled.inputs
        }
        self._own = threading.local()

    def __call__(self, feeds: Feeds) -> Sequence[Tensor]:
        """The outputs, copied: the request's own memory is written again by the next call."""
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        given = {name: _array(feeds[name], kind) for name, kind in self._inputs.items()}
        found: Mapping[Any, Any] = request.infer(given, share_inputs=True, share_outputs=True)
        return [torch.from_numpy(np.array(found[output], dtype=np.float32)) for output in self._compiled.outputs]


def _array(tensor: Tensor, kind: Any) -> Any:
    return np.ascontiguousarray(tensor.numpy(), dtype=kind)


def _integers(kind: str) -> Any:
    return {"tensor(int64)": np.int64, "tensor(bool)": np.bool_, "tensor(int32)": np.int32}.get(kind, np.float32)


Opener = Callable[[Path, str, torch.device], Network]
OPENERS: Mapping[str, Opener] = {"onnx": OnnxSession, "openvino": OpenvinoSession}
