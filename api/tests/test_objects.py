from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from rest_framework.serializers import CharField

from api.keys import create_api_key
from api.models import ApiKey
from api.objects import (
    Const,
    DecimalNumber,
    DecimalString,
    Fixed,
    InlineList,
    Livemode,
    Metadata,
    Object,
    ObjectId,
    RFC3339Time,
    UnixTime,
    first_rows,
)
from api.renderers import to_json
from api.resources import Resource, register
from api.tests.widgets import WIDGET, WidgetObject
from core import clock


class Child(Object):
    id = CharField()


class Thing(Object):
    object = Const("thing")
    nothing = Const(None)
    created = UnixTime(source="at")
    made = RFC3339Time(source="at")
    price = DecimalString()
    value = DecimalNumber()
    other = ObjectId(source="other_id")
    livemode = Livemode()
    metadata = Metadata()
    fixed = Fixed({"a": []})
    children = InlineList(Child, source="kids", url=lambda row: "/v1/kids", limit=2)


def thing(**given: Any) -> dict[str, Any]:
    row = {"at": None, "price": None, "value": None, "other_id": None, "metadata": {}, "kids": []} | given
    return Thing().to_representation(SimpleNamespace(**row))


def test_fields(settings: Any) -> None:
    east = timezone(timedelta(hours=2))
    kids = [SimpleNamespace(id=n) for n in "abc"]
    settings.LIVEMODE = True
    shown = thing(
        at=datetime(1970, 1, 1, 2, 0, 1, 999_999, tzinfo=east), price=Decimal("0.100"),
        value=Decimal("12345678901234567890.5"), other_id="cus_1", metadata={"k": "v"}, kids=kids,
    )  # fmt: skip
    assert to_json(shown) == (
        b'{"object":"thing","nothing":null,"created":1,"made":"1970-01-01T00:00:01.999Z","price":"0.1",'
        b'"value":12345678901234567890.5,"other":"cus_1","livemode":true,"metadata":{"k":"v"},"fixed":{"a":[]},'
        b'"children":{"object":"list","data":[{"id":"a"},{"id":"b"}],"has_more":true,"url":"/v1/kids"}}'
    )


def test_what_is_not_there_is_null() -> None:
    shown = thing()
    assert [name for name, value in shown.items() if value is None] == [
        "nothing", "created", "made", "price", "value", "other",
    ]  # fmt: skip
    assert shown["children"]["has_more"] is False
    assert thing(at=datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC))["created"] == -1


def test_a_fixed_value_is_not_shared() -> None:
    first = thing()
    first["fixed"]["a"].append(1)
    assert thing()["fixed"] == {"a": []}


@pytest.mark.django_db
def test_first_rows_reads_no_more_than_asked(django_assert_num_queries: Any) -> None:
    for _ in range(3):
        create_api_key("x", clock.now())
    with django_assert_num_queries(4) as queries:
        assert len(first_rows(ApiKey.objects, 2)) == 2
        assert len(first_rows(ApiKey.objects.all(), 2)) == 2
        assert len(first_rows(ApiKey.objects.all, 2)) == 2
        assert len(first_rows(lambda: ApiKey.objects.order_by("id"), 2)) == 2
    assert all("LIMIT 2" in query["sql"] for query in queries)
    assert first_rows(iter("abc"), 2) == ["a", "b"]


def test_a_name_is_registered_once() -> None:
    assert register(WIDGET) is WIDGET
    other = Resource(name="widget", kind="gadget", path="/v1/g", model=ApiKey, serializer=WidgetObject)
    with pytest.raises(AssertionError):
        register(other)
