"""Why a hit stands where it does, in words and numbers: each leg's rank, score and share, and what reranking did."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from hybrid_search.printed import visible
from hybrid_search.records import Hit, Placed, SearchResult

if TYPE_CHECKING:
    from rich.panel import Panel


def explanation(hit: Hit, result: SearchResult) -> list[str]:
    """Lines of plain text that explain one hit of ``result``."""
    lines = [f"passage {hit.passage_id}, characters {hit.start} to {hit.end}"]
    lines += [_leg_line(hit, leg, result) for leg in result.legs]
    lines.append(f"fused by {result.fusion}: {_sum(hit)}")
    lines += _boost_lines(hit)
    if result.reranker is not None and hit.placed is None:
        lines.append(_rerank_line(hit, result.reranker))
    return [*lines, *_spread_lines(hit), *_passage_lines(hit)]


def explain_text(result: SearchResult) -> str:
    """Every hit with its explanation, and the warnings of the search."""
    blocks = [
        "\n".join([f"{hit.rank}. {hit.id}  {hit.score:.4f}", *(f"   {line}" for line in explanation(hit, result))])
        for hit in result.hits
    ]
    return "\n\n".join([*blocks, *(f"warning: {warning}" for warning in result.warnings)])


def explain_panel(hit: Hit, result: SearchResult) -> Panel:
    """The explanation of one hit as a rich panel."""
    from rich.panel import Panel
    from rich.text import Text

    lines = Text(visible("\n".join(explanation(hit, result))))
    lines.highlight_words([str(leg) for leg in hit.legs], "bold")
    title = Text(visible(f"{hit.rank}. {hit.id}  {hit.score:.4f}"))  # as a string it would be read as markup
    return Panel(lines, title=title, title_align="left", border_style="dim")


def _leg_line(hit: Hit, leg: str, result: SearchResult) -> str:
    found, report = hit.legs.get(leg), result.legs[leg]
    if found is not None:
        return f"{leg:<7} rank {found.rank:>3}  score {found.score:9.4f}  contributes {found.contribution:.4f}"
    if report.failure is not None:
        return f"{leg:<7} failed: {report.failure}"
    return f"{leg:<7} not among its {report.hits} hits"


_PLACED = {
    Placed.PINNED: "pinned: stands first, whatever its score",
    Placed.ADDED: "pinned: stands first, though no leg found it",
    Placed.BURIED: "buried: stands last, whatever its score",
}


def _boost_lines(hit: Hit) -> list[str]:
    lines = []
    if hit.boosts and hit.placed is not Placed.ADDED:
        factors = " x ".join(f"{factor:.4f} ({name})" for name, factor in hit.boosts.items())
        lines.append(f"boosted: {hit.fused:.4f} x {factors} = {hit.fused * prod(hit.boosts.values()):.4f}")
    return lines if hit.placed is None else [*lines, _PLACED[hit.placed]]


def _sum(hit: Hit) -> str:
    if hit.placed is Placed.ADDED:
        return "found by no leg"
    if not hit.legs:
        return f"{hit.fused:.4f}, the engine does not say which leg found it"
    terms = " + ".join(f"{found.contribution:.4f}" for found in hit.legs.values())
    return f"{terms} = {hit.fused:.4f}"


def _spread_lines(hit: Hit) -> list[str]:
    found = hit.diversity
    if found is None:
        return []
    said = f"relevance {found.relevance:.4f}, cosine to the nearest above {found.similarity:.4f}"
    return [f"diversified: {said}, score {found.score:.4f}, rank {found.rank_before} -> {hit.rank}"]


def _passage_lines(hit: Hit) -> list[str]:
    lines = []
    for passage in hit.passages:
        ranks = ", ".join(f"{name} {found.rank} ({found.score:.4f})" for name, found in passage.legs.items())
        place = f"also passage {passage.id}, characters {passage.start} to {passage.end}"
        lines.append(f"{place}: {passage.score:.4f}" + (f", {ranks}" if ranks else ""))
    return lines


def _rerank_line(hit: Hit, reranker: str) -> str:
    if hit.rerank is None:
        return f"below the window that {reranker} reranked"
    return (
        f"reranked by {reranker}: score {hit.rerank.score:.4f}, combined {hit.rerank.combined:.4f}, "
        f"rank {hit.rerank.rank_before} -> {hit.rank}"
    )
