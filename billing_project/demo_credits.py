"""The credits of the demo's companies: what they were given, what they have bought ahead, and a mistake taken back."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from billing_project.demo_changes import Change
from credits.grants import NewGrant, create_grant, void_grant
from credits.models import CreditGrant
from credits.recurring import NewRecurring, create_recurring
from credits.rollover import Rollover
from customers.models import Customer
from meters.models import Meter
from pricing.models import Price

DAY = timedelta(days=1)


def grants(end: datetime) -> list[Change]:
    """All of them, for a demo that ends at `end`."""
    now = end.replace(microsecond=0)
    promotional = CreditGrant.Category.PROMOTIONAL
    welcome: dict[str, Any] = {"name": "Welcome", "category": promotional, "expires_at": now + 30 * DAY}
    return [
        _given(now - 50 * DAY, "LUMEN", "1000", currency="usd", **welcome),
        _given(now - 40 * DAY, "LUMEN", "6000", currency="usd", name="Prepaid completions", only="completion_tokens"),
        _given(now - 20 * DAY, "LUMEN", "600", of="image_seconds", name="Rendering trial", priority=10),
        _given(now - 55 * DAY, "ATTIC", "3000", currency="jpy", name="Prepaid storage", expires_at=now - 5 * DAY),
        _given(now - 35 * DAY, "PIGEON", "1500", currency="eur", name="Sorry for the outage", category=promotional),
        Change(now - 34 * DAY, lambda: _grant_twice(now - 34 * DAY)),
        Change(now - 33 * DAY, lambda: _grant_monthly(now - 33 * DAY)),
    ]


def _given(at: datetime, prefix: str, amount: str, *, of: str = "", only: str = "", **fields: Any) -> Change:
    """Money, or units of the meter `of`; for all that is metered, or `only` for usage of one. Meters by event name."""

    def make() -> None:
        meter = Meter.objects.get(event_name=of).pk if of else None
        prices = Price.objects.filter(meter__event_name=only).values_list("pk", flat=True) if only else ()
        customer = Customer.objects.get(invoice_prefix=prefix)
        create_grant(customer.pk, NewGrant(amount=Decimal(amount), meter=meter, prices=list(prices), **fields), at=at)

    return Change(at, make)


def _grant_monthly(at: datetime) -> None:
    """Half of the usage of every month, of which the rest goes over into the next one."""
    customer = Customer.objects.get(invoice_prefix="PIGEON")
    each = NewGrant(amount=Decimal(6000), currency="eur", name="Allowance of the month", category="promotional")
    create_recurring(customer.pk, NewRecurring(each, "month", rollover=Rollover("unused")), at=at)


def _grant_twice(at: datetime) -> None:
    """The same by mistake, and taken back."""
    customer = Customer.objects.get(invoice_prefix="PIGEON")
    new = NewGrant(amount=Decimal(1500), currency="eur", name="Sorry for the outage", category="promotional")
    made = create_grant(customer.pk, new, at=at)
    void_grant(made.pk, at=at + timedelta(minutes=4), reason="Granted twice")
