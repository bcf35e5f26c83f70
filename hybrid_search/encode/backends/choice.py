"""Which backend runs a network: the one that is named, or the fastest that is installed and agrees with torch."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hybrid_search.encode.backends.cache import GraphCache
from hybrid_search.encode.backends.export import export
from hybrid_search.encode.backends.network import Exportable, Feeds, Network, TorchNetwork, agreement, seconds
from hybrid_search.encode.backends.runtimes import OPENERS, installed
from hybrid_search.encode.threads import own_threads
from hybrid_search.errors import HybridSearchError, ModelError, SettingsError
from hybrid_search.settings import EncodeSettings
from hybrid_search.settings.models import COMPUTES

log = logging.getLogger(__name__)

AGREE = {"fp32": 0.99999, "bf16": 0.9995, "fp16": 0.9995, "int8": 0.9}
"""The least agreement with torch in float32 by which a backend is used, by precision. Of 8-bit integers only what is
broken is refused: they are chosen by name, and the index knows."""

USES = ("query", "passages")
"""What a network is used for, as in :class:`Report`; each has the backend that is fastest for it."""

FEW = 128
"""Tokens up to which a pass counts as a query: calling the operators is half of its time, and arithmetic the rest."""

PREPARE_AFTER = 1000
"""Passages of one process after which ``auto`` makes a graph: a minute's work or more, beside some ten seconds."""

QUERY, PASSAGES = (1, 8), (8, 200)
"""What is timed."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one backend does with one network here.

    Attributes:
        backend: its name.
        precision: what it computes in.
        agreement: the least cosine to torch in float32 (:func:`~hybrid_search.encode.backends.network.agreement`).
        query: seconds for one text of 8 tokens.
        passages: seconds for 8 texts of 193 to 200 tokens.
        made: seconds that the graph took to make; 0 where it was there, and for torch.
    """

    backend: str
    precision: str
    agreement: float
    query: float
    passages: float
    made: float = 0.0


class Switched:
    """A network run by whichever backends were chosen for it; safe to share between threads.

    ``backends`` names them: of passes over few tokens (``query``) and over many (``passages``). Eager torch is slow to
    call and quick to compute: for many passages it can be the fastest where for a query it is not.

    ``auto`` takes what was measured before on this machine, and else torch: making a graph takes seconds, which a
    search has not. :meth:`prepare` makes and measures; loads call it once they have encoded some passages.

    Args:
        exportable: the network.
        settings: backend and precision.
        device: where the network's module is.
        root: of the cache of graphs; None takes the user's own.

    Raises:
        SettingsError: this backend or precision does not go with the device.
        ModelError: a backend that is named cannot run the network, or does not give what torch gives.
        MissingExtraError: a backend that is named is not installed.
    """

    def __init__(
        self, exportable: Exportable, settings: EncodeSettings, device: torch.device, *, root: Path | None = None
    ) -> None:
        self.exportable = exportable
        self.backends = dict.fromkeys(USES, "torch")
        self._precision = settings.precision
        self._device = device
        self._cache = GraphCache(exportable.identity, root)
        self._lock = threading.Lock()
        self._passed = 0
        self._whole = TorchNetwork(exportable, device)
        self._networks: dict[str, Network] = dict.fromkeys(USES, self._whole)
        self._settled = settings.backend != "auto" or device.type != "cpu"
        if self._precision == "fp16" and device.type == "cpu":
            raise SettingsError(
                "is fp16, which a CPU computes slowly", where="encode.precision", remedy='Set it to "bf16" or "fp32"'
            )
        if settings.backend not in ("auto", "torch"):
            self._settle(dict.fromkeys(USES, settings.backend))
        elif self._settled:
            self._settle(self.backends)
        else:
            self._take_known()

    def __call__(self, feeds: Feeds) -> Sequence[Tensor]:
        """The outputs in float32: on the module's device with torch, else on the CPU."""
        few = feeds[self.exportable.inputs[0]].numel() <= FEW
        return self._networks["query" if few else "passages"](feeds)

    def prepare(self) -> None:
        """Let ``auto`` make a graph and choose, once; does nothing where a backend is named or was chosen."""
        with self._lock:
            if self._settled:
                return
            self._settled = True
            try:
                self._choose()
            except HybridSearchError as error:
                if self._precision != "fp32":
                    raise
                log.info("%s is run by torch: %s", self.exportable.name, error)

    def _choose(self) -> None:
        """Measure, remember and take the fastest."""
        candidates = self._candidates()
        if self._precision == "fp32" and len(candidates) == 1:
            return
        reports = list(self._reports(candidates))
        if not reports:
            raise ModelError(
                f"nothing that is installed computes it in {self._precision}",
                where=self.exportable.name,
                remedy="Run: pip install 'hybrid-search[onnx,openvino]', or set encode.precision to \"fp32\"",
            )
        best = {use: min(reports, key=attrgetter(use)).backend for use in USES}
        self._cache.keep(self._what("auto"), _situation(), {**best, "reports": _plain(reports)})
        self._settle(best)

    def passed(self, texts: int) -> None:
        """Count texts that are about to be encoded; after :data:`PREPARE_AFTER` of them it pays to prepare."""
        if not self._settled:
            self._passed += texts
            if self._passed >= PREPARE_AFTER:
                self.prepare()

    def check(self) -> list[Report]:
        """What torch and every backend that is installed do with this network here, in every precision.

        Only while torch runs the network in float32 (``encode.backend = "torch"``): its weights are let go else.
        """
        pairs = [(name, precision) for name in installed() for precision in COMPUTES[name]]
        return list(self._reports([("torch", "fp32"), *pairs]))

    def _what(self, backend: str) -> str:
        return f"{backend}-{self._precision}"

    def _candidates(self) -> list[tuple[str, str]]:
        """Backends that compute in the precision, torch first."""
        ours = [] if self._precision == "int8" else ["torch"]
        return [(name, self._precision) for name in (*ours, *installed()) if name == "torch" or self._runs(name)]

    def _runs(self, backend: str) -> bool:
        return self._precision in COMPUTES[backend]

    def _take_known(self) -> None:
        """What was measured before; a precision that is not the usual one was asked for, and is measured now."""
        what = self._what("auto")
        known = self._cache.recall(what, _situation()) if self._cache.has(what) else None
        if known is None and self._precision == "fp32":
            return
        if known is None:
            self.prepare()
            return
        self._settled = True
        try:
            self._settle({use: str(known[use]) for use in USES})
        except HybridSearchError as error:
            log.info("%s runs by torch: %s", self.exportable.name, error)

    def _settle(self, backends: Mapping[str, str]) -> None:
        """Run the network by these backends from now on: one for few tokens, one for many, or one for both."""
        made = {backend: self._agreeing(backend) for backend in set(backends.values())}
        self._networks = {use: made[backend] for use, backend in backends.items()}
        self.backends = dict(backends)
        if self._whole not in made.values():
            self.exportable.free()

    def _agreeing(self, backend: str) -> Network:
        """The network by one backend, which was shown to give what torch gives, now or before."""
        if backend == "torch" and self._precision == "fp32":
            return self._whole
        network, _ = self._opened(backend, self._precision)
        if backend == "torch" or self._cache.recall(self._what(backend), _situation()) is None:
            found = self._agreement(network, self._references())
            self._require(found, backend)
            if backend != "torch":
                self._cache.keep(self._what(backend), _situation(), {"agreement": found})
        return network

    def _require(self, found: float, backend: str) -> None:
        if found < AGREE[self._precision]:
            raise ModelError(
                f"{backend} in {self._precision} gives other results than torch (agreement {found:.5f}, "
                f"{AGREE[self._precision]} is needed)",
                where=self.exportable.name,
                remedy='Set encode.backend to "torch", or encode.precision to "fp32"',
            )

    def _references(self) -> list[Sequence[Tensor]]:
        """What torch gives for the probes in float32."""
        return [self._whole(feeds) for feeds in self.exportable.probes]

    def _agreement(self, network: Network, references: list[Sequence[Tensor]]) -> float:
        probes = self.exportable.probes
        return min(agreement(network(feeds), one, feeds) for feeds, one in zip(probes, references, strict=True))

    def _reports(self, candidates: Sequence[tuple[str, str]]) -> Iterator[Report]:
        """One of each candidate that agrees; torch, which always does, is the first."""
        references = self._references()
        query, passages = self.exportable.feeds(*QUERY), self.exportable.feeds(*PASSAGES)
        for backend, precision in candidates:
            try:
                network: Network = self._whole
                made = 0.0
                if (backend, precision) != ("torch", "fp32"):
                    network, made = self._opened(backend, precision)
                found = self._agreement(network, references)
            except HybridSearchError as error:
                log.info("%s is not run by %s: %s", self.exportable.name, backend, error)
                continue
            if found >= AGREE[precision]:
                times = seconds(network, query, 5), seconds(network, passages, 2)
                yield Report(backend, precision, found, *times, made)

    def _opened(self, backend: str, precision: str) -> tuple[Network, float]:
        """A session over the graph, and the seconds that it took to make it; a graph that cannot be read is remade."""
        if backend == "torch":
            return TorchNetwork(self.exportable, self._device, precision), 0.0
        begun = time.perf_counter()
        graph = "int8" if precision == "int8" else "fp32"
        make = partial(export, self.exportable, int8=graph == "int8")
        was_there = self._cache.find(graph) is not None
        folder = self._cache.made(graph, make)
        made = 0.0 if was_there else time.perf_counter() - begun
        try:
            return OPENERS[backend](folder, precision, self._device), made
        except HybridSearchError:
            raise
        except Exception:  # noqa: BLE001 - whatever a graph of another release makes the library raise
            log.info("the graph of %s cannot be read and is made again", self.exportable.name)
            self._cache.discard(graph)
        try:
            return OPENERS[backend](self._cache.made(graph, make), precision, self._device), made
        except Exception as error:  # whatever makes a graph unreadable that was just made
            raise ModelError(
                f"{backend} cannot read its graph ({type(error).__name__})",
                where=self.exportable.name,
                remedy='Set encode.backend to "torch"',
            ) from error


def _situation() -> dict[str, Any]:
    """What the speed and the results of a backend depend on."""
    return {
        "versions": {name: _version(name) for name in ("torch", "onnxruntime", "openvino")},
        "threads": own_threads(),
        "processor": _processor(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{named or platform.processor() or platform.machine()} x {os.cpu_count()}"


def _plain(reports: Sequence[Report]) -> list[dict[str, Any]]:
    return [asdict(report) for report in reports]
