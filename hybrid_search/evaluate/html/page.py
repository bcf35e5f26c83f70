"""The page around a report, and its tables; whatever comes from an index or a file is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; color: #111; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .7rem; border-bottom: 1px solid #ccc; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #111; }
p.note { color: #444; } .verdict { font-weight: 600; }"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""A browser that knows it loads nothing for the page, from wherever."""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole document."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            *parts,
            "</body></html>",
            "",
        ]
    )


def heading(text: str) -> str:
    """Of a section."""
    return f"<h2>{escape(text)}</h2>"


def note(text: str, kind: str = "note") -> str:
    """A paragraph."""
    return f'<p class="{kind}">{escape(text)}</p>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]], text: Sequence[int] = ()) -> str:
    """A table of texts; the columns numbered in ``text`` are set left."""
    return "\n".join(["<table>", _row("th", header, text), *(_row("td", row, text) for row in rows), "</table>"])


def _row(tag: str, cells: Sequence[str], text: Sequence[int]) -> str:
    made = [
        f'<{tag} class="text">{escape(cell)}</{tag}>' if place in text else f"<{tag}>{escape(cell)}</{tag}>"
        for place, cell in enumerate(cells)
    ]
    return f"<tr>{''.join(made)}</tr>"
