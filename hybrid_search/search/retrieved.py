"""What came of the legs of one query: their runs, what is missing of them, and the one ranking that they make."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from hybrid_search.errors import HybridSearchError
from hybrid_search.records import LegReport, Query
from hybrid_search.search.carried import Values
from hybrid_search.search.collapse import Best
from hybrid_search.search.degradation import leg_warnings, unanswered
from hybrid_search.search.fusion import Fused, Fusion, fuse, in_order
from hybrid_search.search.outcomes import Failed, Found, Late, Outcome, Skipped
from hybrid_search.search.signals import signals_of
from hybrid_search.search_warnings import SearchWarning

_ID_AND_SCORE = attrgetter("id", "score")


@dataclass(frozen=True, slots=True)
class LegRun:
    """What one leg found for one query.

    Attributes:
        hits: documents by id, in rank order.
        took_ms: the engine's own milliseconds.
        missing: the score of what it did not find, where it found all that it can; None where that is not known.
        timed_out: the engine stopped it.
        values: what the passages of ``hits`` brought along (:mod:`hybrid_search.search.carried`), by the same ids.
        passages: the scores of all passages that it found, by their ids, where hits are to show more than one.
        unseen: the legs that cannot see some of the hits, which have no vectors yet, by the ids of these.
        is_of_wholes: it found documents and not passages, so that others know better which passage is meant.
    """

    hits: Mapping[str, Best] = field(default_factory=dict)
    took_ms: float = 0.0
    missing: float | None = None
    timed_out: bool = False
    values: Mapping[str, Values] = field(default_factory=dict)
    passages: Mapping[str, float] = field(default_factory=dict)
    unseen: Mapping[str, Collection[str]] = field(default_factory=dict)
    is_of_wholes: bool = False


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What came of every leg for one query, by name, in the order of the plan.

    Where the server fused, ``by_server`` is what came of it, in the server's order, and ``legs`` has those alone that
    it was not asked for. ``cuts`` say for which encoders the query was too long. ``added`` is what no leg found and
    what stands in the list all the same (:mod:`hybrid_search.search.boosting`).
    """

    query: Query
    legs: Mapping[str, Outcome[LegRun]] = field(default_factory=dict)
    by_server: Outcome[LegRun] | None = None
    cuts: tuple[SearchWarning, ...] = ()
    added: LegRun = field(default_factory=LegRun)

    @property
    def error(self) -> HybridSearchError | None:
        """Why nothing could be searched at all."""
        return unanswered(self.legs.values() if self.by_server is None else [self.by_server])

    @property
    def errors(self) -> dict[str, HybridSearchError]:
        """Why legs did not answer."""
        return {name: one.error for name, one in self.legs.items() if isinstance(one, Failed | Late)}

    @property
    def runs(self) -> dict[str, Mapping[str, Best]]:
        """What each leg that answered found."""
        return {name: run.hits for name, run in self._answered().items()}

    @property
    def missing(self) -> dict[str, float]:
        """What documents scored that a leg did not find, for the legs that found all that they can."""
        return {name: run.missing for name, run in self._answered().items() if run.missing is not None}

    @property
    def reports(self) -> dict[str, LegReport]:
        """How each leg fared."""
        return {name: _report(one) for name, one in self.legs.items()}

    @property
    def warnings(self) -> tuple[SearchWarning, ...]:
        """What the answers lack; how the query was cut comes first."""
        said = [note for name, one in self.legs.items() for note in leg_warnings(name, one)]
        said += () if self.by_server is None else leg_warnings("", self.by_server)
        return (*self.cuts, *said)

    @property
    def values(self) -> dict[str, Values]:
        """What the hits of all legs brought along, by the ids of the runs: documents, or passages if not collapsed."""
        runs = [self.by_server.value] if isinstance(self.by_server, Found) else list(self._answered().values())
        return {id_: values for run in [*runs, self.added] for id_, values in run.values.items()}

    def scores(self) -> dict[str, list[tuple[str, float]]]:
        """The runs as fusion takes them."""
        return {name: list(map(_ID_AND_SCORE, run.values())) for name, run in self.runs.items()}

    def fused(self, fusion: Fusion, among: Collection[str] | None = None) -> Sequence[Fused]:
        """One ranking of what the legs found (those ``among`` them); that of the server where it fused."""
        if isinstance(self.by_server, Found):
            return [Fused(best.id, best.score, {}) for best in self.by_server.value.hits.values()]
        runs = {name: run for name, run in self.scores().items() if among is None or name in among}
        return fuse(runs, self.fusion(fusion, among), missing=self.missing, unseen=self._unseen())

    def fusion(self, fusion: Fusion, among: Collection[str] | None = None) -> Fusion:
        """The fusion of this query: with the weights that the rules give it, of legs that answered (``among`` them)."""
        if not fusion.rules:
            return fusion
        runs = self.scores()
        legs = [name for name in runs if among is None or name in among]
        return fusion.for_query(signals_of(self.query, runs, self.missing), legs)

    def passages(self, fusion: Fusion) -> Sequence[Fused]:
        """All passages that the legs found as one ranking of their own; those of the server where it fused."""
        if isinstance(self.by_server, Found):
            ranked = in_order(self.by_server.value.passages.items())
            return [Fused(id_, score, {}) for id_, score in ranked]
        runs = {name: list(run.passages.items()) for name, run in self._answered().items()}
        return fuse(runs, self.fusion(fusion), missing=self.missing)

    def best(self, hit: Fused) -> Best:
        """The passage that stands for a fused hit: that of the leg which contributed most, ties in order of legs."""
        if (added := self.added.hits.get(hit.id)) is not None:
            return added
        if isinstance(self.by_server, Found):
            return self.by_server.value.hits[hit.id]
        name = self.standing(hit)
        found = self.legs[name]
        if not isinstance(found, Found):
            raise KeyError(name)
        return found.value.hits[hit.id]

    def standing(self, hit: Fused) -> str:
        """The leg whose passage stands for a hit that legs have found."""
        wholes = {name for name, run in self._answered().items() if run.is_of_wholes}
        found_by = [name for name in self.legs if name in hit.legs]
        return max(found_by, key=lambda name: (name not in wholes, hit.legs[name].contribution))

    def placed(self, name: str, passages: Mapping[str, str]) -> Retrieved:
        """The same with the passages that a leg has found its hits by, by their ids."""
        leg = self.legs[name]
        if not isinstance(leg, Found):
            return self
        hits = {
            id_: best._replace(passage_id=passages.get(id_, best.passage_id)) for id_, best in leg.value.hits.items()
        }
        return replace(self, legs={**self.legs, name: replace(leg, value=replace(leg.value, hits=hits))})

    def _unseen(self) -> dict[str, Collection[str]]:
        """Which legs cannot see what others have found."""
        return {id_: legs for run in self._answered().values() for id_, legs in run.unseen.items()}

    def _answered(self) -> dict[str, LegRun]:
        """The runs of legs that answered; that of a leg which had nothing to do is empty."""
        answered: dict[str, LegRun] = {}
        for name, one in self.legs.items():
            if isinstance(one, Found):
                answered[name] = one.value
            elif isinstance(one, Skipped):
                answered[name] = LegRun()
        return answered


def _report(outcome: Outcome[LegRun]) -> LegReport:
    match outcome:
        case Found(run):
            return LegReport(len(run.hits), run.took_ms, timed_out=run.timed_out)
        case Skipped():
            return LegReport(hits=0, took_ms=0.0)
        case Failed(error) | Late(error):
            return LegReport(hits=0, took_ms=0.0, failure=str(error))
