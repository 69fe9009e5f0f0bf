"""What can be searched, and how: a clause about a field becomes a condition on rows.

Values are bound as parameters. A field without a value is null on the wire, and an empty text is one too.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from django.db.models import BooleanField, Case, Expression, F, Func, Q, QuerySet, TextField, Value, When

from api.echo import echo
from api.fields import LAST_SECOND, MAX_INTEGER
from api.search_query import Clause, InvalidQuery, Query
from core.errors import NotSupported

SHORTEST_PART = 3
COMPARISONS = {":": "exact", ">": "gt", "<": "lt", ">=": "gte", "<=": "lte"}

_DIGITS = re.compile(r"-?[0-9]{1,19}")


class Kind(Enum):
    """What may be asked of a field."""

    TEXT = "text"  # equality and parts of it, of any case
    TOKEN = "token"  # noqa: S105 - equality, of any case
    ID = "id"  # equality to the letter: ids that differ by case are different ids
    NUMBER = "number"
    TIME = "time"
    BOOLEAN = "boolean"
    METADATA = "metadata"
    LATER = "later"  # Stripe's, and refused by name


OPERATORS: Mapping[Kind, tuple[str, ...]] = {
    Kind.TEXT: (":", "~"),
    Kind.NUMBER: tuple(COMPARISONS),
    Kind.TIME: tuple(COMPARISONS),
}


@dataclass(frozen=True)
class Field:
    """One searchable field.

    column: its name, or an expression. through: for a column of another table, the rows of that table; the objects
    are those whose id is in their `owner`.
    """

    column: str | Expression
    kind: Kind
    through: Callable[[], QuerySet[Any]] | None = None
    owner: str = ""


LATER = Field("", Kind.LATER)


def condition(fields: Mapping[str, Field], query: Query) -> Q:
    """The rows that `query` selects.

    Raises: InvalidQuery, NotSupported.
    """
    found = Q()
    for clause in query.clauses:
        one = _of_clause(_field_of(fields, clause), clause)
        one = _not(one) if clause.negated else one
        found = found | one if query.any else found & one
    return found


def _field_of(fields: Mapping[str, Field], clause: Clause) -> Field:
    field = fields.get(clause.field)
    if field is None:
        offered = ", ".join(name for name, one in fields.items() if one.kind is not Kind.LATER)
        raise InvalidQuery(f"there is no field {echo(clause.field)} to search; there are {offered}.", clause.place)
    if field.kind is Kind.LATER:
        raise NotSupported(f"Searching by {clause.field} is not supported.", param="query")
    if (field.kind is Kind.METADATA) != (clause.key is not None):
        wanted = 'needs a key: metadata["key"]' if field.kind is Kind.METADATA else "has no keys"
        raise InvalidQuery(f"the field {clause.field} {wanted}.", clause.place)
    if clause.operator not in OPERATORS.get(field.kind, (":",)):
        raise InvalidQuery(f"the field {clause.field} does not support {clause.operator}.", clause.place)
    return field


def _of_clause(field: Field, clause: Clause) -> Q:
    if field.through is not None:
        return _elsewhere(field, clause)
    if clause.asks_for_nothing:
        return _without(field, clause)
    return _READERS[field.kind](field.column, clause)


def _elsewhere(field: Field, clause: Clause) -> Q:
    assert field.through is not None
    rows = field.through()
    if clause.asks_for_nothing:
        _only_equality(clause)
        return ~Q(pk__in=rows.values(field.owner))
    return Q(pk__in=rows.filter(_READERS[field.kind](field.column, clause)).values(field.owner))


def _without(field: Field, clause: Clause) -> Q:
    _only_equality(clause)
    if field.kind is Kind.METADATA:
        return ~Q(**{f"{field.column}__has_key": clause.key})
    nothing = _is(field.column, "isnull", True)
    if field.kind in (Kind.TEXT, Kind.TOKEN, Kind.ID):
        nothing |= _is(field.column, "exact", "")
    return nothing


def _only_equality(clause: Clause) -> None:
    if clause.operator != ":":
        raise InvalidQuery(f"null cannot be compared with {clause.operator}.", clause.place)


def _text(column: Any, clause: Clause) -> Q:
    value = _string(clause)
    if clause.operator == "~":
        if len(value) < SHORTEST_PART:
            raise InvalidQuery(f"a part to find must have at least {SHORTEST_PART} characters.", clause.place)
        return _is(column, "icontains", value)
    return _is(column, "iexact", value)


def _id(column: Any, clause: Clause) -> Q:
    return _is(column, "exact", _string(clause))


def _metadata(column: Any, clause: Clause) -> Q:
    """A lookup by path would take a key of digits for the place in a list."""
    value = Func(F(column), Value(clause.key), function="jsonb_extract_path_text", output_field=TextField())
    return _is(value, "iexact", _string(clause))


def _number(column: Any, clause: Clause) -> Q:
    return _is(column, COMPARISONS[clause.operator], _integer(clause, -MAX_INTEGER, MAX_INTEGER))


def _time(column: Any, clause: Clause) -> Q:
    """Rows keep microseconds and the wire shows seconds: "after second 5" means from second 6 on."""
    at = datetime.fromtimestamp(_integer(clause, 0, LAST_SECOND), UTC)
    following = at + timedelta(seconds=1)
    match clause.operator:
        case ">":
            return _is(column, "gte", following)
        case ">=":
            return _is(column, "gte", at)
        case "<":
            return _is(column, "lt", at)
        case "<=":
            return _is(column, "lt", following)
    return _is(column, "gte", at) & _is(column, "lt", following)


def _boolean(column: Any, clause: Clause) -> Q:
    value = clause.value.lower()
    if value not in ("true", "false"):
        raise InvalidQuery(f"the field {clause.field} is true or false.", clause.place)
    return _is(column, "exact", value == "true")


_READERS: Mapping[Kind, Callable[[Any, Clause], Q]] = {
    Kind.TEXT: _text,
    Kind.TOKEN: _text,
    Kind.ID: _id,
    Kind.NUMBER: _number,
    Kind.TIME: _time,
    Kind.BOOLEAN: _boolean,
    Kind.METADATA: _metadata,
}


def _string(clause: Clause) -> str:
    """The value of a field of letters, where only digits may stand without quotes."""
    if not clause.quoted and not _DIGITS.fullmatch(clause.value):
        raise InvalidQuery(f"the value of {clause.field} must be in quotes.", clause.place)
    return clause.value


def _integer(clause: Clause, lowest: int, highest: int) -> int:
    number = int(clause.value) if _DIGITS.fullmatch(clause.value) else None
    if number is None or not lowest <= number <= highest:
        raise InvalidQuery(f"{echo(clause.value)} is no whole number that {clause.field} can have.", clause.place)
    return number


def _is(column: str | Expression, lookup: str, value: Any) -> Q:
    if isinstance(column, str):
        return Q(**{f"{column}__{lookup}": value})
    made = column.get_lookup(lookup)
    assert made is not None
    return Q(made(column, value))


def _not(one: Q) -> Q:
    """All other rows, those without a value too: to the database these are neither in nor out."""
    return ~Q(Case(When(one, then=Value(True)), default=Value(False), output_field=BooleanField()))
