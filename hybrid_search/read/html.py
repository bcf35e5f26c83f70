"""The text of a field that holds HTML: what a reader of the page would read."""

from __future__ import annotations

import re

_UNREAD = ["script", "style", "noscript", "template", "head", "svg", "iframe", "object", "select"]
_BLOCKS = (
    "address,article,aside,blockquote,br,caption,dd,details,div,dl,dt,fieldset,figcaption,figure,footer,form,h1,h2,h3,"
    "h4,h5,h6,header,hr,legend,li,main,nav,ol,option,p,pre,section,summary,table,tbody,tfoot,thead,tr,ul"
)
_CELLS = "td,th"
_BREAK = "\x1e"
"""Stands for the end of a block until white space is joined; the character that separates records, in no text."""

_TAGS = (
    "a|abbr|b|big|blockquote|body|br|button|center|code|dd|del|div|dl|dt|em|figure|font|h[1-6]|hr|html|i|iframe|img|ins|"
    "label|li|ol|p|pre|s|script|section|small|span|strong|style|sub|sup|table|tbody|td|th|thead|tr|u|ul"
)
_MARKUP = re.compile(
    rf"</(?:{_TAGS})\s*>|<(?:br|hr)\s*/?>|<(?:{_TAGS})\s+[a-z-]+=[^<>]*>|&(?:amp|nbsp|lt|gt|quot|[mn]dash|hellip|#\d+|#x[0-9a-f]+);",
    re.IGNORECASE,
)
_CODE = re.compile(r"(`+).*?\1", re.DOTALL)


def holds_markup(text: str) -> bool:
    """Whether there is a tag or a character reference of HTML in a text, but for code between backticks."""
    return _MARKUP.search(_CODE.sub(" ", text) if "`" in text else text) is not None


def html_text(source: str) -> str:
    """The text of HTML, whole or a fragment: entities read, scripts and styles left out, one line for each block.

    White space within a line is one blank. A text without markup comes back as it is.
    """
    if "<" not in source and "&" not in source:
        return source
    from selectolax.lexbor import LexborHTMLParser

    body = LexborHTMLParser(source.replace(_BREAK, " ")).body
    if body is None:
        return ""
    body.strip_tags(_UNREAD)
    for block in body.css(_BLOCKS):
        block.insert_before(_BREAK)
        block.insert_after(_BREAK)
    for cell in body.css(_CELLS):
        cell.insert_after(" ")
    lines = (" ".join(line.split()) for line in body.text().split(_BREAK))
    return "\n".join(line for line in lines if line)
