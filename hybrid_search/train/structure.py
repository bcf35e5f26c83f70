"""Queries made of what documents are: titles, questions and answers, lists of them, and passages side by side.

Nobody asked these queries, so the figures that are measured on them say how well documents are told apart, no more;
whoever has ten judged queries should test by them (``--test-qrels``). A document is relevant to what was made of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hybrid_search.encode.finetune.records import Corpus
from hybrid_search.errors import SettingsError
from hybrid_search.evaluate.known_items import first_sentence
from hybrid_search.records import Query
from hybrid_search.train.records import Judged

FEWEST_WORDS, MOST_WORDS = 3, 60
FEWEST_LEFT = 8
"""Words that a passage must have besides its title, to be an answer to it."""

_WORD = re.compile(r"\w+")
_FAQ = re.compile(r"(?ms)^\s*(?:Q|Question|Frage)\s*[.:)]\s*(.+?\??)\s*^\s*(?:A|Answer|Antwort)\s*[.:)]\s*")
_ASKED = re.compile(r"^(.{8,300}?[?？])\s+\S", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Made:
    """Queries made of documents, and by query id the text of the document that each was made of."""

    judged: Judged
    near: Mapping[str, str]


def of_title(corpus: Corpus, rows: Sequence[int]) -> Iterator[str]:
    """The title, where the document says more than that."""
    title = corpus.titles[rows[0]]
    if title and sum(len(_words(corpus.texts[row])) for row in rows) - len(_words(title)) >= FEWEST_LEFT:
        yield title


def of_question(corpus: Corpus, rows: Sequence[int]) -> Iterator[str]:
    """A question that the text begins with, or that is the title."""
    found = _ASKED.match(corpus.texts[rows[0]])
    asked = corpus.titles[rows[0]] if corpus.titles[rows[0]].endswith(("?", "？")) else found[1] if found else ""
    if asked:
        yield " ".join(asked.split())


def of_faq(corpus: Corpus, rows: Sequence[int]) -> Iterator[str]:
    """The questions of a list of questions and answers (Q: ... A: ...)."""
    for row in rows:
        yield from (" ".join(found[1].split()) for found in _FAQ.finditer(corpus.texts[row]))


def of_neighbour(corpus: Corpus, rows: Sequence[int]) -> Iterator[str]:
    """The first sentence of a passage, which is taken out of it (Lee et al. 2019, arXiv:1906.00300)."""
    if len(rows) > 1:
        yield first_sentence(corpus.texts[rows[len(rows) // 2]])


KINDS: Mapping[str, Callable[[Corpus, Sequence[int]], Iterator[str]]] = {
    "title": of_title,
    "question": of_question,
    "faq": of_faq,
    "neighbour": of_neighbour,
}


def kinds_of(names: str | None) -> tuple[str, ...]:
    """The kinds of ``title,faq``; all of them for ``all``.

    Raises:
        SettingsError: one that there is not.
    """
    if names is None:
        return ()
    wanted = tuple(KINDS) if names.strip() == "all" else tuple(name.strip() for name in names.split(","))
    for name in wanted:
        if name not in KINDS:
            raise SettingsError(f"is {name!r}", where="--pairs", remedy=f"There are: {', '.join(KINDS)}, all")
    return wanted


def made_of(corpus: Corpus, kinds: Sequence[str]) -> Made:
    """Queries of all documents; what several documents would share is left out, for it tells none apart."""
    asked: dict[str, tuple[str, str]] = {}
    near = {}
    for document, rows in corpus.rows().items():
        for kind in kinds:
            for number, text in enumerate(KINDS[kind](corpus, rows)):
                if FEWEST_WORDS <= len(_words(text)) <= MOST_WORDS:
                    id_ = f"{kind}-{number}:{document}"
                    asked[id_], near[id_] = (document, text), corpus.texts[rows[0]]
    often = Counter(_words(text) for _, text in asked.values())
    kept = {id_: one for id_, one in asked.items() if often[_words(one[1])] == 1}
    queries = [Query(text, id=id_) for id_, (_, text) in kept.items()]
    qrels = {id_: {document: 1} for id_, (document, _) in kept.items()}
    origin = f"{len(kept):,} queries made of documents ({', '.join(kinds)})"
    return Made(Judged(queries, qrels, origin), {id_: near[id_] for id_ in kept})


def without(text: str, query: str) -> str:
    """A passage without the query that was made of it: copying is not to be learned; whole where little is left."""
    begin = text.find(query)
    if begin < 0:
        return text
    left = f"{text[:begin]} {text[begin + len(query) :]}".strip()
    return left if len(_words(left)) >= FEWEST_LEFT else text


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in _WORD.findall(text))
