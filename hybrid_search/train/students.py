"""The four kinds of students behind one face: what each begins with, how it is measured before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from hybrid_search.encode.finetune.recipe import DENSE, RERANK, SPARSE, STARTER, Recipe
from hybrid_search.encode.finetune.records import Corpus, Fitted, OnProgress, Pair
from hybrid_search.encode.finetune.scores import dense_scores, sparse_scores
from hybrid_search.encode.finetune.watch import Watch
from hybrid_search.encode.pair import PairEncoder
from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.errors import SettingsError
from hybrid_search.search import SearchClient
from hybrid_search.settings import NO_MODEL, DenseSettings, RerankSettings, Settings, SparseSettings
from hybrid_search.train.bench import FUSED, RERANKED, Bench, Systems
from hybrid_search.train.mine import retrieved_for
from hybrid_search.train.reranked import look_by, reranked

if TYPE_CHECKING:
    from hybrid_search.encode.finetune.cross import CrossStudent
    from hybrid_search.encode.finetune.dense import DenseStudent
    from hybrid_search.encode.finetune.head import HeadStudent
    from hybrid_search.encode.finetune.splade import SpladeStudent
    from hybrid_search.encode.starter import StarterEncoder

BLOCK = 512
"""Passages that are encoded between two words of progress."""

Encode = Callable[[Sequence[str]], EncodedTexts]


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

    def fit(self, pairs: Sequence[Pair], corpus: Corpus, bench: Bench, watch: Watch) -> Fitted:
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
    kinds: dict[str, Callable[[SearchClient, Recipe], Student]] = {
        DENSE: _Dense,
        STARTER: _Starter,
        SPARSE: _Splade,
        RERANK: _Cross,
    }
    return kinds[recipe.what](client, recipe)


def needs_leg(client: SearchClient, leg: str) -> None:
    """Raise SettingsError where the index has no such leg: there would be nothing to compare with."""
    schema = client.searcher.target.schema
    if getattr(schema, leg) is None:
        raise SettingsError(
            f"the index has no {leg} leg, so that there is nothing to be better than",
            where=client.searcher.target.where,
            remedy=f"Load it with a {leg}.model first, and train that",
        )


class _Trained(Protocol):
    """What the students of the four kinds share."""

    folder: Path

    def save(self, folder: Path) -> None: ...


class _Wrapped:
    """A student of one kind, and what it begins with."""

    system = FUSED

    def __init__(self, recipe: Recipe, base: str, student: _Trained) -> None:
        self.recipe, self.base, self.folder = recipe, base, student.folder
        self._student: _Trained = student

    def save(self, folder: Path) -> None:
        from hybrid_search.encode.loading import quiet

        with quiet():
            self._student.save(folder)


class _Dense(_Wrapped):
    """The bi-encoder."""

    _student: DenseStudent

    def __init__(self, client: SearchClient, recipe: Recipe) -> None:
        from hybrid_search.encode.finetune.dense import DenseStudent

        needs_leg(client, DENSE)
        settings = base_settings(client.searcher.settings, recipe)
        super().__init__(recipe, settings.model, DenseStudent(settings, recipe))

    def fit(self, pairs: Sequence[Pair], corpus: Corpus, bench: Bench, watch: Watch) -> Fitted:
        del corpus
        return self._student.fit(pairs, bench.validation(), watch)

    def before(self, client: SearchClient, bench: Bench, progress: OnProgress) -> Systems:
        return bench.found(retrieved_for(client, bench.judged.queries, progress, legs=[DENSE], exact=True))

    def after(self, client: SearchClient, folder: Path, bench: Bench, progress: OnProgress) -> Systems:
        from hybrid_search.encode.dense import load_dense

        settings = client.searcher.settings
        dense = replace(settings.dense, model=str(folder), device=self.recipe.device or settings.dense.device)
        encoder = load_dense(dense, settings.encode)
        queries = encoder.encode_queries([query.text for query in bench.judged.queries])
        blocks = [encoder.encode_documents(texts) for texts in blocks_of(bench.corpus.texts, progress)]
        return bench.measured(dense_scores(queries, np.concatenate(blocks)))


class _Starter(_Wrapped):
    """The starter's head, on frozen states."""

    _student: HeadStudent

    def __init__(self, client: SearchClient, recipe: Recipe) -> None:
        from hybrid_search.encode.finetune.head import HeadStudent

        needs_leg(client, SPARSE)
        self._sparse = client.searcher.settings.sparse
        starter = _starter_of(client.searcher.settings, self._sparse.model)
        super().__init__(recipe, self._sparse.model, HeadStudent(starter, recipe))

    def fit(self, pairs: Sequence[Pair], corpus: Corpus, bench: Bench, watch: Watch) -> Fitted:
        return self._student.fit(pairs, corpus.texts, bench.validation(), watch)

    def before(self, client: SearchClient, bench: Bench, progress: OnProgress) -> Systems:
        del client, progress
        return bench.found(bench.retrieved)

    def after(self, client: SearchClient, folder: Path, bench: Bench, progress: OnProgress) -> Systems:
        starter = _starter_of(client.searcher.settings, str(folder))
        return bench.measured(_sparse_scores(starter.encode_queries, starter.encode_documents, bench, progress))


class _Splade(_Wrapped):
    """A SPLADE model."""

    _student: SpladeStudent

    def __init__(self, client: SearchClient, recipe: Recipe) -> None:
        from hybrid_search.encode.finetune.splade import SpladeStudent

        needs_leg(client, SPARSE)
        live = client.searcher.settings.sparse
        settings = live if recipe.base is None else SparseSettings(model=recipe.base)
        if settings.url is not None or settings.model in {"starter", "idf", "precomputed"}:
            remedy = "Name a SPLADE model: --base; or train the starter: --what starter"
            raise SettingsError("is no SPLADE model with weights here", where="sparse.model", remedy=remedy)
        settings = settings if recipe.device is None else replace(settings, device=recipe.device)
        super().__init__(recipe, settings.model, SpladeStudent(settings, recipe))

    def fit(self, pairs: Sequence[Pair], corpus: Corpus, bench: Bench, watch: Watch) -> Fitted:
        del corpus
        return self._student.fit(pairs, bench.validation(), watch)

    def before(self, client: SearchClient, bench: Bench, progress: OnProgress) -> Systems:
        del client, progress
        return bench.found(bench.retrieved)

    def after(self, client: SearchClient, folder: Path, bench: Bench, progress: OnProgress) -> Systems:
        from hybrid_search.encode.sparse import load_sparse

        settings = client.searcher.settings
        sparse = SparseSettings(model=str(folder), max_terms=settings.sparse.max_terms, device=self.recipe.device)
        half: Any = load_sparse(sparse, settings.encode)
        model = PairEncoder(None, half)
        return bench.measured(_sparse_scores(model.encode_queries, model.encode_documents, bench, progress))


class _Cross(_Wrapped):
    """The cross-encoder; what it is better than is the reranking that is live, or the fusion without one."""

    _student: CrossStudent

    system = RERANKED

    def __init__(self, client: SearchClient, recipe: Recipe) -> None:
        from hybrid_search.encode.finetune.cross import CrossStudent

        live = client.searcher.settings.rerank
        if recipe.base is None and (live.url is not None or live.model in {NO_MODEL, "late"}):
            remedy = "Name a cross-encoder, or a bi-encoder to make one of: --base"
            raise SettingsError("names no cross-encoder with weights here", where="rerank.model", remedy=remedy)
        settings = live if recipe.base is None else RerankSettings(model=recipe.base)
        settings = settings if recipe.device is None else replace(settings, device=recipe.device)
        self._reranking = client.searcher.default_reranking()
        super().__init__(recipe, settings.model, CrossStudent(settings, recipe))

    def fit(self, pairs: Sequence[Pair], corpus: Corpus, bench: Bench, watch: Watch) -> Fitted:
        return self._student.fit(pairs, lambda score: look_by(bench, corpus, self._reranking, score), watch)

    def before(self, client: SearchClient, bench: Bench, progress: OnProgress) -> Systems:
        del progress
        live = client.searcher.reranker
        return reranked(bench, bench.corpus, self._reranking, None if live is None else live.score)

    def after(self, client: SearchClient, folder: Path, bench: Bench, progress: OnProgress) -> Systems:
        from hybrid_search.encode.cross import load_cross

        del progress
        settings = RerankSettings(model=str(folder), device=self.recipe.device)
        model = load_cross(settings, client.searcher.settings.encode)
        return reranked(bench, bench.corpus, self._reranking, model.score)


def _starter_of(settings: Settings, model: str) -> StarterEncoder:
    """The starter with a head, on a pass of its own.

    Raises:
        SettingsError: the sparse model is no starter.
    """
    from hybrid_search.encode.starter import StarterEncoder, load_starter
    from hybrid_search.encode.starter_files import trained_head

    if model != "starter" and trained_head(model) is None:
        remedy = "Train what is there: --what dense, or --what sparse with --base"
        raise SettingsError(f"is {model!r}, no starter", where="sparse.model", remedy=remedy)
    sparse = SparseSettings(model=model, device=settings.sparse.device or settings.dense.device)
    alone = Settings(dense=DenseSettings(model=NO_MODEL), sparse=sparse, encode=settings.encode)
    found = load_starter(alone)
    if not isinstance(found, StarterEncoder):
        raise SettingsError("is no starter", where="sparse.model")
    return found


def _sparse_scores(
    encode_queries: Encode, encode_documents: Encode, bench: Bench, progress: OnProgress
) -> NDArray[np.float32]:
    """Dot products, (queries, passages), by an encoder that is loaded."""
    queries = encode_queries([query.text for query in bench.judged.queries]).sparse or ()
    passages = [
        vector for texts in blocks_of(bench.corpus.texts, progress) for vector in encode_documents(texts).sparse or ()
    ]
    return sparse_scores(queries, passages)


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
