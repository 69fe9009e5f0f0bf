"""Usage records of subscription items at prices without a meter, as Stripe had them before 2025-03-31.basil: the
client has no methods for them any more, so they are sent as raw requests."""

import json
from typing import Any
from uuid import uuid4

import pytest
import stripe

from tests.wire.client import DAY, Wire, invalid, missing, refused, unix

JAN, FEB, MAR, APR = unix(2026), unix(2026, 2), unix(2026, 3), unix(2026, 4)
HOUR, MINUTE = 3600, 60
BY_ITEM = {"dimension_group_by_keys": ["subscription_item"]}


def price(wire: Wire, aggregate: str | None = "sum", **fields: Any) -> Any:
    """A monthly price of 5 cents a unit by usage records."""
    recurring = {"interval": "month", "usage_type": "metered"} | ({"aggregate_usage": aggregate} if aggregate else {})
    made = {"currency": "usd", "unit_amount": 5, "product_data": {"name": "Calls"}, "recurring": recurring}
    return wire.v1.prices.create(made | fields)


def item_of(subscription: Any) -> Any:
    return subscription.items.data[0]


def subscribed(wire: Wire, aggregate: str = "sum") -> tuple[Any, Any, Any]:
    """A clock at the beginning of the year, a customer on it, and the item of its subscription."""
    clock = wire.clock()
    customer = wire.customer(clock)
    return clock, customer, item_of(wire.subscribe(customer, price(wire, aggregate)))


def record(wire: Wire, item: Any, quantity: int, at: int | str | None = None, **fields: Any) -> Any:
    when = {} if at is None else {"timestamp": at}
    key = {"idempotency_key": fields.pop("key")} if "key" in fields else {}
    path = f"/v1/subscription_items/{item.id}/usage_records"
    return json.loads(wire.client.raw_request("post", path, quantity=quantity, **when, **fields, **key).body)


def summaries(wire: Wire, item: Any, **page: Any) -> list[dict[str, Any]]:
    path = f"/v1/subscription_items/{item.id}/usage_record_summaries"
    return json.loads(wire.client.raw_request("get", path, **page).body)["data"]


def billed(wire: Wire, customer: Any) -> list[tuple[int, int]]:
    """Quantity and amount on each invoice, oldest first."""
    return [(line.quantity, line.amount) for invoice in wire.invoices(customer) for line in invoice.lines.data]


def totals(wire: Wire, item: Any) -> list[int]:
    return [summary["total_usage"] for summary in summaries(wire, item)]


def test_a_record_is_answered_and_counts_at_once(wire: Wire) -> None:
    _, _, item = subscribed(wire)
    made = record(wire, item, 10)
    assert made == {
        "id": made["id"],
        "object": "usage_record",
        "livemode": False,
        "quantity": 10,
        "subscription_item": item.id,
        "timestamp": JAN,
    }
    assert made["id"].startswith("mbur_")
    record(wire, item, 5, "now")
    record(wire, item, 0, JAN)
    [open_period] = summaries(wire, item)
    assert open_period == {
        "id": open_period["id"],
        "object": "usage_record_summary",
        "invoice": None,
        "livemode": False,
        "period": {"end": FEB, "start": JAN},
        "subscription_item": item.id,
        "total_usage": 15,
    }
    assert open_period["id"].startswith("sis_")


# Records in January and March, none in February; what each of the three months bills at 5 cents.
@pytest.mark.parametrize(
    ("aggregate", "quantities"),
    [
        ("sum", [15, 0, 4]),
        ("last_during_period", [5, 0, 4]),
        ("last_ever", [5, 5, 4]),
        ("max", [10, 0, 4]),
    ],
)
def test_each_aggregate_through_three_periods_to_the_invoices(
    wire: Wire, aggregate: str, quantities: list[int]
) -> None:
    clock, customer, item = subscribed(wire, aggregate)
    wire.advance(clock, JAN + 3 * DAY)
    record(wire, item, 10, JAN + DAY)
    record(wire, item, 5, JAN + 2 * DAY)
    wire.advance(clock, FEB + 2 * HOUR)
    preview = wire.v1.invoices.create_preview({"customer": customer.id})
    assert [line.quantity for line in preview.lines.data] == [quantities[1]]
    wire.advance(clock, MAR + 2 * HOUR)
    record(wire, item, 4)
    wire.advance(clock, APR + 2 * HOUR)
    assert billed(wire, customer) == [(quantity, quantity * 5) for quantity in quantities]
    assert [invoice.status for invoice in wire.invoices(customer)] == [
        "open" if quantity else "paid" for quantity in quantities
    ]
    found = summaries(wire, item)
    carried = quantities[-1] if aggregate == "last_ever" else 0
    assert [one["total_usage"] for one in found] == [carried, *quantities[::-1]]
    assert [one["invoice"] for one in found] == [None, *(invoice.id for invoice in wire.invoices(customer)[::-1])]
    assert [one["period"]["start"] for one in found] == [APR, MAR, FEB, JAN]


def test_last_ever_takes_the_latest_time_and_not_the_latest_arrival(wire: Wire) -> None:
    clock, _, item = subscribed(wire, "last_ever")
    wire.advance(clock, JAN + 3 * DAY)
    record(wire, item, 7, JAN + 2 * DAY)
    record(wire, item, 9, JAN + DAY)
    assert totals(wire, item) == [7]


@pytest.mark.parametrize("aggregate", ["sum", "max", "last_during_period", "last_ever"])
def test_set_stands_in_place_of_what_was_recorded_for_the_same_instant(wire: Wire, aggregate: str) -> None:
    _, _, item = subscribed(wire, aggregate)
    for quantity in (10, 20):
        record(wire, item, quantity, JAN)
    record(wire, item, 3, JAN + 1)
    record(wire, item, 4, JAN, action="set")
    record(wire, item, 2, JAN, action="set")
    assert totals(wire, item) == [5 if aggregate == "sum" else 3]
    record(wire, item, 8, JAN, action="increment")
    assert totals(wire, item) == [{"sum": 13, "max": 8}.get(aggregate, 3)]


def test_set_leaves_other_items_and_other_instants_alone(wire: Wire) -> None:
    customer, same = wire.customer(wire.clock()), price(wire)
    one, other = (item_of(wire.subscribe(customer, same)) for _ in range(2))
    for item, quantity in ((one, 10), (other, 100)):
        record(wire, item, quantity, JAN)
        record(wire, item, 1, JAN + 1)
    record(wire, one, 2, JAN, action="set")
    assert (totals(wire, one), totals(wire, other)) == ([3], [101])


def test_two_items_of_a_customer_at_one_price_are_billed_apart(wire: Wire) -> None:
    clock = wire.clock()
    customer, same = wire.customer(clock), price(wire)
    one, other = (item_of(wire.subscribe(customer, same)) for _ in range(2))
    record(wire, one, 3)
    record(wire, other, 40)
    wire.advance(clock, FEB + 2 * HOUR)
    lines = [line for invoice in wire.invoices(customer) for line in invoice.lines.data]
    assert {line.parent.subscription_item_details.subscription_item: line.quantity for line in lines} == {
        one.id: 3,
        other.id: 40,
    }


def test_a_retry_under_the_same_key_counts_once(wire: Wire) -> None:
    _, _, item = subscribed(wire)
    key = str(uuid4())
    first, again = (record(wire, item, 10, key=key) for _ in range(2))
    assert first == again
    assert totals(wire, item) == [10]
    refused(stripe.IdempotencyError, record, wire, item, 11, key=key)
    record(wire, item, 10, key=str(uuid4()))
    assert totals(wire, item) == [20]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"quantity": -1}, "quantity", "parameter_invalid_integer"),
        ({"quantity": 10**15}, "quantity", "parameter_invalid_integer"),
        ({"quantity": "1.5"}, "quantity", "parameter_invalid_integer"),
        ({"quantity": 1, "action": "add"}, "action", None),
        ({"quantity": 1, "timestamp": "yesterday"}, "timestamp", None),
        ({"quantity": 1, "customer": "cus_1"}, "customer", "parameter_unknown"),
        ({}, "quantity", "parameter_missing"),
    ],
)
def test_what_a_record_cannot_be(wire: Wire, fields: dict[str, Any], param: str, code: str | None) -> None:
    _, _, item = subscribed(wire)
    path = f"/v1/subscription_items/{item.id}/usage_records"
    error = invalid(wire.client.raw_request, "post", path, **fields)
    assert error.param == param
    assert code is None or error.code == code
    assert totals(wire, item) == [0]


def test_items_that_take_no_records(wire: Wire) -> None:
    customer, meter = wire.customer(wire.clock()), wire.meter()
    metered = item_of(wire.subscribe(customer, wire.price(meter)))
    licensed = item_of(wire.subscribe(customer, wire.price()))
    for call in (lambda item: record(wire, item, 1), lambda item: summaries(wire, item)):
        message = invalid(call, metered).user_message
        assert "/v1/billing/meter_events" in message
        assert meter.event_name in message
        assert "licensed" in invalid(call, licensed).user_message
    for call in (record, summaries):
        none = type(metered).construct_from({"id": "si_none"}, None)
        missing(call, wire, none, *([1] if call is record else []))


def test_times_outside_of_the_current_period(wire: Wire) -> None:
    clock, customer, item = subscribed(wire)
    assert "period" in invalid(record, wire, item, 1, JAN - 1).user_message
    assert "future" in invalid(record, wire, item, 1, JAN + 5 * MINUTE + 1).user_message
    record(wire, item, 1, JAN + 5 * MINUTE)
    wire.advance(clock, FEB - 1)
    error = invalid(record, wire, item, 1, FEB)
    assert (error.param, str(JAN) in error.user_message, str(FEB) in error.user_message) == ("timestamp", True, True)
    record(wire, item, 2, JAN)
    record(wire, item, 4, FEB - 1)
    wire.advance(clock, MAR + 2 * HOUR)
    assert "period" in invalid(record, wire, item, 1, FEB).user_message
    assert billed(wire, customer) == [(7, 35), (0, 0)]


def test_a_year_long_period_takes_records_from_its_beginning(wire: Wire) -> None:
    recurring = {"interval": "year", "usage_type": "metered", "aggregate_usage": "sum"}
    clock = wire.clock()
    item = item_of(wire.subscribe(wire.customer(clock), price(wire, recurring=recurring)))
    wire.advance(clock, unix(2026, 12, 1))
    record(wire, item, 8, JAN)
    assert totals(wire, item) == [8]


def test_five_minutes_of_grace_for_a_sum(wire: Wire) -> None:
    clock, customer, item = subscribed(wire)
    wire.advance(clock, FEB + 5 * MINUTE)
    record(wire, item, 6, FEB - 1)
    assert "period" in invalid(record, wire, item, 6, JAN - 1).user_message
    assert totals(wire, item) == [0, 6]
    wire.advance(clock, FEB + 5 * MINUTE + 1)
    assert "period" in invalid(record, wire, item, 1, FEB - 1).user_message
    wire.advance(clock, FEB + 2 * HOUR)
    assert billed(wire, customer) == [(6, 30)]


def test_no_grace_once_the_invoice_is_final(wire: Wire) -> None:
    clock, customer, item = subscribed(wire)
    wire.advance(clock, FEB + MINUTE)
    [draft] = wire.invoices(customer)
    wire.v1.invoices.finalize_invoice(draft.id)
    assert "period" in invalid(record, wire, item, 6, FEB - 1).user_message


@pytest.mark.parametrize("aggregate", ["max", "last_ever", "last_during_period"])
def test_no_grace_for_what_does_not_add_up(wire: Wire, aggregate: str) -> None:
    clock, _, item = subscribed(wire, aggregate)
    wire.advance(clock, FEB + MINUTE)
    assert "period" in invalid(record, wire, item, 6, FEB - 1).user_message


def test_an_item_that_has_ended(wire: Wire) -> None:
    clock, customer, item = subscribed(wire)
    record(wire, item, 9)
    wire.advance(clock, JAN + DAY)
    wire.v1.subscriptions.cancel(item.subscription, {"invoice_now": True})
    assert "ended" in invalid(record, wire, item, 1).user_message
    [invoice] = wire.invoices(customer)
    assert [(one["total_usage"], one["invoice"]) for one in summaries(wire, item)] == [(9, invoice.id)]


def test_summaries_in_pages(wire: Wire) -> None:
    clock, _, item = subscribed(wire)
    wire.advance(clock, FEB)
    wire.advance(clock, APR)
    whole = summaries(wire, item)
    assert len(whole) == 4
    assert summaries(wire, item, limit=2) == whole[:2]
    assert summaries(wire, item, limit=2, starting_after=whole[1]["id"]) == whole[2:]
    assert summaries(wire, item, ending_before=whole[2]["id"]) == whole[:2]
    [expanded] = summaries(wire, item, limit=1, starting_after=whole[0]["id"], expand=["data.invoice"])
    assert expanded["invoice"]["id"] == whole[1]["invoice"]
    path = f"/v1/subscription_items/{item.id}/usage_record_summaries"
    assert invalid(wire.client.raw_request, "get", path, starting_after="sis_none").param == "starting_after"


def test_the_price_names_how_it_counts_and_no_meter(wire: Wire) -> None:
    for aggregate in ("sum", "last_during_period", "last_ever", "max"):
        made = price(wire, aggregate)
        assert (made.recurring.meter, made.recurring.aggregate_usage) == (None, aggregate)
        found = wire.v1.prices.retrieve(made.id).recurring
        assert found.to_dict() == made.recurring.to_dict()
    plan = item_of(wire.subscribe(wire.customer(), made)).plan
    assert (plan.meter, plan.aggregate_usage) == (None, "max")
    for usual in (wire.price(), wire.price(wire.meter())):
        assert "aggregate_usage" not in usual.recurring


def test_what_a_price_cannot_combine(wire: Wire) -> None:
    monthly = {"interval": "month", "usage_type": "metered"}
    for recurring in (
        monthly | {"aggregate_usage": "sum", "meter": wire.meter().id},
        {"interval": "month", "aggregate_usage": "sum"},
        monthly | {"aggregate_usage": "average"},
    ):
        assert invalid(price, wire, recurring=recurring).param == "recurring[aggregate_usage]"


def test_older_callers_sum_by_default_and_newer_ones_have_to_say(wire: Wire) -> None:
    fields = {
        "currency": "usd",
        "unit_amount": 5,
        "product_data": {"name": "Calls"},
        "recurring": {"interval": "month", "usage_type": "metered"},
    }
    error = invalid(wire.client.raw_request, "post", "/v1/prices", **fields)
    assert error.param == "recurring[meter]"
    assert "aggregate_usage" in error.user_message
    older = wire.client.raw_request("post", "/v1/prices", **fields, stripe_version="2024-06-20")
    assert json.loads(older.body)["recurring"]["aggregate_usage"] == "sum"
    licensed = fields | {"recurring": {"interval": "month"}}
    older = wire.client.raw_request("post", "/v1/prices", **licensed, stripe_version="2024-06-20")
    assert "aggregate_usage" not in json.loads(older.body)["recurring"]
    product = {"name": "P", "default_price_data": {key: fields[key] for key in fields.keys() - {"product_data"}}}
    older = wire.client.raw_request("post", "/v1/products", **product, stripe_version="2024-06-20")
    made = wire.v1.prices.retrieve(json.loads(older.body)["default_price"])
    assert made.recurring.aggregate_usage == "sum"


def test_the_meter_behind_it_is_hidden_and_left_alone(wire: Wire) -> None:
    from meters.models import Meter

    _, customer, item = subscribed(wire)
    name = f"usage_records_{item.price.id}"
    meter = Meter.objects.get(event_name=name)
    meters = wire.v1.billing.meters
    assert meter.pk not in [one.id for one in meters.list({"limit": 100})]
    asked = json.loads(wire.client.raw_request("get", "/v1/billing/meters", hidden=True, limit=100).body)["data"]
    assert meter.pk in [one["id"] for one in asked]
    assert all(one["event_name"].startswith("usage_records_price_") for one in asked)
    for change in (lambda: meters.deactivate(meter.pk), lambda: meters.update(meter.pk, {"display_name": "x"})):
        assert "price" in invalid(change).user_message
    recurring = {"interval": "month", "usage_type": "metered", "meter": meter.pk}
    assert invalid(price, wire, recurring=recurring).param == "recurring[meter]"
    payload = {"stripe_customer_id": customer.id, "value": "1", "subscription_item": item.id}
    sent = {"event_name": name, "payload": payload, "timestamp": JAN}
    assert invalid(wire.v1.billing.meter_events.create, sent).param == "event_name"
    assert totals(wire, item) == [0]


def test_records_are_found_as_events(wire: Wire) -> None:
    _, customer, item = subscribed(wire)
    first, second = record(wire, item, 10), record(wire, item, 4, JAN, action="set")
    path = "/v1/billing/meter_events"
    events = json.loads(wire.client.raw_request("get", path, customer=customer.id).body)["data"]
    assert [(one["identifier"], one["state"]) for one in events] == [
        (second["id"], "counted"),
        (first["id"], "cancelled"),
    ]
    assert events[0]["payload"] == {
        "stripe_customer_id": customer.id,
        "value": "4",
        "subscription_item": item.id,
        "action": "set",
    }
    [used] = json.loads(
        wire.client.raw_request(
            "get", "/v1/billing/usage", customer=customer.id, start_time=JAN, end_time=FEB, **BY_ITEM
        ).body
    )["data"]
    assert (used["quantity"], used["dimensions"]) == ("4", {"subscription_item": item.id})
