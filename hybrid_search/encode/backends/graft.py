"""The networks inside a model of sentence-transformers, each run by the backend that is chosen for it.

Tokenizing, prompts, routes, pooling and heads stay the library's: what is exchanged is the forward pass of the
transformer, which is most of the time. How it is called is not guessed but recorded from a probe.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from hybrid_search.encode.backends.choice import Switched
from hybrid_search.encode.backends.network import Exportable, token_feeds
from hybrid_search.encode.folder import configuration_digest, weights_digest
from hybrid_search.errors import ModelError
from hybrid_search.settings import EncodeSettings

log = logging.getLogger(__name__)

LONGEST = 128
"""Tokens of the longest probe."""


@dataclass(frozen=True, slots=True)
class Call:
    """How a model calls one of its networks: names of tensors, other arguments, and the output that it reads."""

    tensors: tuple[str, ...]
    others: Mapping[str, Any]
    output: str


class Core(nn.Module):
    """A transformer as a function of tensors by position, giving the one output that the model reads."""

    def __init__(self, network: nn.Module, call: Call) -> None:
        super().__init__()
        self.network = network
        self.call = call

    def forward(self, *tensors: Tensor) -> tuple[Tensor]:
        """The output, as a tuple of one."""
        given = dict(zip(self.call.tensors, tensors, strict=True))
        # By the class: the network's own ``forward`` is exchanged for one that ends here.
        output: Any = type(self.network).forward(self.network, **given, **self.call.others)
        return (output[self.call.output],)


class Exchanged:
    """Takes the place of a network's ``forward``."""

    def __init__(self, switched: Switched, call: Call) -> None:
        self._switched = switched
        self._call = call

    def __call__(self, **arguments: Any) -> Any:
        """What the library reads the output of, by name or as the first."""
        from transformers.utils.generic import ModelOutput

        feeds = {name: arguments[name] for name in self._call.tensors}
        return ModelOutput({self._call.output: self._switched(feeds)[0]})  # type: ignore[no-untyped-call]  # it has no types


def graft(
    model: nn.Module,
    probe: Callable[[], object],
    encode: EncodeSettings,
    folder: Path,
    *,
    kept: tuple[Tensor, ...] = (),
) -> list[Switched]:
    """Let the backend of the settings run every network of a model.

    Args:
        model: a loaded ``SentenceTransformer``, ``SparseEncoder`` or ``CrossEncoder``.
        probe: runs the model over a text by each of its routes.
        encode: backend and precision.
        folder: the model's files.
        kept: weights that are read beside the networks.

    Raises:
        ModelError: a backend that is named cannot run one of them.
    """
    if encode == EncodeSettings(backend="torch"):
        return []
    device: Any = model.device
    if encode == EncodeSettings() and device.type != "cpu":
        return []
    grafted = []
    for number, (network, call) in enumerate(_recorded(model, probe)):
        exportable = None if call is None else _exportable(model, network, call, folder)
        if call is not None and exportable is not None:
            exportable = replace(exportable, identity=f"{number} {exportable.identity}", kept=kept)
            switched = Switched(exportable, encode, device)
            network.forward = Exchanged(switched, call)
            grafted.append(switched)
        elif encode != EncodeSettings():
            raise ModelError(
                "its network is called in a way that no graph can be made of",
                where=str(folder),
                remedy='Set encode.backend to "torch" and encode.precision to "fp32"',
            )
    return grafted


def _recorded(model: nn.Module, probe: Callable[[], object]) -> Iterator[tuple[nn.Module, Call | None]]:
    """Every transformer that the probe ran, and how; None where it cannot be repeated, or was called in two ways."""
    from transformers import PreTrainedModel

    outer = [one for one in model.modules() if isinstance(one, PreTrainedModel)]
    inner = {id(part) for one in outer for part in one.modules() if part is not one}
    calls: dict[int, list[Call | None]] = {id(one): [] for one in outer if id(one) not in inner}
    networks = [one for one in outer if id(one) in calls]
    for network in networks:
        network.forward = _recorder(network, _output(model, network), calls[id(network)])
    try:
        probe()
    finally:
        for network in networks:
            del network.forward
    for network in networks:
        if found := calls[id(network)]:
            yield network, found[0] if all(one == found[0] for one in found) else None


def _recorder(network: nn.Module, output: str | None, calls: list[Call | None]) -> Callable[..., Any]:
    def forward(*positional: Any, **named: Any) -> Any:
        result: Any = type(network).forward(network, *positional, **named)
        tensors = tuple(name for name, value in named.items() if isinstance(value, Tensor))
        others = {name: value for name, value in named.items() if name not in tensors and value is not None}
        read = output or next(iter(result.keys()))
        plain = not positional and all(isinstance(value, bool) for value in others.values())
        calls.append(Call(tensors, others, read) if plain and read in result else None)
        return result

    return forward


def _output(model: nn.Module, network: nn.Module) -> str | None:
    """The name of the output that the module around a network reads; None for the first."""
    for module in model.modules():
        if network in (getattr(module, "model", None), getattr(module, "auto_model", None)):
            text = (getattr(module, "modality_config", None) or {}).get("text") or {}
            name = text.get("method_output_name")
            return name if isinstance(name, str) else name[0] if name and len(name) == 1 else None
    return None


def _exportable(model: Any, network: Any, call: Call, folder: Path) -> Exportable | None:
    """The network to make a graph of; None where it has inputs that are not known."""
    try:
        token_feeds(call.tensors, (1, 1), 1)
    except ValueError as error:
        log.info("%s is run by torch: %s", folder, error)
        return None
    own = getattr(model, "max_seq_length", None)
    positions = getattr(network.config, "max_position_embeddings", None)
    limits = [LONGEST, *([int(own)] if own and own < 1e9 else []), *([positions - 2] if positions else [])]
    return Exportable(
        module=Core(network, call).eval(),
        inputs=call.tensors,
        outputs=(call.output,),
        identity=f"core in steps {weights_digest(folder)} {configuration_digest(folder)} {call}",
        name=str(folder),
        limit=max(1, min(limits)),
        rows=int(network.get_input_embeddings().weight.shape[0]),
    )
