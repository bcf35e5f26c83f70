"""The text form of filters: its grammar, and the tree that a text is read into.

    alternatives = all-of ("or" all-of)*
    all-of       = one ("and" one)*
    one          = "not" one | "(" alternatives ")" | comparison
    comparison   = field operator value ("|" value)* | field ["not"] "in" "(" [value ("," value)*] ")"
                 | field ["not"] "within" area
    operator     = "=" | "==" | "!=" | "^=" | "*=" | "<" | "<=" | ">" | ">="
    field, value = "..." | '...' | bare text

In quotes, a backslash before any character stands for that character. Bare text may hold blanks, though not around
it, and balanced parentheses; it ends before ``|``, and before ``and`` and ``or`` as words of their own, in any case.
An empty one may stand at the end. A bare ``*`` is any value. An area is a value that begins with a digit or a sign, or
in quotes. What fields and values mean is not decided here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from hybrid_search.errors import QueryError

MOST_NESTED = 100
"""How deep parentheses and ``not`` may be nested."""

_BLANK = re.compile(r"\s*")
_OPERATOR = re.compile(r"==|!=|\^=|\*=|<=|>=|[=<>]")
_WORD = re.compile(r"(and|or)(?=[\s(\"']|$)", re.IGNORECASE)
_NOT = re.compile(r"not(?=[\s(\"'])\s*(?![\s=!<>])", re.IGNORECASE)
_IN = re.compile(r"(?P<not>not\s+)?in\s*\(", re.IGNORECASE)
_WITHIN = re.compile(r"(?P<not>not\s+)?within\s*(?=[-+.\d\"'])", re.IGNORECASE)
_SECOND = re.compile(r"\s[^\s=!<>]+\s*(==|!=|[<>]=?|=)")
"""A comparison within a bare value."""
_FORM = "Write it as field=value, field!=value, field^=begin, field*=part, field<value, field in (a, b) or field=*"


@dataclass(frozen=True, slots=True)
class Comparison:
    """``operator`` is one of ``= != ^= *= < <= > >= in within``; ``values`` None stands for a bare ``*``: any."""

    field: str
    operator: str
    values: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Negation:
    """It does not hold."""

    part: Tree


@dataclass(frozen=True, slots=True)
class Junction:
    """All of the parts hold, or with ``any`` at least one of them."""

    parts: tuple[Tree, ...]
    any: bool


Tree = Comparison | Negation | Junction


def tree(expression: str) -> Tree:
    """What a text says.

    Raises:
        QueryError: with the position of what is wrong.
    """
    reader = _Reader(expression)
    found = reader.alternatives(0)
    if not reader.at_end:
        reader.fail('there is no "(" for this ")"', "Quote a value that holds it")
    return found


def quoted(text: str) -> str:
    """The text as a field or a value, whatever characters it holds."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Reader:
    """A text and how far it is read; each method reads one rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._blanks()

    @property
    def at_end(self) -> bool:
        return self._at == len(self._text)

    def fail(self, what: str, remedy: str = _FORM) -> NoReturn:
        raise QueryError(what, where=f"character {self._at + 1} of the filter {self._text!r:.200}", remedy=remedy)

    def alternatives(self, depth: int) -> Tree:
        return self._joined("or", depth)

    def _joined(self, word: str, depth: int) -> Tree:
        parts = [self._operand(word, depth)]
        while (found := _WORD.match(self._text, self._at)) and found[1].lower() == word:
            self._move(found.end())
            parts.append(self._operand(word, depth))
        return parts[0] if len(parts) == 1 else Junction(tuple(parts), word == "or")

    def _operand(self, word: str, depth: int) -> Tree:
        return self._joined("and", depth) if word == "or" else self._one(depth)

    def _one(self, depth: int) -> Tree:
        if depth > MOST_NESTED:
            self.fail("nested too deep", "Write it with fewer parentheses")
        if found := _NOT.match(self._text, self._at):
            self._move(found.end())
            return Negation(self._one(depth + 1))
        if self._takes("("):
            inner = self.alternatives(depth + 1)
            if not self._takes(")"):
                self.fail('a ")" is missing', "Close the parenthesis, or quote a value that holds it")
            return inner
        return self._comparison()

    def _comparison(self) -> Tree:
        field = self._field()
        if found := _IN.match(self._text, self._at):
            self._move(found.end())
            listed = Comparison(field, "in", self._list())
            return Negation(listed) if found["not"] else listed
        if found := _WITHIN.match(self._text, self._at):
            self._move(found.end())
            area = Comparison(field, "within", (self._value("|", may_be_empty=False)[0],))
            return Negation(area) if found["not"] else area
        operator = _OPERATOR.match(self._text, self._at)
        if operator is None:
            self.fail("a comparison is missing here" if self.at_end else "this is no comparison")
        self._move(operator.end())
        return Comparison(field, "=" if operator[0] == "==" else operator[0], self._values(operator[0]))

    def _field(self) -> str:
        if self._text[self._at : self._at + 1] in {'"', "'"}:
            field = self._quoted()
        else:
            began = self._at
            while not self._ends_field():
                self._at += 1
            field = self._text[began : self._at].rstrip()
        if not field:
            self.fail("the name of a field is missing")
        return field

    def _ends_field(self) -> bool:
        if self.at_end or self._text[self._at] in "=<>()|" or self._text.startswith(("!=", "^=", "*="), self._at):
            return True
        return self._begins_word and any(word.match(self._text, self._at) for word in (_IN, _WITHIN, _WORD))

    @property
    def _begins_word(self) -> bool:
        """Whether a word of the grammar may begin here: after a blank."""
        return self._at > 0 and self._text[self._at - 1].isspace()

    def _values(self, operator: str) -> tuple[str, ...] | None:
        if self._text[self._at : self._at + 1] in {"=", "<", ">"}:
            self.fail("two operators, one after the other", "Quote a value that begins with one")
        equality = operator in {"=", "==", "!="}
        values = [self._value("|", may_be_empty=equality)]
        while self._takes("|"):
            if not equality and operator not in {"^=", "*="}:
                self.fail("alternatives are for =, !=, ^= and *=", "Combine comparisons with or")
            values.append(self._value("|", may_be_empty=True))
        return self._told(values)

    def _list(self) -> tuple[str, ...]:
        if self._takes(")"):
            return ()
        values = [self._value(",", may_be_empty=False)]
        while self._takes(","):
            values.append(self._value(",", may_be_empty=False))
        if not self._takes(")"):
            self.fail('a "," or ")" is missing', "Separate values by commas, and quote those that hold one")
        return self._told(values) or self.fail('"*" is no value of a list', 'Quote it, or write field="*"')

    def _told(self, values: list[tuple[str, bool]]) -> tuple[str, ...] | None:
        """The values without their quotes; None for a bare ``*``."""
        if ("*", False) not in values:
            return tuple(value for value, _ in values)
        return None if len(values) == 1 else self.fail('"*" stands for any value, alone', "Quote it to look for it")

    def _value(self, separator: str, *, may_be_empty: bool) -> tuple[str, bool]:
        """A value, and whether it was in quotes."""
        if self._text[self._at : self._at + 1] in {'"', "'"}:
            value = self._quoted()
            if not (self.at_end or self._text[self._at] in f"{separator})" or _WORD.match(self._text, self._at)):
                self.fail("something follows a quoted value", "Put the whole value in quotes")
            return value, True
        value = self._bare(separator)
        if not value and not (may_be_empty and (self.at_end or self._text[self._at] == separator)):
            self.fail("a value is missing", 'Write "" for an empty one')
        return value, False

    def _bare(self, separator: str) -> str:
        began, opened = self._at, 0
        if self._text.startswith("(", began):
            self.fail("a value in parentheses", "Write field=a|b without them, or quote a value that begins with one")
        while not self.at_end and (opened or not self._ends_bare(separator)):
            opened += (self._text[self._at] == "(") - (self._text[self._at] == ")")
            self._at += 1
        if opened:
            self.fail('a ")" is missing', "Close the parenthesis, or quote the value")
        value = self._text[began : self._at].strip()
        if found := _SECOND.search(value):
            self._at = began + found.start() + 1
            self.fail('"and" or "or" is missing', "Combine comparisons with one of them, or quote the value")
        return value

    def _ends_bare(self, separator: str) -> bool:
        is_word = self._begins_word and _WORD.match(self._text, self._at) is not None
        return is_word or self._text[self._at] in f"{separator})"

    def _quoted(self) -> str:
        mark, began = self._text[self._at], self._at
        characters: list[str] = []
        self._at += 1
        while self._at < len(self._text) and self._text[self._at] != mark:
            self._at += self._text[self._at] == "\\"
            characters.append(self._text[self._at : self._at + 1])
            self._at += 1
        if self._at >= len(self._text):
            self._at = began
            self.fail("this quotation mark is not closed", "Close it, or write \\ before it inside other quotes")
        self._move(self._at + 1)
        return "".join(characters)

    def _takes(self, mark: str) -> bool:
        if not self._text.startswith(mark, self._at):
            return False
        self._move(self._at + len(mark))
        return True

    def _move(self, to: int) -> None:
        self._at = to
        self._blanks()

    def _blanks(self) -> None:
        found = _BLANK.match(self._text, self._at)
        self._at = found.end() if found else self._at
