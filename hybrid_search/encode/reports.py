"""What transformers reports while it loads a model: weights that the files lack, and weights that nothing takes.

A weight that the files lack is drawn at random. Some of them do nothing (the pooler of a BERT whose tokens are
averaged), so each is overwritten with NaN and a probe tells: where NaN comes out, the model cannot be used. What was
random is thereby in no vector, now or later, because encoders refuse NaN.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybrid_search.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SHOWN = 3  # names of weights in a message

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


@dataclass(frozen=True, slots=True)
class Report:
    """One loaded network; names of the weights that its files lack, and of those in the files that it does not have."""

    network: PreTrainedModel
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


@contextmanager
def recorded() -> Iterator[list[Report]]:
    """Reports of every network that transformers loads within the block.

    The library hands a report to whoever asks ``from_pretrained`` for it (``output_loading_info``);
    sentence-transformers does not ask, so that the question is put in between. Only for one thread at a time.
    """
    from transformers import PreTrainedModel

    reports: list[Report] = []
    original: Any = PreTrainedModel.__dict__["from_pretrained"]

    def from_pretrained(cls: type[PreTrainedModel], *args: Any, **kwargs: Any) -> Any:
        asked = kwargs.pop("output_loading_info", False)
        network, info = original.__func__(cls, *args, output_loading_info=True, **kwargs)
        reports.append(Report(network, _names(info["missing_keys"]), _names(info["unexpected_keys"])))
        return (network, info) if asked else network

    PreTrainedModel.from_pretrained = classmethod(from_pretrained)  # type: ignore[method-assign, assignment]
    try:
        yield reports
    finally:
        PreTrainedModel.from_pretrained = original  # type: ignore[method-assign]


def check_layers(report: Report, where: str) -> None:
    """Refuse a network that leaves stored layers out: it has weights of the same name with smaller numbers.

    Raises:
        ModelError: naming some of the weights.
    """
    prefix = f"{report.network.base_model_prefix}."
    known = {_NUMBER.sub("*", name).removeprefix(prefix) for name in report.network.state_dict()}
    refuse_more_layers(
        (name for name in report.unexpected if _NUMBER.search(name) and _pattern(name, prefix) in known), where
    )


def refuse_more_layers(names: Iterable[str], where: str) -> None:
    """Raise ModelError for stored weights of layers that the configuration does not have, if there are any."""
    if more := sorted(names):
        raise ModelError(
            f"its files hold {len(more)} weights of layers that its config.json does not have ({_some(more)})",
            where=where,
            remedy="Fetch the model again: these are the weights of one model and the configuration of another",
        )


def check_weights_used(reports: Iterable[Report], probe: Callable[[], Any], where: str) -> None:
    """Refuse a model whose result depends on weights that are not in its files.

    Args:
        reports: of all networks of the model.
        probe: runs the model over a text; gives numbers that an array can be made of.
        where: for the message.

    Raises:
        ModelError: naming some of the weights.
    """
    import numpy as np

    missing = [name for report in reports for name in _poisoned(report)]
    if not missing or np.isfinite(np.asarray(probe(), dtype=np.float64)).all():
        return
    raise ModelError(
        f"{len(missing)} of its weights are not in its files and would be random ({_some(missing)})",
        where=where,
        remedy="It is not complete, or was made for another task: fetch it again, or choose another model",
    )


def _poisoned(report: Report) -> Iterator[str]:
    """Fills the missing parameters with NaN; buffers are computed, not drawn."""
    parameters = dict(report.network.named_parameters(remove_duplicate=False))
    # A weight that is tied to a stored one is that one.
    stored = {weight.data_ptr() for name, weight in parameters.items() if name not in report.missing}
    for name in report.missing:
        weight = parameters.get(name)
        if weight is not None and weight.is_floating_point() and weight.data_ptr() not in stored:
            weight.data.fill_(math.nan)
            yield name


def _pattern(name: str, prefix: str) -> str:
    return _NUMBER.sub("*", name).removeprefix(prefix)


def _names(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(keys))


def _some(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:SHOWN])
    return f"{shown}, ..." if len(names) > SHOWN else shown
