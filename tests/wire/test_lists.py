"""Lists: pages both ways, filters, limits."""

from typing import Any

import pytest

from tests.wire.client import Wire, invalid


@pytest.fixture(scope="module")
def meters(web: Any, api_key: str) -> list[str]:
    """More meters than fit on a page, newest first."""
    from tests.wire.client import client_of

    wire = Wire(client_of(web.url, api_key), web.url, api_key)
    return [wire.meter().id for _ in range(105)][::-1]


def test_auto_paging_forwards(wire: Wire, meters: list[str]) -> None:
    for limit in (100, 10):
        found = wire.v1.billing.meters.list({"limit": limit}).auto_paging_iter()
        assert [meter.id for meter in found] == meters


def test_auto_paging_backwards(wire: Wire, meters: list[str]) -> None:
    found = wire.v1.billing.meters.list({"limit": 20, "ending_before": meters[-1]}).auto_paging_iter()
    assert [meter.id for meter in found] == meters[:-1][::-1]


def test_a_page(wire: Wire, meters: list[str]) -> None:
    page = wire.v1.billing.meters.list()
    assert ([meter.id for meter in page.data], page.has_more) == (meters[:10], True)
    assert (page.url, page.object) == ("/v1/billing/meters", "list")
    assert [meter.id for meter in page.next_page().data] == meters[10:20]
    last = wire.v1.billing.meters.list({"limit": 5, "starting_after": meters[-4]})
    assert ([meter.id for meter in last.data], last.has_more) == (meters[-3:], False)
    first = wire.v1.billing.meters.list({"limit": 3, "ending_before": meters[3]})
    assert ([meter.id for meter in first.data], first.has_more) == (meters[:3], False)
    before = wire.v1.billing.meters.list({"limit": 3, "ending_before": meters[20]})
    assert ([meter.id for meter in before.data], before.has_more) == (meters[17:20], True)
    assert [meter.id for meter in before.previous_page().data] == meters[14:17]


def test_filters_stay_while_paging(wire: Wire, meters: list[str]) -> None:
    off = [meters[3], meters[50], meters[101]]
    for id in off:
        wire.v1.billing.meters.deactivate(id)
    found = wire.v1.billing.meters.list({"status": "inactive", "limit": 1}).auto_paging_iter()
    assert [meter.id for meter in found] == off
    for id in off:
        wire.v1.billing.meters.reactivate(id)


def test_total_count_when_asked_for(wire: Wire, meters: list[str]) -> None:
    assert wire.v1.billing.meters.list({"expand": ["total_count"]}).total_count == 105
    assert "total_count" not in wire.v1.billing.meters.list().to_dict()


@pytest.mark.parametrize(
    ("parameters", "param", "code"),
    [
        ({"limit": 0}, "limit", "parameter_invalid_integer"),
        ({"limit": 101}, "limit", "parameter_invalid_integer"),
        ({"limit": "many"}, "limit", "parameter_invalid_integer"),
        ({"starting_after": "mtr_nothing"}, "starting_after", "resource_missing"),
        ({"ending_before": "mtr_nothing"}, "ending_before", "resource_missing"),
        ({"starting_after": "a", "ending_before": "b"}, None, "parameters_exclusive"),
        ({"status": "asleep"}, "status", None),
        ({"colour": "red"}, "colour", "parameter_unknown"),
    ],
)
def test_what_is_refused(wire: Wire, parameters: dict[str, Any], param: str | None, code: str | None) -> None:
    error = invalid(wire.v1.billing.meters.list, parameters)
    assert (error.param, error.code) == (param, code)


def test_customers_by_time_and_email(wire: Wire) -> None:
    customer = wire.customer(email="list@example.com")
    at = customer.created
    listed = wire.v1.customers.list
    assert [one.id for one in listed({"email": "list@example.com"})] == [customer.id]
    for created, found in (
        (at, True),
        ({"gte": at}, True),
        ({"gt": at}, False),
        ({"lte": at}, True),
        ({"lt": at}, False),
        ({"gte": at, "lt": at + 1}, True),
    ):
        assert (customer.id in [one.id for one in listed({"created": created})]) is found, created


def test_prices_by_what_they_are(wire: Wire) -> None:
    meter = wire.meter()
    metered, licensed = wire.price(meter, lookup_key="list-1"), wire.price(interval="year", currency="eur")
    once = wire.v1.prices.create({"currency": "usd", "unit_amount": 1, "product": licensed.product})
    for filters, found in (
        ({"recurring": {"meter": meter.id}}, {metered.id}),
        ({"recurring": {"usage_type": "metered"}}, {metered.id}),
        ({"recurring": {"interval": "year"}}, {licensed.id}),
        ({"type": "one_time"}, {once.id}),
        ({"product": licensed.product}, {licensed.id, once.id}),
        ({"currency": "eur"}, {licensed.id}),
        ({"lookup_keys": ["list-1", "other"]}, {metered.id}),
        ({"active": False}, set()),
    ):
        assert {price.id for price in wire.v1.prices.list(filters)} == found, filters


def test_products_by_what_they_are(wire: Wire) -> None:
    made = wire.v1.products.create({"name": "A", "url": "https://example.com/list", "active": False})
    for filters in ({"ids": [made.id]}, {"active": False}, {"url": "https://example.com/list"}):
        assert [product.id for product in wire.v1.products.list(filters)] == [made.id]


def test_subscriptions_and_invoices_by_what_they_are(wire: Wire) -> None:
    customer = wire.customer()
    price = wire.price()
    one, other = (
        wire.subscribe(customer, price),
        wire.subscribe(customer, price, collection_method="send_invoice", days_until_due=3),
    )
    wire.v1.subscriptions.cancel(other.id)
    end = one.items.data[0].current_period_end
    subscriptions, invoices = wire.v1.subscriptions.list, wire.v1.invoices.list
    mine = {"customer": customer.id}
    for filters, found in (
        ({}, [one.id]),
        ({"status": "all"}, [other.id, one.id]),
        ({"status": "ended"}, [other.id]),
        ({"status": "canceled"}, [other.id]),
        ({"status": "trialing"}, []),
        ({"price": price.id, "status": "active"}, [one.id]),
        ({"status": "all", "collection_method": "send_invoice"}, [other.id]),
        ({"current_period_end": {"lte": end}}, [one.id]),
        ({"current_period_end": {"lt": end}}, []),
    ):
        assert [subscription.id for subscription in subscriptions(mine | filters)] == found, filters
    for filters, found in (
        ({}, [other.latest_invoice, one.latest_invoice]),
        ({"subscription": one.id}, [one.latest_invoice]),
        ({"status": "open"}, [other.latest_invoice, one.latest_invoice]),
        ({"status": "void"}, []),
        ({"collection_method": "send_invoice"}, [other.latest_invoice]),
    ):
        assert [invoice.id for invoice in invoices(mine | filters)] == found, filters


def test_what_lives_on_a_clock_is_not_in_a_list_of_all(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    subscription = wire.subscribe(customer, wire.price())
    v1 = wire.v1
    for service, id in ((v1.customers, customer.id), (v1.subscriptions, subscription.id)):
        assert id not in [one.id for one in service.list({"limit": 100})]
        assert [one.id for one in service.list({"test_clock": clock.id})] == [id]
    assert subscription.latest_invoice not in [invoice.id for invoice in v1.invoices.list({"limit": 100})]
    assert [invoice.id for invoice in wire.invoices(customer)] == [subscription.latest_invoice]
