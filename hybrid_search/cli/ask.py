"""``hybrid-search judgements ask``: grades from a language model, and how far it agrees with given ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import check_search
from hybrid_search.cli.evaluate import progress_bars
from hybrid_search.cli.options import Json, Queries, Set, SettingsFile, Split, Url, settings_of
from hybrid_search.cli.search import SearchedIndex, client_on

if TYPE_CHECKING:
    from hybrid_search.evaluate.judge import Judge, Judged

KEY_VARIABLE = "HYBRID_SEARCH_JUDGE_KEY"


def ask(
    index: SearchedIndex,
    *,
    queries: Queries,
    judge_url: Annotated[str, typer.Option(help="The base of an endpoint like OpenAI's: http://localhost:8000/v1.")],
    judge_model: Annotated[str, typer.Option(help="The name that the endpoint knows the model by.")],
    out: Annotated[Path, typer.Option(help="A new folder, for queries.jsonl and qrels/test.tsv.")],
    qrels: Annotated[Path | None, typer.Option(help="Judgements of people, to compare with.")] = None,
    split: Split = "test",
    hits: Annotated[int, typer.Option("--k", "-k", min=1, help="Hits of each query that are judged.")] = 10,
    as_json: Json = False,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
) -> None:
    """Ask a language model for grades. Queries and passages are sent to it; a key is read from HYBRID_SEARCH_JUDGE_KEY.

    Answers are kept, and nothing is asked twice.
    """
    from platformdirs import user_cache_path

    from hybrid_search import read
    from hybrid_search.cli.judged_folder import check_new, write_judged
    from hybrid_search.evaluate.judge import Judge, judge_searches

    check_new(out)
    settings = settings_of(settings_file, url, list(overrides or ()))
    check_search(settings, k=hits)
    given = None if qrels is None else read.qrels(qrels, split=split)
    asked = read.queries(queries)
    folder = user_cache_path("hybrid-search") / "evaluate"
    judge = Judge(judge_url, judge_model, os.environ.get(KEY_VARIABLE), folder)
    with client_on(index, settings) as client, progress_bars() as progress:
        judged = judge_searches(client, judge, asked, hits=hits, given=given, progress=progress)
    write_judged(out, judged.qrels, {str(query.id): query.text for query in asked if query.id in judged.qrels})
    _print(judged, judge, as_json=as_json)
    typer.echo(f"{out} is written: give it as --queries {out} --qrels {out}", err=True)


def _print(judged: Judged, judge: Judge, *, as_json: bool) -> None:
    queries, count = len(judged.qrels), sum(map(len, judged.qrels.values()))
    report = {
        "judge": judge.model,
        "queries": queries,
        "judgements": count,
        "asked": judge.asked,
        "unclear": judged.unclear,
        "judged_by_both": len(judged.both),
        "kappa": _rounded(judged.kappa),
        "kappa_relevant": _rounded(judged.kappa_relevant),
    }
    if as_json:
        import orjson

        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2))
        return
    kept = count + judged.unclear - judge.asked
    typer.echo(f"{count:,} judgements of {queries:,} queries by {judge.model}")
    typer.echo(f"{judge.asked:,} answers were asked for, {kept:,} were kept; {judged.unclear:,} hold no grade")
    typer.echo(_agreement(judged))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _agreement(judged: Judged) -> str:
    if not judged.both:
        return "Nothing says how good this judge is: give judgements of people (--qrels) for some of the same documents"
    told = [("grades", judged.kappa), ("relevant or not", judged.kappa_relevant)]
    figures = ", ".join(f"{'cannot be told' if value is None else f'{value:.3f}'} ({what})" for what, value in told)
    return f"Cohen's kappa with the given judgements, over {len(judged.both):,} pairs: {figures}"
