"""Every list that the official client knows: cursors both ways, limits, and bounds of time to the second."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.wire.client import DAY, Wire
from tests.wire.credits import grant

Make = Callable[[Wire], Any]


def subscription(wire: Wire, **fields: Any) -> Any:
    return wire.subscribe(wire.customer(), wire.price(), **fields)


def invoice(wire: Wire) -> Any:
    """The first invoice of a subscription that is paid on a bill."""
    made = subscription(wire, collection_method="send_invoice", days_until_due=7)
    return wire.v1.invoices.retrieve(made.latest_invoice)


def transaction(wire: Wire) -> Any:
    made = grant(wire, wire.customer())
    return wire.v1.billing.credit_balance_transactions.list({"credit_grant": made.id}).data[0]


# Service -> how one of its objects is made.
MAKERS: dict[str, Make] = {
    "customers": lambda wire: wire.customer(),
    "products": lambda wire: wire.v1.products.create({"name": "Tokens"}),
    "prices": lambda wire: wire.price(),
    "subscriptions": subscription,
    "invoices": invoice,
    "invoice_items": lambda wire: wire.v1.invoice_items.create({"customer": wire.customer().id, "amount": 5}),
    "test_helpers.test_clocks": lambda wire: wire.clock(),
    "billing.credit_grants": lambda wire: grant(wire, wire.customer()),
    "billing.credit_balance_transactions": transaction,
}
UNBOUNDED = {"test_helpers.test_clocks", "billing.credit_grants", "billing.credit_balance_transactions"}


def made_at(row: Any) -> int:
    """Stripe has another name for it on invoice items."""
    return row.date if row.object == "invoiceitem" else row.created


# (service, filter, how the object shows what it is about)
BOUNDS = [
    *((name, "created", made_at) for name in MAKERS if name not in UNBOUNDED),
    ("invoices", "due_date", lambda row: row.due_date),
    ("invoices", "period_start", lambda row: row.period_start),
    ("invoices", "period_end", lambda row: row.period_end),
    ("subscriptions", "current_period_start", lambda row: row["items"].data[0].current_period_start),
    ("subscriptions", "current_period_end", lambda row: row["items"].data[0].current_period_end),
]


def listing(wire: Wire, service: str) -> Callable[..., Any]:
    found = wire.v1
    for name in service.split("."):
        found = getattr(found, name)
    return found.list


@pytest.mark.parametrize("service", MAKERS)
def test_cursors(wire: Wire, service: str) -> None:
    made = [MAKERS[service](wire).id for _ in range(3)][::-1]
    ask = listing(wire, service)
    assert [row.id for row in ask({"limit": 3}).data] == made
    after = ask({"limit": 1, "starting_after": made[0]})
    assert ([row.id for row in after.data], after.has_more) == (made[1:2], True)
    before = ask({"limit": 1, "ending_before": made[2]})
    assert ([row.id for row in before.data], before.has_more) == (made[1:2], True)


@pytest.mark.parametrize(("service", "name", "value"), BOUNDS, ids=[f"{one[0]} {one[1]}" for one in BOUNDS])
def test_bounds_of_time(wire: Wire, service: str, name: str, value: Callable[[Any], int]) -> None:
    row = MAKERS[service](wire)
    at = value(row)

    def found(bound: Any) -> bool:
        return row.id in [one.id for one in listing(wire, service)({name: bound, "limit": 100}).data]

    assert found(at)
    assert not found(at + 1)
    assert found({"gte": at, "lte": at})
    assert found({"gt": at - 1, "lt": at + 1})
    assert not found({"gt": at})
    assert not found({"lt": at})
    assert not found({"gte": at + 1, "lte": at + DAY})


def test_items_of_a_subscription(wire: Wire) -> None:
    made = wire.subscribe(wire.customer(), wire.price(), wire.price(), wire.price())
    ask = wire.v1.subscription_items.list
    items = [item.id for item in ask({"subscription": made.id}).data]
    assert sorted(items) == sorted(item.id for item in made["items"].data)
    after = ask({"subscription": made.id, "limit": 1, "starting_after": items[0]})
    assert ([item.id for item in after.data], after.has_more) == (items[1:2], True)
    before = ask({"subscription": made.id, "limit": 1, "ending_before": items[2]})
    assert ([item.id for item in before.data], before.has_more) == (items[1:2], True)
