"""The query language of searches: a text becomes clauses, each a field, an operator and a value.

Which fields there are, and what may be asked of each, is not known here; see `api/search_fields.py`.
"""

import re
from dataclasses import dataclass
from typing import NoReturn

from api.echo import echo
from core.errors import InvalidRequest

MAX_CLAUSES = 10
NULL = "null"
OPERATORS = (">=", "<=", ">", "<", ":", "~")

_SPACE = re.compile(r"\s*")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"' + "|" + r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_BARE = re.compile(r"[^\s\"'()\[\]]+")
_WORD = re.compile(r"(and|or)(?=\s|$)", re.IGNORECASE)


class InvalidQuery(InvalidRequest):
    """The text is no query, or asks for what a field does not offer."""

    def __init__(self, problem: str, place: int) -> None:
        """place: of the first wrong character, from 0; told from 1."""
        super().__init__(f"Your search query is invalid at character {place + 1}: {problem}", param="query")


@dataclass(frozen=True)
class Clause:
    """`field operator value`, and where it begins. key: of metadata. quoted: a bare value may be a word like null."""

    field: str
    operator: str
    value: str
    negated: bool = False
    key: str | None = None
    quoted: bool = True
    place: int = 0

    @property
    def asks_for_nothing(self) -> bool:
        """Whether it looks for what has no value."""
        return not self.quoted and self.value.lower() == NULL


@dataclass(frozen=True)
class Query:
    clauses: tuple[Clause, ...]
    any: bool = False  # one clause is enough


def parse_query(text: str) -> Query:
    """The clauses of `text`, joined by AND (or a space), or all by OR.

    Raises: InvalidQuery.
    """
    if "\x00" in text:
        raise InvalidQuery("it contains a null character.", text.index("\x00"))
    place, clauses, joined_by = _skip(text, 0), [], ""
    while True:
        clause, place = _clause(text, place)
        clauses.append(clause)
        if len(clauses) > MAX_CLAUSES:
            raise InvalidQuery(f"a query may have at most {MAX_CLAUSES} clauses.", clause.place)
        after = place
        place = _skip(text, place)
        if place == len(text):
            return Query(tuple(clauses), any=joined_by == "or")
        if place == after:
            _unexpected(text, place, "a space between two clauses")
        word, place = _joint(text, place)
        if joined_by and word != joined_by:
            raise InvalidQuery("AND and OR cannot be mixed in one query.", place)
        joined_by = word


def _clause(text: str, place: int) -> tuple[Clause, int]:
    start = place
    negated = text.startswith("-", place)
    field, place = _field(text, place + negated)
    key: str | None = None
    if text.startswith("[", place):
        key, place = _quoted(text, place + 1, "the metadata key in quotes")
        if not text.startswith("]", place):
            _unexpected(text, place, "]")
        place += 1
    operator = next((sign for sign in OPERATORS if text.startswith(sign, place)), None)
    if operator is None:
        _unexpected(text, place, "one of : ~ > < >= <=")
    place += len(operator)
    value, place, quoted = _value(text, place)
    return Clause(field, operator, value, negated, key, quoted, start), place


def _field(text: str, place: int) -> tuple[str, int]:
    found = _FIELD.match(text, place)
    if found is None:
        _unexpected(text, place, "the name of a field")
    return found[0], found.end()


def _value(text: str, place: int) -> tuple[str, int, bool]:
    """The value, where it ends, and whether it was in quotes."""
    if text[place : place + 1] in ('"', "'"):
        value, end = _quoted(text, place, "a value")
        quoted = True
    else:
        found = _BARE.match(text, place)
        if found is None:
            _unexpected(text, place, "a value")
        value, end, quoted = found[0], found.end(), False
    if not value:
        raise InvalidQuery("a value may not be empty; null finds what has none.", place)
    return value, end, quoted


def _quoted(text: str, place: int, wanted: str) -> tuple[str, int]:
    found = _QUOTED.match(text, place)
    if found is None and text[place : place + 1] in ('"', "'"):
        raise InvalidQuery("this quotation mark is never closed.", place)
    if found is None:
        _unexpected(text, place, wanted)
    inner = found[1] if found[1] is not None else found[2]
    return re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL), found.end()


def _joint(text: str, place: int) -> tuple[str, int]:
    """The word between two clauses, and where the next one begins; no word means AND."""
    found = _WORD.match(text, place)
    if found is None:
        return "and", place
    return found[0].lower(), _skip(text, found.end())


def _skip(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _unexpected(text: str, place: int, wanted: str) -> NoReturn:
    got = echo(text[place]) if place < len(text) else "the end"
    raise InvalidQuery(f"expected {wanted}, got {got}.", place)
