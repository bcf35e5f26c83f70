"""Pure parsers: from the formats of packages to (short, long) texts. No files, no network, no randomness."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

Pair = tuple[str, str]

_GENERATED_PACKAGE = re.compile(r"-(dbg|dbgsym|l10n-.*|locale-.*)$")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_TEXT_MACRO = re.compile(r"\.(B|I|BR|RB|IR|RI|BI|IB|SM|IP|Nm|Nd|Ar|Em|Sy|Dq|Pa|Cm|Fl|Fn|Fa|Vt|Va|Li|Ql|Sq)\s+(.*)")
_ROFF_ESCAPES = (
    (re.compile(r'\\".*'), ""),
    (re.compile(r"\\f(\[[^\]]*\]|\(..|.)|\\s[+-]?\d+|\\[&|^/,:%cdu]"), ""),
    (re.compile(r"\\\((aq|cq|oq|rs)|\\e"), "'"),
    (re.compile(r"\\\((en|em|hy|bu|mi)|\\\[[^\]]*\]|\\-"), "-"),
    (re.compile(r"\\\((lq|rq|dq)"), '"'),
    (re.compile(r"\\\*\(..|\\\*\[[^\]]*\]|\\\*.|\\[nw].|\\\(.."), ""),
    (re.compile(r"\\(.)"), r"\1"),
)


def squeeze(text: str) -> str:
    """``text`` with every run of white space as one space."""
    return " ".join(text.split())


def sentences(text: str) -> list[str]:
    """Rough sentences: split after a full stop, exclamation or question mark that a capital letter follows."""
    return [part for part in _SENTENCE_END.split(text) if part]


def debian_descriptions(translation: str) -> Iterator[Pair]:
    """Short and long description of each package in a ``Translation-en`` file.

    A package whose first paragraph an earlier one began with is dropped (libraries repeat their parent's text), as
    are debugging and language packages, and paragraphs of less than 60 characters.
    """
    begun: set[str] = set()
    for block in translation.split("\n\n"):
        name = re.search(r"^Package: (.*)$", block, re.MULTILINE)
        described = re.search(r"^Description-en: (.*)\n((?: .*\n?)*)", block, re.MULTILINE)
        if not name or not described or _GENERATED_PACKAGE.search(name[1]):
            continue
        paragraphs = [squeeze(part) for part in re.split(r"^ \.\s*$", described[2], flags=re.MULTILINE)]
        paragraphs = [part for part in paragraphs if len(part) > 60]
        if paragraphs and paragraphs[0][:80] not in begun:
            begun.add(paragraphs[0][:80])
            yield described[1].strip(), " ".join(paragraphs)


@dataclass(frozen=True)
class Synset:
    """A WordNet synset: its words, definition, usage examples, and the keys of the broader and narrower synsets."""

    key: str
    words: tuple[str, ...]
    gloss: str
    examples: tuple[str, ...]
    broader: tuple[str, ...] = ()
    narrower: tuple[str, ...] = field(default=())

    def entry(self) -> str:
        """``words: definition``."""
        return f"{', '.join(self.words)}: {self.gloss}"


def wordnet_synsets(lines: Iterable[str]) -> Iterator[Synset]:
    """Synsets of a ``data.*`` file (format: wndb(5WN))."""
    for line in lines:
        if line.startswith("  "):  # the licence header
            continue
        head, _, text = line.partition("|")
        fields = head.split()
        word_count = int(fields[3], 16)
        words = tuple(re.sub(r"\(.*?\)", "", fields[4 + 2 * n]).replace("_", " ") for n in range(word_count))
        start = 4 + 2 * word_count
        pointers = [fields[start + 1 + 4 * n : start + 4 + 4 * n] for n in range(int(fields[start]))]
        examples = tuple(re.findall(r'"([^"]+)"', text))
        gloss = re.sub(r';?\s*"[^"]*".*$', "", text.strip()).strip()
        part = "a" if fields[2] == "s" else fields[2]
        yield Synset(
            key=part + fields[0],
            words=words,
            gloss=gloss,
            examples=examples,
            broader=tuple(p[2] + p[1] for p in pointers if p[0] in ("@", "@i")),
            narrower=tuple(p[2] + p[1] for p in pointers if p[0] in ("~", "~i")),
        )


def man_page(roff: str) -> Pair | None:
    """The one-line purpose and the DESCRIPTION of a man or mdoc page, None where it lacks either."""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in roff.splitlines():
        heading = re.match(r'\.S[hH]\s+"?([^"]+)"?', line)
        if heading:
            lines = sections.setdefault(heading[1].strip().upper(), [])
        elif text := _roff_text(line):
            lines.append(text)
    name = squeeze(" ".join(sections.get("NAME", [])))
    description = squeeze(" ".join(sections.get("DESCRIPTION", [])))
    purpose = re.split(r"\s-+\s|\s\\-\s", name, maxsplit=1)[-1]
    if not purpose or purpose == name or len(description) < 80:
        return None
    return purpose, description


def _roff_text(line: str) -> str:
    """The words of one roff line: macros of font and style are opened, all others dropped."""
    if line.startswith("'"):
        return ""
    if line.startswith("."):
        macro = _TEXT_MACRO.match(line)
        if not macro:
            return ""
        line = f"- {macro[2]}" if macro[1] == "Nd" else macro[2].replace('"', "")
    for pattern, replacement in _ROFF_ESCAPES:
        line = pattern.sub(replacement, line)
    return line.strip()


def docstring_pairs(source: str) -> Iterator[Pair]:
    """Summary line and the rest of each docstring in a Python file; a file that does not parse yields nothing."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return  # templates and Python 2 leftovers in the standard library are not text to learn from
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            continue
        summary, _, rest = (ast.get_docstring(node) or "").strip().partition("\n")
        body = re.sub(r"(>>>|\.\.\.) .*", " ", rest)
        if len(summary.split()) >= 4 and len(body.split()) >= 10:
            yield summary.strip(), squeeze(body)


class _Sections(HTMLParser):
    """Collects the running text under each heading; code, tables, navigation and scripts are left out."""

    HEADINGS = ("h1", "h2", "h3", "h4")
    SKIPPED = ("script", "style", "pre", "table", "nav", "header", "footer", "title", "button", "form")

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0
        self.in_heading = False
        self.sections: list[tuple[list[str], list[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - its interface
        if tag in self.SKIPPED:
            self.skipped += 1
        elif tag in self.HEADINGS:
            self.in_heading = True
            self.sections.append(([], []))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.SKIPPED:
            self.skipped = max(0, self.skipped - 1)
        elif tag in self.HEADINGS:
            self.in_heading = False

    def handle_data(self, data: str) -> None:
        if self.sections and not self.skipped:
            self.sections[-1][0 if self.in_heading else 1].append(data)


def html_sections(html: str) -> Iterator[Pair]:
    """Heading and text of each section of an HTML page; section numbers and paragraph marks are removed.

    The page's first heading is put before a later one that says little by itself (fewer than three words).
    """
    parser = _Sections()
    parser.feed(html)
    first = ""
    for heading_parts, text_parts in parser.sections:
        heading = re.sub(r"^[\d.]+\s+|^Chapter \d+\.?\s*|[¶#]+$", "", squeeze("".join(heading_parts))).strip()
        first = first or heading
        text = squeeze(" ".join(text_parts))
        if len(heading.split()) < 3 and heading != first:
            heading = f"{first} {heading}"
        if heading and len(text.split()) >= 25:
            yield heading, text
