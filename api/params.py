"""What a call takes: its parameters, hashes and lists of them, and which of Stripe's are refused for now.

A parameter is optional unless `required=True`. An empty string is how a caller unsets a value: with `unset=True`
it becomes None, otherwise it is refused. `validated_data` holds what was given, and declared defaults.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from api.echo import echo
from api.fields import (
    Amount,
    Boolean,
    Choice,
    DecimalAmount,
    DecimalNumber,
    Integer,
    MetadataParam,
    ParamField,
    PositiveDecimal,
    RFC3339Time,
    String,
    StringMap,
    UnixTime,
)
from api.forms import as_hash
from core.errors import ParametersExclusive
from core.money import is_currency

__all__ = [
    "Amount",
    "Array",
    "Boolean",
    "ByCurrency",
    "Choice",
    "DecimalAmount",
    "DecimalNumber",
    "Hash",
    "Integer",
    "ListParams",
    "MetadataParam",
    "ParamField",
    "Params",
    "PositiveDecimal",
    "RFC3339Time",
    "SearchParams",
    "String",
    "StringMap",
    "TimeRange",
    "UnixTime",
]

MAX_EXPAND = 20


class Params(serializers.Serializer):  # type: ignore[type-arg]
    """The parameters of one call, or of a hash within it.

    The outermost one accepts `expand` by itself and leaves it in `expand_paths`. `later` names parameters
    that Stripe has and Countinghouse refuses by name until it has them too.
    """

    later: ClassVar[Sequence[str]] = ()
    expand_paths: tuple[str, ...] = ()

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        given = dict(data)
        if self.parent is None and not self.context.get("inner") and "expand" in given:
            self.expand_paths = self._expand(given.pop("expand"))
        self._refuse_unknown(given)
        validated: dict[str, Any] = super().to_internal_value(given)
        return validated

    def _expand(self, value: Any) -> tuple[str, ...]:
        try:
            return tuple(Array(String(max_length=500), max_length=MAX_EXPAND).run_validation(value))
        except ValidationError as error:
            raise ValidationError({"expand": error.detail}) from None

    def _refuse_unknown(self, given: Mapping[str, Any]) -> None:
        wrong = {name: self._unknown(name) for name in given if name not in self.fields}
        if wrong:
            raise ValidationError(wrong)

    def _unknown(self, name: str) -> list[ErrorDetail]:
        """Why `name` is refused; for an unknown one the text is the name that may have been meant."""
        if name in self.later:
            return [ErrorDetail("", code="not_supported")]
        close = get_close_matches(name[:100], list(self.fields), n=1, cutoff=0.7)
        return [ErrorDetail(close[0] if close else "", code="parameter_unknown")]


class Hash(ParamField):
    """A hash with parameters of its own."""

    def __init__(self, schema: type[Params], **kwargs: Any) -> None:
        self.params = schema
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        given = as_hash(data)
        if not isinstance(given, Mapping):
            raise ValidationError("Invalid hash")
        validated: dict[str, Any] = self.params(context={**self.context, "inner": True}).run_validation(dict(given))
        return validated


class ByCurrency(ParamField):
    """A hash from currency codes, in lower case once read, to hashes of one kind."""

    def __init__(self, schema: type[Params], **kwargs: Any) -> None:
        self.child = Hash(schema)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        given = as_hash(data)
        if not isinstance(given, Mapping):
            raise ValidationError("Invalid hash")
        values, wrong = {}, {}
        for name, value in given.items():
            code = name.lower()
            try:
                if not is_currency(code):
                    raise ValidationError(f"Invalid currency: {echo(name)}.")
                if code in values:
                    raise ValidationError(f"The currency {code} is given twice.")
                values[code] = self.child.run_validation(value)
            except ValidationError as error:
                wrong[name] = error.detail
        if wrong:
            raise ValidationError(wrong)
        return values


class Array(ParamField):
    """A list of values of one kind; `child` is a field, or a `Params` class for a list of hashes."""

    def __init__(self, child: ParamField | type[Params], *, max_length: int = 100, **kwargs: Any) -> None:
        self.child = Hash(child) if isinstance(child, type) else child
        self.max_length = max_length
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            raise ValidationError("Invalid array")
        if len(data) > self.max_length:
            raise ValidationError(f"Invalid array: may have at most {self.max_length} elements.")
        values, wrong = [], {}
        for index, value in enumerate(data):
            try:
                values.append(self.child.run_validation(value))
            except ValidationError as error:
                wrong[str(index)] = error.detail
        if wrong:
            raise ValidationError(wrong)
        return values


class _TimeBounds(Params):
    gt = UnixTime()
    gte = UnixTime()
    lt = UnixTime()
    lte = UnixTime()


class TimeRange(ParamField):
    """An instant in whole seconds, or bounds `gt`, `gte`, `lt`, `lte`; as a dict with `gte` and `lt` only.

    Rows keep microseconds and the wire shows seconds, so "after second 5" means from second 6 on:
    `filter(**{f"created_at__{bound}": at for bound, at in given.items()})` selects what the caller sees.
    """

    schema_type = {
        "anyOf": [
            {"type": "integer", "format": "unix-time"},
            {
                "type": "object",
                "properties": {
                    bound: {"type": "integer", "format": "unix-time"} for bound in ("gt", "gte", "lt", "lte")
                },
                "additionalProperties": False,
            },
        ]
    }

    def to_internal_value(self, data: Any) -> dict[str, datetime]:
        second = timedelta(seconds=1)
        if not isinstance(as_hash(data), Mapping):
            at = UnixTime().to_internal_value(data)
            return {"gte": at, "lt": at + second}
        given = Hash(_TimeBounds).to_internal_value(data)
        from_ = [given[name] + shift for name, shift in (("gte", 0 * second), ("gt", second)) if name in given]
        until = [given[name] + shift for name, shift in (("lt", 0 * second), ("lte", second)) if name in given]
        return ({"gte": max(from_)} if from_ else {}) | ({"lt": min(until)} if until else {})


class ListParams(Params):
    """What every list takes."""

    limit = Integer(minimum=1, maximum=100, default=10)
    starting_after = String()
    ending_before = String()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "starting_after" in attrs and "ending_before" in attrs:
            raise ParametersExclusive(
                "Received both starting_after and ending_before parameters. Please pass in only one."
            )
        return attrs


class SearchParams(Params):
    """What every search takes."""

    query = String(required=True, help_text='Clauses like `email~"ada"`, joined by AND or by OR; `-` negates one.')
    limit = Integer(minimum=1, maximum=100, default=10)
    page = String(help_text="The `next_page` of the answer before.")
