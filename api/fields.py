"""What one parameter may be: a string, a number, an instant, a flat hash of strings.

What is wrong is raised as a `ValidationError` with a code; `api/errors.py` adds the parameter's name.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.db.models import Choices
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.fields import empty

from api import metadata
from api.echo import echo
from api.forms import as_hash
from core.money import MAX_AMOUNT

MAX_INTEGER = 2**63 - 1
LAST_SECOND = 253402214399  # a day before the end of the year 9999, so that sums do not overflow

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})", re.ASCII)


class ParamField(serializers.Field):  # type: ignore[type-arg]
    """A parameter; `words` are values accepted as they are besides the field's own (`now`, `inf`)."""

    schema_type: ClassVar[Mapping[str, Any]] = {"type": "string"}

    def __init__(self, *, unset: bool = False, words: Iterable[str] = (), **kwargs: Any) -> None:
        self.unset = unset
        self.words = tuple(words)
        kwargs.setdefault("required", False)
        super().__init__(allow_null=unset, **kwargs)

    def run_validation(self, data: Any = empty) -> Any:
        if isinstance(data, str) and data in self.words:
            return data
        if isinstance(data, str) and data == "":
            return self.blank()
        if data is None and not self.unset:
            raise ValidationError("", code="parameter_invalid_empty")
        return super().run_validation(data)

    def blank(self) -> Any:
        """What an empty string stands for."""
        if self.unset:
            return None
        raise ValidationError("", code="parameter_invalid_empty")

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of one value."""
        described = dict(self.schema_type)
        options = [described]
        if self.words:
            options.append({"type": "string", "enum": list(self.words)})
        if self.unset:
            options.append({"type": "string", "enum": [""]})
        return described if len(options) == 1 else {"anyOf": options}

    def to_representation(self, value: Any) -> Any:
        return value


class String(ParamField):
    def __init__(self, *, max_length: int = 5000, **kwargs: Any) -> None:
        self.max_length = max_length
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise ValidationError(f"Invalid string: {echo(data)}")
        if len(data) > self.max_length:
            raise ValidationError(f"Invalid string: {echo(data)}; must be at most {self.max_length} characters")
        if self.required and not data.strip():
            raise ValidationError("The string value may not be blank.", code="parameter_invalid_string_blank")
        return data

    def schema(self) -> dict[str, Any]:
        return _merged(super().schema(), {"maxLength": self.max_length})


class Integer(ParamField):
    """A whole number of at most 64 bits."""

    schema_type = {"type": "integer"}

    def __init__(self, *, minimum: int | None = None, maximum: int = MAX_INTEGER, **kwargs: Any) -> None:
        self.minimum = -MAX_INTEGER if minimum is None else minimum
        self.maximum = maximum
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> int:
        number = _integer(data)
        if number < self.minimum:
            raise _out_of_range("greater", self.minimum)
        if number > self.maximum:
            raise _out_of_range("less", self.maximum)
        return number

    def schema(self) -> dict[str, Any]:
        limits = {}
        if self.minimum != -MAX_INTEGER:
            limits["minimum"] = self.minimum
        if self.maximum != MAX_INTEGER:
            limits["maximum"] = self.maximum
        return _merged(super().schema(), limits)


class Amount(Integer):
    """Money: a whole number of minor units, not below zero."""

    def __init__(self, *, minimum: int = 0, maximum: int = MAX_AMOUNT, **kwargs: Any) -> None:
        super().__init__(minimum=minimum, maximum=maximum, **kwargs)


class DecimalNumber(ParamField):
    """An exact decimal, plain or with an exponent (the official client writes `1E-7`)."""

    schema_type = {"type": "string", "format": "decimal"}

    def __init__(
        self,
        *,
        places: int = 12,
        minimum: Decimal = -Decimal(MAX_AMOUNT),
        maximum: Decimal = Decimal(MAX_AMOUNT),
        **kwargs: Any,
    ) -> None:
        self.places, self.minimum, self.maximum = places, minimum, maximum
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Decimal:
        text = str(data) if isinstance(data, int) and not isinstance(data, bool) else data
        if not isinstance(text, str) or len(text) > 64 or not _DECIMAL.fullmatch(text):
            raise ValidationError(f"Invalid decimal: {echo(data)}")
        number = Decimal(text)
        if number < self.minimum:
            raise _out_of_range("greater", self.minimum)
        if number > self.maximum:
            raise _out_of_range("less", self.maximum)
        if _places(number) > self.places:
            raise ValidationError(
                f"Invalid decimal: {echo(text)}; must contain at maximum {self.places} decimal places."
            )
        return number or Decimal(0)


class DecimalAmount(DecimalNumber):
    """Money: minor units with up to `places` decimals, not below zero."""

    def __init__(self, *, minimum: Decimal = Decimal(0), **kwargs: Any) -> None:
        super().__init__(minimum=minimum, **kwargs)


class PositiveDecimal(DecimalNumber):
    """An exact decimal above zero."""

    def to_internal_value(self, data: Any) -> Decimal:
        number = super().to_internal_value(data)
        if number <= 0:
            raise ValidationError("This value must be greater than 0.")
        return number


class Boolean(ParamField):
    schema_type = {"type": "boolean"}

    def to_internal_value(self, data: Any) -> bool:
        if data is True or data == "true":
            return True
        if data is False or data == "false":
            return False
        raise ValidationError(f"Invalid boolean: {echo(data)}")


class Choice(ParamField):
    """One of a closed set of words; `choices` is a list of them or a `TextChoices`."""

    def __init__(self, choices: Iterable[str] | type[Choices], **kwargs: Any) -> None:
        is_class = isinstance(choices, type) and issubclass(choices, Choices)
        self.choices = tuple(choices.values) if is_class else tuple(str(word) for word in choices)  # type: ignore[attr-defined,union-attr]
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, str) and data in self.choices:
            return data
        raise ValidationError(_one_of(self.choices), code="not_one_of")

    def schema(self) -> dict[str, Any]:
        return _merged(super().schema(), {"enum": list(self.choices)})


class UnixTime(ParamField):
    """Seconds since 1970, as an aware datetime in UTC."""

    schema_type = {"type": "integer", "format": "unix-time"}

    def to_internal_value(self, data: Any) -> datetime:
        seconds = _integer(data)
        if not 0 <= seconds <= LAST_SECOND:
            raise ValidationError(f"Invalid timestamp: {echo(str(data))}; must be Unix time in seconds.")
        return datetime.fromtimestamp(seconds, UTC)


class RFC3339Time(ParamField):
    """An instant as /v2 writes it (`2026-01-31T12:00:00.000Z`), as an aware datetime in UTC."""

    schema_type = {"type": "string", "format": "date-time"}

    def to_internal_value(self, data: Any) -> datetime:
        at = parse_rfc3339(data)
        if at is None:
            raise ValidationError(f"Invalid timestamp: {echo(data)}; must be in RFC 3339 format.")
        return at


class MetadataParam(ParamField):
    """A hash of strings for `api.metadata.merge`, where a blank value removes a key and a blank whole all."""

    schema_type = {
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": metadata.MAX_VALUE},
        "maxProperties": metadata.MAX_KEYS,
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(unset=True, **kwargs)

    def run_validation(self, data: Any = empty) -> Any:
        return super().run_validation("" if data is None else data)

    def blank(self) -> str:
        return ""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        given = as_hash(data)
        if not isinstance(given, Mapping):
            raise ValidationError("Invalid hash")
        entries = {key: "" if value is None else value for key, value in given.items()}
        wrong = {key: problem for key, value in entries.items() if (problem := metadata.check_entry(key, value))}
        if wrong:
            raise ValidationError(wrong)
        if len(entries) > metadata.MAX_KEYS:
            raise ValidationError(f"Metadata may have at most {metadata.MAX_KEYS} keys.")
        return entries


class StringMap(ParamField):
    """A flat hash from names to strings, both bounded."""

    def __init__(self, *, max_keys: int = 50, key_length: int = 100, max_length: int = 500, **kwargs: Any) -> None:
        self.max_keys, self.key_length, self.max_length = max_keys, key_length, max_length
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        given = as_hash(data)
        if not isinstance(given, Mapping):
            raise ValidationError("Invalid hash")
        if len(given) > self.max_keys:
            raise ValidationError(f"Invalid hash: may have at most {self.max_keys} keys.")
        for key, value in given.items():
            if len(key) > self.key_length:
                raise ValidationError(f"Invalid key: {echo(key)}; must be at most {self.key_length} characters")
            if not isinstance(value, str):
                raise ValidationError({key: f"Invalid string: {echo(value)}"})
            if len(value) > self.max_length:
                raise ValidationError({key: f"Invalid string: must be at most {self.max_length} characters"})
        return dict(given)

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": {"type": "string", "maxLength": self.max_length}}


def parse_rfc3339(data: Any) -> datetime | None:
    """The instant that `data` spells, in UTC; None if it spells none."""
    if not isinstance(data, str) or not _RFC3339.fullmatch(data):
        return None
    try:
        return datetime.fromisoformat(data).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _integer(data: Any) -> int:
    if isinstance(data, int) and not isinstance(data, bool):
        number = data
    elif isinstance(data, str) and _INTEGER.fullmatch(data):
        number = int(data)
    else:
        raise ValidationError(f"Invalid integer: {echo(data)}", code="parameter_invalid_integer")
    if abs(number) > MAX_INTEGER:
        raise ValidationError(f"Invalid integer: {echo(str(data))}", code="parameter_invalid_integer")
    return number


def _places(number: Decimal) -> int:
    """Decimals without trailing zeros; counted from the digits, as arithmetic would round a long number."""
    _, digits, exponent = number.as_tuple()
    kept = len("".join(map(str, digits)).rstrip("0"))
    return -int(exponent) - (len(digits) - kept) if kept else 0


def _out_of_range(word: str, limit: int | Decimal) -> ValidationError:
    code = "parameter_invalid_integer" if isinstance(limit, int) else "out_of_range"
    return ValidationError(f"This value must be {word} than or equal to {limit}.", code=code)


def _one_of(choices: tuple[str, ...]) -> str:
    if len(choices) < 3:
        return f"must be {' or '.join(choices)}" if len(choices) == 1 else f"must be one of {' or '.join(choices)}"
    return f"must be one of {', '.join(choices[:-1])}, or {choices[-1]}"


def _merged(described: dict[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """`described` with `limits` on its first alternative."""
    if "anyOf" in described:
        first, *rest = described["anyOf"]
        return {"anyOf": [{**first, **limits}, *rest]}
    return {**described, **limits}
