"""``hybrid-search models``: which models are at hand, what one is and how it does here, and serving them."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_search.cli.grouped import CommandInPanels, grouped
from hybrid_search.cli.models_tune import tune
from hybrid_search.cli.options import Json, Set, SettingsFile, settings_of
from hybrid_search.cli.serve import PlaceOptions
from hybrid_search.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hybrid_search.encode.card import ModelCard
    from hybrid_search.encode.measured import Measured

OWN = (
    ("starter", "sparse", "a learned sparse head on all-MiniLM-L6-v2, in the package: one pass for both legs"),
    ("idf", "sparse", "word pieces weighted by idf: no model at all"),
    ("late", "rerank", "late interaction of the bi-encoder's token states"),
)

models = typer.Typer(no_args_is_help=True, help="Models: what is at hand, what one is and does here; a model server.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    models.command()(tune)
    app.add_typer(models, name="models")


@models.command("list")
def list_models(*, as_json: Json = False) -> None:
    """List the models on this machine: those of the package, of installed packages and of the Hugging Face cache."""
    from hybrid_search.encode.card import cards_at_hand

    cards = list(cards_at_hand())
    if as_json:
        _print_json([asdict(card) for card in cards])
        return
    from rich.table import Column, Table

    table = Table(Column("model", overflow="fold"), "section", "dimension", "tokens", "MB", "licence")
    for card in cards:
        dimension = "" if card.dimension is None else str(card.dimension)
        numbers = dimension, str(card.max_tokens), f"{card.megabytes:.0f}"
        table.add_row(card.name, card.role or "none", *numbers, card.licence or "?")
    for name, role, what in OWN:
        typer.echo(f"{role}.model = {name}: {what}")
    _print(table)


@models.command()
def check(
    name: Annotated[str, typer.Argument(help="A model's name or folder.")],
    *,
    measure: Annotated[bool, typer.Option(help="Also load it: speed here, agreement with the library.")] = True,
    ways: Annotated[bool, typer.Option(help="Also try every backend and precision that is installed.")] = True,
    as_json: Json = False,
) -> None:
    """Show what a model is, how fast it is here, and whether its vectors are those of sentence-transformers.

    Every backend and precision is compared with torch in float32. What is found of int8 is kept: by it, a search may
    encode its queries in another precision than the index was made in.
    """
    from hybrid_search.encode.card import card_of

    card = card_of(name)
    found = _measured(name, ways=ways) if measure and card.role is not None else None
    if as_json:
        _print_json(asdict(card) | {"measured": None if found is None else asdict(found)})
        return
    from rich.table import Column, Table

    table = Table(Column(no_wrap=True), Column(overflow="fold"), show_header=False, box=None)
    for label, value in [*_told(card), *([] if found is None else _said(card, found))]:
        table.add_row(label, value)
    _print(table)
    if found is not None and found.ways:
        _print(_ways_table(card, found))


@models.command(cls=CommandInPanels)
@grouped
def serve(
    *,
    place: PlaceOptions,
    waiting: Annotated[int, typer.Option(min=1, help="Texts that may wait; more are told to come again.")] = 4096,
    settings_file: SettingsFile = None,
    overrides: Set = None,
) -> None:
    """Serve the models of the settings over HTTP, as Text Embeddings Inference and OpenAI's /v1/embeddings do.

    A client names the address as dense.url, sparse.url or rerank.url, and needs no torch. It listens on this machine
    alone unless --host says otherwise; then HYBRID_SEARCH_SERVE_TOKEN is the key, or the one that is printed.
    """
    try:
        from hybrid_search.serve.access import Access
        from hybrid_search.serve.listening import TOKEN_VARIABLE, address, listen, token_for
        from hybrid_search.serve.models.app import model_server
        from hybrid_search.serve.server import serve_app
    except ModuleNotFoundError as error:
        raise MissingExtraError("The model server", "serve") from error
    settings = settings_of(settings_file, None, overrides)
    token = token_for(place.host, os.environ.get(TOKEN_VARIABLE))
    access = Access.at(place.host, token, tuple(place.allow_host or ()))
    listening = listen(place.host, place.port)

    def started() -> None:
        typer.echo(f"The models are at {address(listening, place.host).rstrip('/')}")
        if token is not None and TOKEN_VARIABLE not in os.environ:
            typer.echo(f"Their key, told once: {token}")
        typer.echo("The paths are described at /openapi.json. Ctrl-C ends it.")

    serve_app(model_server(settings, access, waiting=waiting), listening, started=started)


def _measured(name: str, *, ways: bool) -> Measured:
    try:
        from hybrid_search.encode.measured import measure_model

        return measure_model(name, ways=ways, on_way=lambda way: typer.echo(f"Trying {way} ...", err=True))
    except ModuleNotFoundError as error:
        raise MissingExtraError("Loading a model", "models") from error


def _told(card: ModelCard) -> list[tuple[str, str]]:
    fits = "no setting takes it" if card.role is None else f"{card.role}.model"
    lines = [
        ("model", card.name),
        ("what it is", card.what),
        ("fits", fits),
        ("files", card.folder),
        ("weights", f"{card.weights} ({card.megabytes:.1f} MB)"),
        ("licence", card.licence or "its files do not say"),
        ("reads", f"{card.max_tokens:,} tokens, special ones included"),
    ]
    if card.dimension is not None:
        lines.append(("vectors", f"{card.dimension:,} components, pooling {card.pooling or 'of its own'}"))
    prompts = {"query prompt": card.query_prompt, "document prompt": card.document_prompt}
    return lines + [(label, repr(prompt)) for label, prompt in prompts.items() if prompt]


def _said(card: ModelCard, found: Measured) -> list[tuple[str, str]]:
    unit, one = ("pairs", "pair") if card.role == "rerank" else ("passages", "query")
    lines = [
        ("speed here", f"{found.passages_per_second:.1f} {unit} a second, {found.query_ms:.1f} ms for one {one}"),
    ]
    if found.agreement is not None:
        what = "1 - the largest difference" if card.role == "rerank" else "least cosine"
        lines.append(("as sentence-transformers", f"{found.agreement:.6f} ({what})"))
    for what, shown in (found.sparsity or {}).items():
        numbers = f"active dims {shown['active_dims']:.1f}, sparsity {shown['sparsity_ratio']:.2%}"
        lines.append((f"sparsity of {what}", numbers))
    return lines


def _ways_table(card: ModelCard, found: Measured) -> Any:
    """Each backend and precision, with its agreement with torch in float32."""
    from rich.table import Column, Table

    unit, one = ("pairs", "pair") if card.role == "rerank" else ("passages", "query")
    agreement = "1 - difference" if card.role == "rerank" else "least cosine"
    table = Table(
        "backend", "precision", f"{unit}/s", f"{one} ms", Column(f"{agreement} to torch fp32", overflow="fold")
    )
    for way in found.ways:
        told = way.refused or _by_leg(way.agreement or {})
        numbers = ("", "") if way.refused else (f"{way.passages_per_second:.1f}", f"{way.query_ms:.1f}")
        table.add_row(way.backend, way.precision, *numbers, told)
    return table


def _by_leg(agreement: Mapping[str, float]) -> str:
    """A number, or one for each leg with its name."""
    if len(agreement) == 1:
        return f"{next(iter(agreement.values())):.6f}"
    return ", ".join(f"{leg} {value:.6f}" for leg, value in agreement.items())


def _print(what: Any) -> None:
    from hybrid_search.printed.console import Console

    Console().print(what)


def _print_json(what: Any) -> None:
    import json

    typer.echo(json.dumps(what, indent=2))
