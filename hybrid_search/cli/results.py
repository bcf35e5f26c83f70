"""The forms in which results are written besides the table: for programs, for measures, for a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from hybrid_search.errors import QueryError, RecordError
from hybrid_search.printed import one_line, write_lines

if TYPE_CHECKING:
    from hybrid_search.records import Hit, SearchResult

TABLE = "table"
COLUMNS = ("query", "rank", "id", "score", "title", "text")
TAG = "hybrid-search"
SNIPPET = 300


@dataclass(frozen=True, slots=True)
class Naming:
    """What results are called by: the field that holds titles, and whether passages are ranked, not documents."""

    title_field: str | None = None
    passages: bool = False

    def id(self, hit: Hit) -> str:
        """The id of the document, or of the passage, of which one document may have several."""
        return hit.passage_id if self.passages else hit.id


Form = Callable[["SearchResult", str, Naming], Iterator[str]]
"""The lines of a result, by the id of its query."""


def write(result: SearchResult, form: str, query_id: str, naming: Naming) -> None:
    """Print a result in one of :data:`FORMS`.

    Raises:
        RecordError: an id that a TREC run cannot say.
    """
    write_lines(FORMS[form](result, query_id, naming))


def form_of(
    name: str | None, *, as_json: bool, usual: str, explain: bool = False, shown: Mapping[str, object] | None = None
) -> str:
    """The form that ``--format`` and ``--json`` name, else the ``usual`` one.

    Args:
        name: what ``--format`` says.
        as_json: whether ``--json`` is given.
        usual: where neither is.
        explain: whether ``--explain`` is given.
        shown: other options that only the table and JSON can show, by their names, with what is given.

    Raises:
        QueryError: there is no such form, or the two differ, or it cannot show what is asked for.
    """
    form = name or ("json" if as_json else usual)
    if form not in NAMES:
        nearest = get_close_matches(form, NAMES, n=1, cutoff=0.0)[0]
        remedy = f"Did you mean {nearest}? There are: {', '.join(NAMES)}."
        raise QueryError(f"unknown format {form!r}", where="--format", remedy=remedy)
    if as_json and form != "json":
        raise QueryError(f"--json and --format {form} are both given", remedy="Give one of them.")
    if explain and form not in {TABLE, "json"}:
        raise QueryError("is for the table; JSON has the reasons too", where="--explain", remedy="Leave one out.")
    lost = next((option for option, given in (shown or {}).items() if given), None)
    if lost is not None and form not in {TABLE, "json"}:
        raise QueryError(f"is for the table and JSON, and not for {form}", where=lost, remedy="Leave one out.")
    return form


def _json(result: SearchResult, _query_id: str, _naming: Naming) -> Iterator[str]:
    """One object on one line: everything but vectors."""
    import orjson

    from hybrid_search.search.as_json import result_json

    yield orjson.dumps(result_json(result), default=str).decode()


def _tsv(result: SearchResult, _query_id: str, naming: Naming) -> Iterator[str]:
    """A line of :data:`COLUMNS` for each hit."""
    from hybrid_search.search.table import title_of

    for hit in result:
        title, score = _flat(title_of(hit, naming.title_field)), f"{hit.score:.6f}"
        cells = (_flat(result.query.text), str(hit.rank), one_line(naming.id(hit)), score, title, _flat(hit.text))
        yield "\t".join(cells)


def _trec(result: SearchResult, query_id: str, naming: Naming) -> Iterator[str]:
    """``query Q0 document rank score tag``, scores falling, as trec_eval and its kin read it."""
    from hybrid_search.evaluate.runs import falling

    for hit, score in zip(result, falling([hit.score for hit in result]), strict=True):
        name = naming.id(hit)
        if len(name.split()) != 1:
            raise RecordError(f"the id {name!r} holds white space", where="--format trec", remedy="Use --format tsv")
        yield f"{query_id} Q0 {one_line(name)} {hit.rank} {score!s} {TAG}"


def _ids(result: SearchResult, _query_id: str, naming: Naming) -> Iterator[str]:
    """The ids, best first."""
    return (one_line(naming.id(hit)) for hit in result)


def _markdown(result: SearchResult, _query_id: str, naming: Naming) -> Iterator[str]:
    """A heading, then a numbered list: title, id, the sentences that fit the question."""
    from hybrid_search.search.snippet import snippet
    from hybrid_search.search.table import passage_under, title_of

    yield f"## {_escaped(result.query.text)}\n"
    for hit in result:
        title = title_of(hit, naming.title_field)
        found = snippet(passage_under(hit, title), result.query.text, width=SNIPPET)
        yield f"{hit.rank}. **{_escaped(title)}** {_code(naming.id(hit))}\\\n   {_escaped(found.text)}"
    yield "" if result.hits else "Nothing found.\n"


FORMS: dict[str, Form] = {"json": _json, "tsv": _tsv, "trec": _trec, "ids": _ids, "md": _markdown}
NAMES = (TABLE, *FORMS)
HEADERS = {"tsv": ["\t".join(COLUMNS)]}


def _flat(text: str) -> str:
    """A text in one cell: runs of white space are one blank."""
    return one_line(" ".join(text.split()))


def _escaped(text: str) -> str:
    """Text on one line that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", _flat(text))


def _code(text: str) -> str:
    """A code span, between more backticks than the text has in a row."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    blank = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{blank}{one_line(text)}{blank}{fence}"
