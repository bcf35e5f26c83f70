"""HTML pages: one document in each, its text without what surrounds it on the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hybrid_search.errors import RecordError
from hybrid_search.read.formats.input_file import InputFile
from hybrid_search.read.html import html_text
from hybrid_search.read.jsonl import MAX_LINE
from hybrid_search.read.raw import RawRecords
from hybrid_search.read.texts import Titled, decoded, document_record

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser

_AROUND = "nav, header, footer, aside, form, [role=navigation], [role=banner], [role=contentinfo], [aria-hidden=true]"
_MAIN = ("main", "[role=main]", "article")
_LEAST = 0.2
"""The share of a page's text below which ``main`` or ``article`` is only a part of what the page says."""
_CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?([\w.:-]+)", re.IGNORECASE)
_META = {
    **{name: name for name in ("description", "author", "keywords")},
    "article:published_time": "published",
}


def read_html(given: InputFile) -> RawRecords:
    """The record of a page: ``_id`` (its path), ``title``, ``text``, and what its head says of it.

    The text is that of ``main`` or ``article`` where there is one, without navigation, header, footer and forms.
    """
    from selectolax.lexbor import LexborHTMLParser

    with given.opened(_CHARSET) as stream:
        data = stream.read(MAX_LINE)
    try:
        page = LexborHTMLParser(decoded(data, given.place))
        titled = _titled(page, given)
    except RecordError as error:
        given.on_bad(error, data)
        return
    yield document_record(given, titled, _said(page), data)


def _titled(page: LexborHTMLParser, given: InputFile) -> Titled:
    heading, title = page.css_first("h1"), page.css_first("title")
    name = given.path.name.partition(".")[0] or given.path.name
    found = next((text for node in (title, heading) if node and (text := " ".join(node.text().split()))), name)
    whole = html_text(page.html or "")
    for node in page.css(_AROUND):
        if node.parent is not None and not node.css_matches("main, article"):
            node.decompose()
    parts = next((nodes for selector in _MAIN if (nodes := page.css(selector))), [])
    main = "\n".join(html_text(node.html or "") for node in parts)
    rest = html_text(page.html or "")
    text = main if len(main) >= _LEAST * len(whole) else rest or whole
    return Titled(found, text)


def _said(page: LexborHTMLParser) -> dict[str, Any]:
    """Description, author, keywords, date and language that the page's head names."""
    fields: dict[str, Any] = {}
    for node in page.css("meta"):
        name = node.attributes.get("name") or node.attributes.get("property") or ""
        content = (node.attributes.get("content") or "").strip()
        if name.lower() in _META and content:
            fields.setdefault(_META[name.lower()], content)
    root = page.css_first("html")
    if root is not None and root.attributes.get("lang"):
        fields["language"] = root.attributes["lang"]
    return fields
