"""What is trained and how: every number of a run, which its card repeats."""

from __future__ import annotations

from dataclasses import dataclass, fields

from hybrid_search.errors import SettingsError

STARTER, DENSE, SPARSE, RERANK = "starter", "dense", "sparse", "rerank"
WHATS = (STARTER, DENSE, SPARSE, RERANK)
"""The starter head on frozen states, the bi-encoder, a SPLADE model, the cross-encoder."""

LOSSES = ("contrastive", "distill")
RATES = {STARTER: 2e-3, DENSE: 3e-5, SPARSE: 2e-5, RERANK: 2e-5}
LORA_RATE = 5e-4
"""Adapters begin at nothing and want larger steps."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The numbers of a run.

    Attributes:
        what: one of :data:`WHATS`; it is also the leg that is measured (the starter is the sparse one).
        base: the model to begin with; None for that of the index.
        lora: rank of low-rank adapters (Hu et al. 2021, arXiv:2106.09685); 0 trains all weights.
        dimensions: sizes that the vectors are to be good at when cut (Matryoshka: arXiv:2205.13147); of a bi-encoder.
        loss: ``contrastive``, or ``distill``: margins of a teacher (MarginMSE, arXiv:2010.02666), which is the reranker
            of the settings, or the fused ranking where there is none.
        epochs: passes over the pairs.
        batch: pairs whose passages are each other's negatives.
        mini_batch: texts in one pass with gradients; what bounds the memory (GradCache, arXiv:2101.06983). Where it
            is as large as :attr:`texts`, a second pass is saved.
        rate: largest learning rate; None for the usual one.
        negatives: hard ones of each pair.
        positives: relevant documents of a query that are made pairs of, the best grades first.
        max_tokens: passages are cut here in training; measured they are whole.
        minutes: budget of training, looks included, by the clock; the best look so far is kept when it is over. Mining
            before, and measuring on the test queries before and after, are not counted: ``pool`` bounds these.
        evaluations: looks at the validation queries in an epoch.
        patience: looks without gain after which training ends.
        pool: passages that models are measured on, at most; all of a smaller index.
        seed: of all chance.
        device: as torch names it.

    Raises:
        SettingsError: a value that none can be trained with.
    """

    what: str = DENSE
    base: str | None = None
    lora: int = 0
    dimensions: tuple[int, ...] = ()
    loss: str = "contrastive"
    epochs: int = 4
    batch: int = 64
    mini_batch: int = 32
    rate: float | None = None
    negatives: int = 2
    positives: int = 4
    max_tokens: int = 256
    minutes: float = 60.0
    evaluations: int = 2
    patience: int = 4
    pool: int = 20_000
    seed: int = 0
    device: str | None = None

    def __post_init__(self) -> None:
        _one_of("what", self.what, WHATS)
        _one_of("loss", self.loss, LOSSES)
        for name in ("epochs", "batch", "mini_batch", "negatives", "positives", "evaluations", "patience"):
            _at_least("--" + name.replace("_", "-"), getattr(self, name), 1)
        _at_least("--lora", self.lora, 0)
        _at_least("--batch", self.batch, 2)
        _at_least("--max-tokens", self.max_tokens, 8)
        _at_least("--pool", self.pool, 100)
        if not self.minutes > 0:
            raise SettingsError(f"is {self.minutes:g}", where="--minutes", remedy="Give a number above 0")
        if self.rate is not None and not 0 < self.rate < 1:
            raise SettingsError(f"is {self.rate:g}", where="--rate", remedy="Give a number between 0 and 1, as 2e-5")
        self._check_fits()

    def _check_fits(self) -> None:
        """Options of one kind of model are refused with another."""
        if self.dimensions and self.what != DENSE:
            raise SettingsError("is for a bi-encoder", where="--dimensions", remedy="Leave it out, or train dense")
        if any(one < 1 for one in self.dimensions):
            raise SettingsError("holds a size below 1", where="--dimensions", remedy="Example: 384,256,128")
        if self.what == STARTER and (self.lora or self.loss != "contrastive" or self.base):
            raise SettingsError(
                "the starter head has no adapters, no teacher and no other base",
                where="--what starter",
                remedy="Leave --lora, --loss and --base out, or train dense, sparse or rerank",
            )

    @property
    def leg(self) -> str:
        """What is measured: a leg, or ``reranked``."""
        return {STARTER: SPARSE, RERANK: "reranked"}.get(self.what, self.what)

    @property
    def texts(self) -> int:
        """Texts of a batch: queries, positives and negatives."""
        return self.batch * (2 + self.negatives)

    @property
    def largest_rate(self) -> float:
        """The learning rate after the warm-up."""
        if self.rate is not None:
            return self.rate
        return LORA_RATE if self.lora else RATES[self.what]

    def told(self) -> dict[str, object]:
        """All numbers as plain JSON types."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**values, "dimensions": list(self.dimensions), "rate": self.largest_rate}


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise SettingsError(f"is {value!r}", where=f"--{name}", remedy=f"There are: {', '.join(known)}")


def _at_least(where: str, value: int, least: int) -> None:
    if value < least:
        raise SettingsError(f"is {value}", where=where, remedy=f"Give {least} or more")
