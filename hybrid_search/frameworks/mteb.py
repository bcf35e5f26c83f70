"""mteb 2: the whole hybrid search as a model that ``mteb.evaluate`` measures, and our encoders and rerankers.

    with HybridIndex("mteb", settings=settings) as index:
        mteb.evaluate(index, mteb.get_tasks(["SciFact"]))

mteb keeps results by the name and the revision of a model: the revision here changes with every setting that changes
a ranking. It asks for 1,000 documents; given are those within the window of the settings (``search.window``), in the
ranking that a user gets.
"""

# ruff: noqa: E402  # a framework that is missing or too old is named before its imports fail
from __future__ import annotations

from hybrid_search.frameworks import need

need("mteb")

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from mteb.models.model_meta import ModelMeta, ScoringFunction
from mteb.similarity_functions import cos_sim, pairwise_cos_sim
from mteb.types import PromptType
from numpy.typing import NDArray

from hybrid_search.encode import load_encoder, load_reranker
from hybrid_search.encode.protocols import Reranker, TextEncoder, score_pairs
from hybrid_search.errors import ModelError
from hybrid_search.frameworks.collection import Collections, Scores
from hybrid_search.read.settings_file import load_settings
from hybrid_search.settings import Settings

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata

Batches = Iterable[Mapping[str, Any]]
"""What mteb's data loaders give: columns of a batch by name."""


class HybridIndex:
    """The whole search as mteb's ``SearchProtocol``: every collection is loaded into an index of its own, and searched.

    Args:
        index: what the names of the indices begin with.
        name: of the model in mteb's results; by default the legs, the fusion and the reranker.
        options: of :class:`~hybrid_search.frameworks.collection.Collections`: ``url``, ``settings``, ``encoder``,
            ``reranker``, ``connection``, ``load``.

    Raises:
        ModelError: a model cannot be found, loaded or trusted.
        EngineError: the cluster cannot be reached.
    """

    def __init__(self, index: str, *, name: str | None = None, **options: Any) -> None:
        self._collections = Collections(index, **options)
        self._name = name or f"hybrid-search/{_system(self._collections)}"

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """What mteb writes beside the results."""
        encoder = self._collections.encoder
        return ModelMeta.create_empty(
            {
                "name": self._name,
                "revision": self._collections.revision,
                "model_type": ["hybrid"],
                "embed_dim": None if encoder.dense is None else encoder.dense.dimension,
                "max_tokens": float(encoder.max_tokens),
                "use_instructions": _has_prompts(encoder),
            }
        )

    def index(
        self,
        corpus: Iterable[Mapping[str, Any]],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        **_: Any,
    ) -> None:
        """Load the documents of a task into its index, unless they are there.

        Raises:
            RecordError: a document that no engine takes.
            EngineError: the cluster cannot be reached, or refuses.
        """
        self._collections.open(corpus, f"{task_metadata.name}-{hf_subset}-{hf_split}")

    def search(
        self,
        queries: Iterable[Mapping[str, Any]],
        *,
        top_k: int,
        top_ranked: Mapping[str, list[str]] | None = None,
        **_: Any,
    ) -> Scores:
        """Scores by query and document; of a reranking task those of ``top_ranked`` alone.

        Raises:
            EngineError: a query was not answered in full.
        """
        asked = {str(row["id"]): _query_text(row) for row in queries}
        return self._collections.rank(asked, top_k, top_ranked)

    def close(self) -> None:
        """Close the connection; the indices stay."""
        self._collections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class HybridEncoder:
    """The dense vectors of an encoder as mteb's ``EncoderProtocol``, for all tasks that compare vectors.

    What an encoder makes of a whole text, cut where the model ends: passages are the index's. Sparse vectors are
    measured by :class:`HybridIndex` with ``search.legs = ["sparse"]``.

    Args:
        encoder: any; None for the one that the settings name.
        settings: None takes the defaults and the environment.

    Raises:
        ModelError: the encoder cannot be loaded, or makes no dense vectors.
    """

    def __init__(self, encoder: TextEncoder | None = None, *, settings: Settings | None = None) -> None:
        self._encoder = load_encoder(settings or load_settings()) if encoder is None else encoder
        if self._encoder.dense is None:
            remedy = 'Set dense.model, or measure the sparse leg with HybridIndex and search.legs = ["sparse"]'
            raise ModelError("the encoder makes no dense vectors", remedy=remedy)
        self._dense = self._encoder.dense

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """What mteb writes beside the results."""
        return ModelMeta.create_empty(
            {
                "name": _full_name(self._dense.name),
                "revision": self._dense.weights,
                "model_type": ["dense"],
                "embed_dim": self._dense.dimension,
                "max_tokens": float(self._encoder.max_tokens),
                "similarity_fn_name": ScoringFunction.COSINE,
                "use_instructions": _has_prompts(self._encoder),
            }
        )

    def encode(self, inputs: Batches, *, prompt_type: PromptType | None = None, **_: Any) -> NDArray[np.float32]:
        """Vectors of shape (texts, dimension), of queries where mteb says so, else of documents."""
        is_query = prompt_type == PromptType.query
        encode = self._encoder.encode_queries if is_query else self._encoder.encode_documents
        vectors = [encode(batch["text"]).dense for batch in inputs]
        return np.concatenate([one for one in vectors if one is not None])

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosines of shape (first, second): what the dense leg ranks by."""
        return cos_sim(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosines of shape (pairs,)."""
        return pairwise_cos_sim(embeddings1, embeddings2)


class HybridReranker:
    """A reranker as mteb's ``CrossEncoderProtocol``, for reranking tasks.

    Args:
        reranker: any; None for the one that the settings name.
        settings: None takes the defaults and the environment.

    Raises:
        ModelError: it cannot be loaded, or the settings name none.
    """

    def __init__(self, reranker: Reranker | None = None, *, settings: Settings | None = None) -> None:
        found = _named_reranker(settings or load_settings()) if reranker is None else reranker
        if found is None:
            raise ModelError("the settings name no reranker", remedy="Set rerank.model, or give a reranker")
        self._reranker = found

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """What mteb writes beside the results."""
        return ModelMeta.create_empty({"name": _full_name(self._reranker.name), "model_type": ["cross-encoder"]})

    def predict(self, inputs1: Batches, inputs2: Batches, **_: Any) -> NDArray[np.float32]:
        """Scores of shape (pairs,): of each query of ``inputs1`` with the document of ``inputs2``."""
        return score_pairs(self._reranker, list(zip(_texts(inputs1), _texts(inputs2), strict=True)))


def _named_reranker(settings: Settings) -> Reranker | None:
    return load_reranker(settings, load_encoder(settings) if settings.rerank.model == "late" else None)


def _texts(batches: Batches) -> Iterator[str]:
    return (text for batch in batches for text in batch["text"])


def _query_text(row: Mapping[str, Any]) -> str:
    """A query as mteb gives it to models: with its instruction, or a conversation as one text."""
    text, instruction = row["text"], row.get("instruction")
    if isinstance(text, str):
        return text if instruction is None else f"{text} {instruction}"
    turns = [turn if isinstance(turn, str) else f"{turn['role']}: {turn['content']}" for turn in text]
    return "; ".join(turns) if instruction is None else f"{instruction} {'; '.join(turns)}"


def _system(collections: Collections) -> str:
    legs = "+".join(collections.legs)
    fused = f"{legs}-{collections.settings.search.fusion}" if len(collections.legs) > 1 else legs
    return fused if collections.reranker is None else f"{fused}-{collections.reranker.name.rpartition('/')[2]}"


def _full_name(name: str) -> str:
    """Mteb's names have an organisation."""
    return name if "/" in name else f"hybrid-search/{name}"


def _has_prompts(encoder: TextEncoder) -> bool:
    made = [one for one in (encoder.dense, encoder.sparse) if one is not None]
    return any(one.query_prompt or one.document_prompt for one in made)
