"""``hybrid-search models tune``: the fastest way to encode one's own documents here, as settings."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_search.cli.html import check_new
from hybrid_search.cli.options import Format, Json, Set, SettingsFile, Source, settings_of, write_settings
from hybrid_search.errors import MissingExtraError, SettingsError, SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_search.encode.trials import Trial
    from hybrid_search.settings import Settings

DOCUMENTS = 200
"""Of the source are read; the sample is drawn of their passages at even distances."""
QUERY_WORDS = 8
PRECISIONS = ("fp32", "bf16", "fp16", "int8")


def tune(
    source: Source,
    *,
    passages: Annotated[int, typer.Option(min=8, max=2048, help="Passages that are timed.")] = 96,
    precision: Annotated[
        list[str] | None, typer.Option(help="fp32 (default), bf16, fp16 or int8, which changes vectors. Repeatable.")
    ] = None,
    write: Annotated[Path | None, typer.Option(help="A new file for the settings of the fastest way.")] = None,
    format: Format = None,
    settings_file: SettingsFile = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Time every backend and batch size on your own documents, and write the settings of the fastest."""
    settings = settings_of(settings_file, None, overrides)
    wanted = _precisions(precision)
    check_new(write, "--write")
    _check_local(settings)
    try:
        from hybrid_search.encode.trials import try_ways

        texts = _sample(source, settings, passages, format)
        queries = [" ".join(text.split()[:QUERY_WORDS]) for text in texts[:12]]
        tell = lambda what: typer.echo(f"Trying {what} ...", err=True)  # noqa: E731  # said once
        trials = try_ways(settings, texts, queries, precisions=wanted, on_trial=tell)
    except ModuleNotFoundError as error:
        raise MissingExtraError("Trying backends", "models") from error
    _print(trials, as_json=as_json)
    if write is not None:
        _write(write, trials[0])


def _precisions(given: list[str] | None) -> list[str]:
    """SettingsError about one that there is not."""
    for one in given or ():
        if one not in PRECISIONS:
            raise SettingsError(f"must be one of {', '.join(PRECISIONS)}, got {one!r}", where="--precision")
    return given or ["fp32"]


def _check_local(settings: Settings) -> None:
    """SettingsError where the models are elsewhere: how fast they are is that machine's business."""
    for section in ("dense", "sparse"):
        if getattr(settings, section).url is not None:
            remedy = f"Run models tune where they are, or leave out {section}.url"
            raise SettingsError("the models are behind it", where=f"{section}.url", remedy=remedy)


def _sample(source: str, settings: Settings, count: int, format: str | None) -> list[str]:
    """Passages of the first documents of a source, as the models would read them."""
    from hybrid_search.encode import load_encoder
    from hybrid_search.ingest.stages.chunk import passages_of
    from hybrid_search.read import documents

    encoder = load_encoder(settings)
    read = list(islice(documents(source, settings.documents, format=format), DOCUMENTS))
    limit = min(settings.chunking.max_tokens or encoder.max_tokens, encoder.max_tokens)
    cut = passages_of(read, encoder.tokenizer, max_tokens=limit, overlap=min(settings.chunking.overlap, limit // 2))
    texts = [passage.text for passages in cut for passage in passages]
    if not texts:
        raise SourceError("no passage to try on", where=str(source), remedy="Give a source of documents with text")
    step = max(1, len(texts) // count)
    return texts[::step][:count]


def _print(trials: Sequence[Trial], *, as_json: bool) -> None:
    if as_json:
        import json
        from dataclasses import asdict

        typer.echo(json.dumps([asdict(trial) for trial in trials], indent=2))
        return
    from rich.table import Table

    from hybrid_search.printed.console import Console

    table = Table("backend", "precision", "batch size", "passages/s", "query ms", "least cosine")
    for number, trial in enumerate(trials):
        table.add_row(*_row(trial), style="bold" if number == 0 else "")
    Console().print(table)


def _row(trial: Trial) -> tuple[str, ...]:
    way = trial.way
    numbers = f"{trial.passages_per_second:.1f}", f"{trial.query_ms:.1f}", f"{trial.agreement:.6f}"
    return way.backend, way.precision, str(way.batch_size), *numbers


def _write(path: Path, best: Trial) -> None:
    import tomli_w

    way = best.way
    sizes: dict[str, Any] = {section: {"batch_size": way.batch_size} for section in ("dense", "sparse")}
    write_settings(path, tomli_w.dumps({"encode": {"backend": way.backend, "precision": way.precision}} | sizes))
    typer.echo(f"{path} is written", err=True)
