"""The options of ``train``: what is learned from, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.errors import SettingsError

if TYPE_CHECKING:
    from hybrid_search.train import Recipe

DATA = "What is learned from"
HOW = "How"

QRELS = "Judgements: TSV, TREC, a BEIR folder, or ir_datasets:NAME."


@dataclass(frozen=True)
class LearnedFrom:
    """Judgements, a click log, or the documents themselves; several of them together."""

    queries: Annotated[
        Path | None, typer.Option(help="JSON lines, TSV, a BEIR folder, or ir_datasets:NAME.", rich_help_panel=DATA)
    ] = None
    qrels: Annotated[Path | None, typer.Option(help=QRELS, rich_help_panel=DATA)] = None
    split: Annotated[
        str, typer.Option(help="Which judgements of a BEIR folder are learned from.", rich_help_panel=DATA)
    ] = "train"
    test_queries: Annotated[
        Path | None, typer.Option(help="Queries to test by (default: those of --queries).", rich_help_panel=DATA)
    ] = None
    test_qrels: Annotated[
        Path | None, typer.Option(help="Their judgements (default: some queries are held out).", rich_help_panel=DATA)
    ] = None
    test_split: Annotated[
        str | None, typer.Option(help="Or the split of the same BEIR folder to test by.", rich_help_panel=DATA)
    ] = None
    clicks: Annotated[
        list[str] | None,
        typer.Option(help="A click log, as judgements clicks reads it. Repeatable.", rich_help_panel=DATA),
    ] = None
    pairs: Annotated[
        str | None,
        typer.Option(
            help="Without judgements: pairs of documents, title,question,faq,neighbour or all.", rich_help_panel=DATA
        ),
    ] = None
    ask_url: Annotated[
        str | None, typer.Option(help="An endpoint like OpenAI's that writes queries.", rich_help_panel=DATA)
    ] = None
    ask_model: Annotated[
        str | None, typer.Option(help="The name that it knows the model by.", rich_help_panel=DATA)
    ] = None
    ask: Annotated[int, typer.Option(min=1, help="Passages that it writes queries for.", rich_help_panel=DATA)] = 500

    def check(self) -> None:
        """Options that go together are together.

        Raises:
            SettingsError: one is without the other, or nothing to learn from is named.
        """
        if (self.queries is None) != (self.qrels is None):
            raise SettingsError("--queries and --qrels go together", remedy="Give both, or neither")
        if (self.ask_url is None) != (self.ask_model is None):
            raise SettingsError("--ask-url and --ask-model go together", remedy="Give both, or neither")
        if self.test_split is not None and (self.test_qrels is not None or self.qrels is None):
            raise SettingsError(
                "names a split of the folder in --qrels",
                where="--test-split",
                remedy="Give --qrels FOLDER alone",
            )
        if self.test_queries is not None and self.test_qrels is None:
            raise SettingsError("goes with --test-qrels", where="--test-queries", remedy="Give both, or neither")
        if self.test_split is not None and self.test_split == self.split:
            raise SettingsError(
                f"is {self.split!r}, which is learned from", where="--test-split", remedy="Name another split"
            )
        if self.qrels is None and not self.clicks and self.pairs is None and self.ask_url is None:
            raise SettingsError(
                "there is nothing to learn from",
                remedy="Give --queries and --qrels, --clicks FILE, --ask-url, or, of documents alone, --pairs all",
            )


@dataclass(frozen=True)
class TrainedHow:
    """The numbers of the recipe; those that are not given have the defaults of the model that is trained."""

    what: Annotated[
        str | None,
        typer.Option(
            help="starter, dense, sparse or rerank (default: dense with a GPU, else starter).", rich_help_panel=HOW
        ),
    ] = None
    base: Annotated[
        str | None, typer.Option(help="The model to begin with (default: that of the index).", rich_help_panel=HOW)
    ] = None
    lora: Annotated[
        int, typer.Option(min=0, help="Rank of low-rank adapters; 0 trains all weights.", rich_help_panel=HOW)
    ] = 0
    dimensions: Annotated[
        str | None, typer.Option(help="Sizes that vectors are good at when cut: 384,256,128.", rich_help_panel=HOW)
    ] = None
    loss: Annotated[
        str, typer.Option(help="contrastive, or distill: the margins of the reranker.", rich_help_panel=HOW)
    ] = "contrastive"
    minutes: Annotated[
        float,
        typer.Option(help="Budget of training, looks included.", rich_help_panel=HOW),
    ] = 60.0
    epochs: Annotated[int | None, typer.Option(help="Passes over the pairs.", rich_help_panel=HOW)] = None
    batch: Annotated[int | None, typer.Option(help="Pairs that are each other's negatives.", rich_help_panel=HOW)] = (
        None
    )
    mini_batch: Annotated[
        int | None, typer.Option(help="Texts in a pass with gradients: bounds the memory.", rich_help_panel=HOW)
    ] = None
    rate: Annotated[float | None, typer.Option(help="The largest learning rate.", rich_help_panel=HOW)] = None
    negatives: Annotated[int | None, typer.Option(help="Hard negatives of a pair.", rich_help_panel=HOW)] = None
    positives: Annotated[
        int | None, typer.Option(help="Relevant documents of a query, at most.", rich_help_panel=HOW)
    ] = None
    max_tokens: Annotated[int | None, typer.Option(help="Passages are cut here in training.", rich_help_panel=HOW)] = (
        None
    )
    evaluations: Annotated[
        int | None, typer.Option(help="Looks at the validation queries in an epoch.", rich_help_panel=HOW)
    ] = None
    patience: Annotated[
        int | None, typer.Option(help="Looks without gain after which it ends.", rich_help_panel=HOW)
    ] = None
    pool: Annotated[
        int | None, typer.Option(help="Passages that models are measured on, at most.", rich_help_panel=HOW)
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="Of all chance.", rich_help_panel=HOW)] = 0
    device: Annotated[str | None, typer.Option(help="As torch names it: cpu, cuda.", rich_help_panel=HOW)] = None

    def recipe(self) -> Recipe:
        """The numbers, all of them checked.

        Raises:
            SettingsError: a value that none can be trained with.
        """
        from hybrid_search.encode.finetune.devices import usual_what
        from hybrid_search.train import Recipe

        names = ("epochs", "batch", "mini_batch", "negatives", "positives", "max_tokens", "evaluations", "patience")
        given = {name: value for name in (*names, "pool") if (value := getattr(self, name)) is not None}
        return Recipe(
            what=self.what or usual_what(self.device),
            base=self.base,
            lora=self.lora,
            dimensions=self._sizes(),
            loss=self.loss,
            minutes=self.minutes,
            rate=self.rate,
            seed=self.seed,
            device=self.device,
            **given,
        )

    def _sizes(self) -> tuple[int, ...]:
        if self.dimensions is None:
            return ()
        try:
            return tuple(int(one) for one in self.dimensions.split(","))
        except ValueError:
            raise SettingsError(
                f"{self.dimensions!r} is no list of sizes", where="--dimensions", remedy="Example: 384,256,128"
            ) from None
