"""The cross-encoder, by sentence-transformers' trainer: relevant or not (binary cross-entropy), or a teacher's margins.

Measured as it is used: the first hits of the fused ranking, scored again and combined with their fused scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.kinds import kind_of
from hybrid_search.encode.loading import find_trusted, load_model
from hybrid_search.encode.sources import find_model
from hybrid_search.evaluate.runs import Ranking
from hybrid_search.search.rerank import Reranking, combine
from hybrid_search.settings import RerankSettings
from hybrid_search.train.bench import RERANKED, Bench, Systems
from hybrid_search.train.dense import columns_of
from hybrid_search.train.fit import CROSS_ENCODER, Watch, adapt, fit
from hybrid_search.train.recipe import Recipe
from hybrid_search.train.records import Corpus, Fitted, Pair

LOOKED_AT, DEEP = 60, 20
"""Validation queries, and hits of each, that are scored at a look."""

Score = Callable[[str, Sequence[str]], NDArray[np.float32]]
"""Scores of passages for a query."""


class CrossStudent:
    """A cross-encoder that is trained.

    Args:
        settings: which model and where; a bi-encoder is given a head of random weights by the seed.
        recipe: how.
        reranking: window and weight of the settings.

    Raises:
        ModelError: the model cannot be found, loaded or trusted.
    """

    def __init__(self, settings: RerankSettings, recipe: Recipe, reranking: Reranking) -> None:
        self.recipe, self.reranking = recipe, reranking
        self.folder, self.model = _loaded(settings, recipe.seed)
        if recipe.lora:
            adapt(self.model, recipe.lora, recipe.seed)
            for name, parameter in self.model.named_parameters():
                if "classifier" in name or "score" in name:
                    parameter.requires_grad_(True)

    def fit(self, pairs: Sequence[Pair], corpus: Corpus, bench: Bench, watch: Watch) -> Fitted:
        """Train on pairs; ``bench`` is of the validation queries."""

        def score(query: str, passages: Sequence[str]) -> NDArray[np.float32]:
            found = self.model.predict([(query, one) for one in passages], show_progress_bar=False)
            return np.asarray(found, np.float32)

        def look() -> float:
            return reranked(bench, corpus, self.reranking, score, deep=DEEP, most=LOOKED_AT)[RERANKED].mean["nDCG@10"]

        watch.look = look
        return fit(CROSS_ENCODER, self.model, self._columns(pairs), self._loss(), watch)

    def save(self, folder: Path) -> None:
        """Write the model as the library does."""
        self.model.save_pretrained(str(folder), create_model_card=False)

    def _columns(self, pairs: Sequence[Pair]) -> dict[str, Sequence[Any]]:
        if self.recipe.loss == "distill":
            return columns_of(pairs, self.recipe)
        rows = [(pair.query, pair.positive, 1.0) for pair in pairs]
        rows += [(pair.query, text, 0.0) for pair in pairs for text in pair.negatives]
        query, passage, label = zip(*rows, strict=True)
        return {"query": query, "passage": passage, "label": label}

    def _loss(self) -> Any:
        import torch
        from sentence_transformers.cross_encoder import losses

        if self.recipe.loss == "distill":
            return losses.MarginMSELoss(self.model)
        return losses.BinaryCrossEntropyLoss(self.model, pos_weight=torch.tensor(float(self.recipe.negatives)))


def _loaded(settings: RerankSettings, seed: int) -> tuple[Path, Any]:
    """The files of the base, and the model; of a bi-encoder, its transformer under a new head."""
    base = find_model(settings.model, allow_pickle=settings.allow_pickle, trust_remote_code=settings.trust_remote_code)
    if kind_of(base).role != "dense":
        folder = find_trusted(settings, "rerank")
        return folder, load_model("CrossEncoder", folder, settings, "rerank")
    import tempfile

    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from hybrid_search.encode.loading import quiet

    with tempfile.TemporaryDirectory() as made, quiet():
        torch.manual_seed(seed)
        AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, use_safetensors=True).save_pretrained(
            made
        )
        AutoTokenizer.from_pretrained(base).save_pretrained(made)
        named = RerankSettings(model=made, device=settings.device)
        return base, load_model("CrossEncoder", Path(made), named, "rerank")


def reranked(
    bench: Bench,
    corpus: Corpus,
    reranking: Reranking,
    score: Score | None,
    *,
    deep: int | None = None,
    most: int | None = None,
) -> Systems:
    """The fused ranking with its first hits scored again, as a search does it; as it is without ``score``.

    Args:
        bench: queries and what the legs found.
        corpus: with the passages of those hits; others keep their place below.
        reranking: window and weight.
        score: of passages for a query.
        deep: hits that are scored, fewer than the window has.
        most: queries that are measured, the first.
    """
    place = {id_: number for number, id_ in enumerate(corpus.ids)}
    window = min(reranking.window, deep or reranking.window)
    runs: dict[str, Ranking] = {}
    for one in bench.retrieved[:most]:
        fused = one.fused(bench.fusion, bench.legs)
        texts = [_text(corpus, place, one.best(hit).passage_id) for hit in fused[:window]]
        if score is None or not texts:
            runs[str(one.query.id)] = [(hit.id, hit.score) for hit in fused]
            continue
        scores = score(one.query.text, texts).tolist()
        runs[str(one.query.id)] = [(hit.hit.id, hit.score) for hit in combine(fused, scores, reranking.weight)]
    return {RERANKED: bench.measure(runs, only=runs)}


def _text(corpus: Corpus, place: Mapping[str, int], passage_id: str) -> str:
    return corpus.texts[place[passage_id]] if passage_id in place else ""
