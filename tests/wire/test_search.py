"""Searches with the official client."""

import json
from typing import Any

import pytest
import stripe

from tests.wire.client import Wire, client_of, invalid, refused
from tests.wire.sdk_types import problems


def raw(found: Any) -> Any:
    """The first object of a page as it came."""
    return json.loads(found.last_response.body)["data"][0]


def ids(found: Any) -> list[str]:
    return [one.id for one in found.data]


def test_auto_paging_goes_on_under_inserts(wire: Wire) -> None:
    made = [wire.customer(metadata={"batch": "paged"}).id for _ in range(7)][::-1]
    query = 'metadata["batch"]:"paged"'
    page = wire.v1.customers.search({"query": query, "limit": 3, "expand": ["total_count"]})
    assert (page.object, page.url, page.has_more) == ("search_result", "/v1/customers/search", True)
    assert (ids(page), page.total_count) == (made[:3], 7)
    assert problems(raw(page)) == []
    wire.customer(metadata={"batch": "paged"})
    wire.v1.customers.delete(made[2])  # the very place the page ended
    assert ids(wire.v1.customers.search({"query": query, "limit": 3, "page": page.next_page})) == made[3:6]
    rest = [one.id for one in page.auto_paging_iter()]
    assert rest == made
    last = wire.v1.customers.search({"query": query, "limit": 100})
    assert (last.has_more, last.next_page, "total_count" in last) == (False, None, False)


def test_search_auto_paging_iter_of_the_resource(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [wire.customer(metadata={"batch": "iter"}).id for _ in range(5)][::-1]
    monkeypatch.setattr(stripe, "api_base", wire.url)
    found = stripe.Customer.search_auto_paging_iter(query='metadata["batch"]:"iter"', limit=2, api_key=wire.key)
    assert [one.id for one in found] == made


def test_customers(wire: Wire) -> None:
    one = wire.customer(email="Search@Example.com", name="Grace Hopper", phone="+49301", external_id="grace-1")
    search = wire.v1.customers.search
    for query in ('email:"search@example.com"', 'name~"hopp"', "phone:'+49301'", 'external_id:"grace-1"',
                  f'created:{one.created} AND email~"search@"'):  # fmt: skip
        assert ids(search({"query": query})) == [one.id], query
    assert ids(search({"query": 'email:"search@example.com" -name~"hopper"'})) == []


def test_prices_and_products(wire: Wire) -> None:
    monthly = wire.price(currency="eur", lookup_key="search-key")
    once = wire.v1.prices.create({"currency": "usd", "unit_amount": 1, "product": monthly.product})
    within = f'product:"{monthly.product}"'
    for query, found in (
        ("", [once.id, monthly.id]),
        ('type:"one_time"', [once.id]),
        ('type:"recurring"', [monthly.id]),
        ('currency:"EUR"', [monthly.id]),
        ('lookup_key~"arch-k"', [monthly.id]),
        ("lookup_key:null", [once.id]),
        ('active:"false"', []),
    ):
        assert ids(wire.v1.prices.search({"query": f"{within} {query}"})) == found, query
    product = wire.v1.products.create({"name": "Shovel 9000", "url": "https://example.com/s", "shippable": True})
    for query in ('name~"shovel"', "url:'https://example.com/s'", "shippable:true -name:'x'"):
        assert ids(wire.v1.products.search({"query": query})) == [product.id], query


def test_subscriptions_and_invoices_those_on_clocks_too(wire: Wire) -> None:
    customer = wire.customer(wire.clock())
    subscription = wire.subscribe(customer, wire.price(unit_amount=700), metadata={"search": "clock"})
    found = wire.v1.subscriptions.search({"query": 'metadata["search"]:"CLOCK" status:"active" canceled_at:null'})
    assert ids(found) == [subscription.id]
    assert problems(raw(found)) == []
    invoices = wire.v1.invoices.search
    for query in (f'customer:"{customer.id}"', f"subscription:'{subscription.id}' total>=700 total<701"):
        found = invoices({"query": query, "expand": ["data.customer"]})
        assert (ids(found), found.data[0].customer.id) == ([subscription.latest_invoice], customer.id)
    assert ids(invoices({"query": f'customer:"{customer.id.swapcase()}"'})) == []


def test_a_page_belongs_to_its_search(wire: Wire) -> None:
    for _ in range(2):
        wire.customer(metadata={"batch": "bound"})
    query = 'metadata["batch"]:"bound"'
    page = wire.v1.customers.search({"query": query, "limit": 1}).next_page
    for search, given in (
        (wire.v1.customers.search, {"query": 'name:"x"', "page": page}),
        (wire.v1.products.search, {"query": query, "page": page}),
        (wire.v1.customers.search, {"query": query, "page": page[:-1] + ("a" if page[-1] != "a" else "b")}),
        (wire.v1.customers.search, {"query": query, "page": "nonsense"}),
    ):
        assert invalid(search, given).param == "page"


def test_a_restricted_key_needs_to_read_the_family(wire: Wire) -> None:
    from api.keys import Rights, create_api_key
    from core import clock

    def limited(*permissions: str) -> stripe.StripeClient:
        return client_of(wire.url, create_api_key("search", clock.now(), rights=Rights(permissions))[1])

    assert limited("customers:read").v1.customers.search({"query": "name:'nobody at all'"}).data == []
    other = limited("products:read").v1.customers.search
    refused(stripe.PermissionError, other, {"query": "name:'x'"}, status=403)


def test_what_has_no_search_is_no_address(wire: Wire) -> None:
    for path in ("subscription_items", "billing/meters", "test_helpers/test_clocks"):
        refused(stripe.InvalidRequestError, wire.client.raw_request, "get", f"/v1/{path}/search", status=404)
