"""The four kinds of students behind one face: what each begins with, how it is measured before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from msgspec.structs import replace

from hybrid_search.errors import SettingsError
from hybrid_search.evaluate.retrieval import OnProgress
from hybrid_search.search import SearchClient
from hybrid_search.settings import NO_MODEL, DenseSettings, Settings
from hybrid_search.train.bench import FUSED, Bench, Systems, dense_scores
from hybrid_search.train.fit import Watch
from hybrid_search.train.mine import retrieved_for
from hybrid_search.train.recipe import DENSE, Recipe
from hybrid_search.train.records import Fitted, Pair

BLOCK = 512
"""Passages that are encoded between two words of progress."""


class Student(Protocol):
    """A model that is trained for an index."""

    @property
    def recipe(self) -> Recipe:
        """How it is trained."""
        ...

    @property
    def base(self) -> str:
        """What the settings call the model that training begins with."""
        ...

    @property
    def folder(self) -> Path:
        """Its files."""
        ...

    @property
    def system(self) -> str:
        """The system by which it is called better."""
        ...

    def before(self, client: SearchClient, bench: Bench, progress: OnProgress) -> Systems:
        """What is live, measured."""
        ...

    def fit(self, pairs: Sequence[Pair], bench: Bench, watch: Watch) -> Fitted:
        """Train; ``bench`` is of the validation queries."""
        ...

    def save(self, folder: Path) -> None:
        """Write what was trained as a folder that the settings take."""
        ...

    def after(self, client: SearchClient, folder: Path, bench: Bench, progress: OnProgress) -> Systems:
        """The folder, loaded as a search would, measured."""
        ...


def student_of(client: SearchClient, recipe: Recipe) -> Student:
    """The student that a recipe asks for.

    Raises:
        SettingsError: the index lacks the leg.
        ModelError: the base cannot be found, loaded or trusted.
        MissingExtraError: the extra [train] is not installed.
    """
    if recipe.what == DENSE:
        return _Dense(client, recipe)
    raise NotImplementedError(recipe.what)


def needs_leg(client: SearchClient, leg: str) -> None:
    """Raise SettingsError where the index has no such leg: there would be nothing to compare with."""
    schema = client.searcher.target.schema
    if getattr(schema, leg) is None:
        raise SettingsError(
            f"the index has no {leg} leg, so that there is nothing to be better than",
            where=client.searcher.target.where,
            remedy=f"Load it with a {leg}.model first, and train that",
        )


class _Dense:
    """The bi-encoder."""

    system = FUSED

    def __init__(self, client: SearchClient, recipe: Recipe) -> None:
        from hybrid_search.train.dense import DenseStudent

        needs_leg(client, DENSE)
        settings = base_settings(client.searcher.settings, recipe)
        self.base = settings.model
        self.recipe = recipe
        self._student = DenseStudent(settings, recipe)
        self.folder = self._student.folder

    def before(self, client: SearchClient, bench: Bench, progress: OnProgress) -> Systems:
        return bench.found(retrieved_for(client, bench.judged.queries, progress, legs=[DENSE], exact=True))

    def fit(self, pairs: Sequence[Pair], bench: Bench, watch: Watch) -> Fitted:
        return self._student.fit(pairs, bench, watch)

    def save(self, folder: Path) -> None:
        self._student.save(folder)

    def after(self, client: SearchClient, folder: Path, bench: Bench, progress: OnProgress) -> Systems:
        from hybrid_search.encode.dense import load_dense

        settings = client.searcher.settings
        dense = replace(settings.dense, model=str(folder), device=self.recipe.device or settings.dense.device)
        encoder = load_dense(dense, settings.encode)
        queries = encoder.encode_queries([query.text for query in bench.judged.queries])
        blocks = [encoder.encode_documents(texts) for texts in blocks_of(bench.corpus.texts, progress)]
        return bench.measured(dense_scores(queries, np.concatenate(blocks)))


def base_settings(settings: Settings, recipe: Recipe) -> DenseSettings:
    """Of the model that training begins with.

    Raises:
        SettingsError: its vectors are precomputed or come from a service, so that there are no weights here.
    """
    dense = settings.dense if recipe.base is None else DenseSettings(model=recipe.base)
    if dense.url is not None or dense.model in {"precomputed", NO_MODEL}:
        raise SettingsError("has no weights here to begin with", where="dense.model", remedy="Name a model: --base")
    return dense if recipe.device is None else replace(dense, device=recipe.device)


def blocks_of(texts: Sequence[str], progress: OnProgress) -> Iterator[Sequence[str]]:
    """The texts in blocks, with a word of progress behind each."""
    for begin in range(0, len(texts), BLOCK):
        yield texts[begin : begin + BLOCK]
        progress("measure", min(begin + BLOCK, len(texts)), len(texts))
