"""What an object looks like on the wire: the fields from which an `Object` is declared."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar

import orjson
from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Manager, QuerySet
from rest_framework import serializers

from api.lists import envelope
from core.money import plain

KEPT = "kept"  # in the context of who shows many objects: what is repeated in them
NULLABLE_STRING: Mapping[str, Any] = {"type": ["string", "null"]}


class Object(serializers.Serializer):  # type: ignore[type-arg]
    """The shape of a wire object; its fields are all there is, none is left out for being null.

    It shows a row as `Serializer` does, in half the time: what every field has in common is found out once.
    """

    @cached_property
    def _readers(self) -> list[tuple[str, Sequence[str] | None, Any]]:
        """Of each field its name, the attributes that lead to its value (None: the field finds it itself), itself."""
        own = serializers.Field.get_attribute
        return [
            (name, field.source_attrs if type(field).get_attribute is own else None, field)
            for name, field in self.fields.items()
        ]

    def to_representation(self, instance: Any) -> dict[str, Any]:
        if isinstance(instance, Mapping):
            return dict(super().to_representation(instance))
        shown: dict[str, Any] = {}
        for name, path, field in self._readers:
            value = _NOT_FOUND if path is None else _value(instance, path)
            if value is _NOT_FOUND:
                try:
                    value = field.get_attribute(instance)
                except serializers.SkipField:
                    continue
            shown[name] = None if value is None else field.to_representation(value)
        return shown


class Repeated(Object):
    """An object that stands in many others, as a price does: who shows these together may keep it, and show it once."""

    def to_representation(self, instance: Any) -> Any:
        kept = self.context.get(KEPT)
        if kept is None:
            return self.shown(instance)
        key = type(self), instance.pk
        if key not in kept:
            kept[key] = self.shown(instance)
        return kept[key]

    def shown(self, instance: Any) -> Any:
        return super().to_representation(instance)


_NOT_FOUND = object()


def _value(instance: Any, path: Sequence[str]) -> Any:
    """What attributes lead to; not found where one is missing, or is something to call."""
    value = instance
    try:
        for name in path:
            value = getattr(value, name)
    except (AttributeError, ObjectDoesNotExist):
        return _NOT_FOUND
    return _NOT_FOUND if path and callable(value) else value


class WireField(serializers.Field):  # type: ignore[type-arg]
    """A field that is only written, never read from a caller."""

    schema_type: ClassVar[Mapping[str, Any]] = {"type": "string"}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the value."""
        return dict(self.schema_type)

    def to_representation(self, value: Any) -> Any:
        return value


class Const(WireField):
    """The same value in every object, as in `"object": "customer"`."""

    def __init__(self, value: str | bool | int | None, **kwargs: Any) -> None:
        self.value = value
        super().__init__(source="*", **kwargs)

    def to_representation(self, value: Any) -> Any:
        return self.value

    def schema(self) -> dict[str, Any]:
        return {"type": "null"} if self.value is None else {"const": self.value}


class FilledIn(Const):
    """What an upper app fills in (see `api.resources.fill`); null until then."""

    schema_type = {"type": ["object", "null"]}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(None, **kwargs)

    def schema(self) -> dict[str, Any]:
        return dict(self.schema_type)


class Text(WireField):
    """A string; null where the row has none, or an empty one."""

    schema_type = NULLABLE_STRING

    def to_representation(self, value: Any) -> str | None:
        return str(value) or None


class Integer(WireField):
    schema_type = {"type": ["integer", "null"]}


class Boolean(WireField):
    schema_type = {"type": ["boolean", "null"]}


class Json(WireField):
    """A hash or a list that is kept as it was given."""

    schema_type = {"type": ["object", "array", "null"]}


class Fixed(WireField):
    """The same hash or list in every object: what Stripe has and this installation always answers alike."""

    schema_type = {"type": ["object", "array"]}

    def __init__(self, value: Any, **kwargs: Any) -> None:
        self.value = value
        super().__init__(source="*", **kwargs)

    def to_representation(self, value: Any) -> Any:
        return deepcopy(self.value)


class UnixTime(WireField):
    """An instant as whole seconds since 1970, rounded down."""

    schema_type = {"type": ["integer", "null"], "format": "unix-time"}

    def to_representation(self, value: datetime) -> int:
        return unix(value)


class RFC3339Time(WireField):
    """An instant as /v2 writes it: UTC with milliseconds."""

    schema_type = {"type": ["string", "null"], "format": "date-time"}

    def to_representation(self, value: datetime) -> str:
        return rfc3339(value)


class DecimalString(WireField):
    """An exact decimal as a plain string; the official client makes a `Decimal` of it."""

    schema_type = {"type": ["string", "null"], "format": "decimal"}

    def to_representation(self, value: Decimal | int) -> str:
        return plain(Decimal(value))


class DecimalNumber(WireField):
    """An exact decimal as a JSON number, where Stripe has one (`aggregated_value`)."""

    schema_type = {"type": ["number", "null"]}

    def to_representation(self, value: Decimal | int) -> Any:
        return orjson.Fragment(plain(Decimal(value)))


class ObjectId(WireField):
    """The id of another object; `source="customer_id"` avoids reading that object."""

    schema_type = NULLABLE_STRING

    def to_representation(self, value: Any) -> str:
        return str(value)


class Livemode(Const):
    """Whether this installation bills for real; the same for all its objects."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(None, **kwargs)

    def to_representation(self, value: Any) -> bool:
        return settings.LIVEMODE

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Metadata(WireField):
    schema_type = {"type": "object", "additionalProperties": {"type": "string"}}

    def to_representation(self, value: Mapping[str, str]) -> dict[str, str]:
        return dict(value)


class InlineList(WireField):
    """A list within an object: its first `limit` elements, and the address where the rest is found.

    `source` is the name of an attribute (a manager, a queryset, a list, or a method giving one of these) or a
    function of the row; the order is the source's. `url` is a function of the row.
    """

    def __init__(
        self,
        child: type[Object],
        *,
        source: str | Callable[[Any], Iterable[Any]],
        url: Callable[[Any], str],
        limit: int = 10,
        **kwargs: Any,
    ) -> None:
        self.child_class, self.rows_of, self.url, self.limit = child, source, url, limit
        super().__init__(source="*", **kwargs)

    @cached_property
    def child(self) -> Object:
        """Made once for all rows: that takes longer than to show one."""
        return self.child_class()

    def to_representation(self, value: Any) -> dict[str, Any]:
        found = getattr(value, self.rows_of) if isinstance(self.rows_of, str) else self.rows_of(value)
        rows = first_rows(found, self.limit + 1)
        self.child._context = self.context
        data = [self.child.to_representation(row) for row in rows[: self.limit]]
        return envelope(data, url=self.url(value), has_more=len(rows) > self.limit)


def first_rows(found: Any, count: int) -> list[Any]:
    """The first `count` rows of a manager, queryset, iterable or function giving one; no more are read."""
    if isinstance(found, Manager):
        found = found.all()
    elif callable(found):
        found = found()
    return list(found[:count] if isinstance(found, QuerySet) else islice(found, count))


def rfc3339(at: datetime) -> str:
    """UTC with milliseconds, rounded down: `2026-01-31T12:00:00.000Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix(at: datetime) -> int:
    """Whole seconds since 1970, rounded down."""
    return int(at.timestamp() // 1)
