"""Late interaction: reranking by the token states of the bi-encoder that is loaded anyway.

MaxSim (ColBERT: Khattab and Zaharia 2020, arXiv:2004.12832): every query token looks for the passage token most
similar to it, and the mean of these cosines is the score. It needs no weights of its own and costs one forward pass
over the passages; on a bi-encoder that was not trained for it, it is best combined with the first stage's scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.dense import DenseEncoder
from hybrid_search.encode.late_stored import FORMAT, max_sims
from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.errors import MissingExtraError, ModelError, SettingsError
from hybrid_search.records import TRUNCATED_FROM, Fingerprint
from hybrid_search.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

    from hybrid_search.encode.backbone import Output


class LateReranker:
    """Scores passages by MaxSim; from -1 to 1, higher is better. Safe to share between threads.

    Args:
        bi_encoder: whose token states are compared; its prompts, limit and batches apply.
    """

    def __init__(self, bi_encoder: DenseEncoder) -> None:
        self._bi_encoder = bi_encoder
        self.late = late_fingerprint(bi_encoder)
        self.name = f"late:{bi_encoder.fingerprint.name}"

    def score(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """MaxSim of each passage, shape (n,), in order.

        Raises:
            ModelError: the bi-encoder has no token states (static embeddings).
        """
        scores = np.empty(len(passages), np.float32)
        if not passages:
            return scores
        _, output = next(self._bi_encoder.forward([query], query=True))
        query_units = self._units(output)[0]
        for rows, batch in self._bi_encoder.forward(passages, query=False):
            scores[rows] = max_sim(query_units, self._units(batch), batch.mask).cpu().numpy()
        return scores

    def score_stored(self, query: str, stored: Sequence[bytes]) -> NDArray[np.float32]:
        """The same of passages whose token states an index stores: no forward pass but the query's.

        Raises:
            ModelError: what is stored is not of this model.
        """
        (states,) = self._bi_encoder.token_states([query], query=True)
        return max_sims(states, stored)

    def _units(self, output: Output) -> Tensor:
        """Token states of unit length (texts, tokens, hidden)."""
        from torch.nn import functional

        if output.states is None:
            raise ModelError(
                "this model has no token states, which late interaction compares",
                where=self._bi_encoder.fingerprint.name,
                remedy="Set rerank.model to a cross-encoder or to none",
            )
        return functional.normalize(output.states.float(), dim=-1)


def late_fingerprint(bi_encoder: DenseEncoder) -> Fingerprint:
    """What makes stored token states comparable: the bi-encoder, whatever its vectors are cut to, and the format."""
    dense = bi_encoder.fingerprint
    extra = {key: value for key, value in dense.extra.items() if key != TRUNCATED_FROM}
    return replace(dense, kind="late", dimension=bi_encoder.backbone.dimension, extra={**extra, "format": FORMAT})


def max_sim(query: Tensor, passages: Tensor, mask: Tensor) -> Tensor:
    """Mean over query tokens of the maximum cosine over a passage's tokens, shape (n,).

    Args:
        query: unit vectors (q, hidden).
        passages: unit vectors (n, t, hidden).
        mask: true for tokens, false for padding (n, t).
    """
    cosines = passages @ query.T  # (n, t, q)
    return cosines.masked_fill(~mask[:, :, None], -1.0).amax(dim=1).mean(dim=1)


def load_late(settings: Settings, encoder: TextEncoder | None) -> LateReranker:
    """The reranker for ``rerank.model = "late"``.

    Raises:
        SettingsError: the encoder has no bi-encoder.
        ModelError: the bi-encoder has no token states (static embeddings).
        MissingExtraError: torch is not installed.
    """
    bi_encoder = getattr(encoder, "bi_encoder", None)
    if not isinstance(bi_encoder, DenseEncoder):
        raise SettingsError(
            f"late interaction compares token states of a bi-encoder, and dense.model is {settings.dense.model!r}",
            where="rerank.model",
            remedy="Give dense.model a bi-encoder, or rerank.model another name",
        )
    try:
        import torch  # noqa: F401 - asked for now, so that the first search does not fail
    except ImportError as error:
        raise MissingExtraError("Late interaction", "models") from error
    reranker = LateReranker(bi_encoder)
    reranker.score("a", ["a"])  # a model without token states is refused now, and not at each search
    return reranker
