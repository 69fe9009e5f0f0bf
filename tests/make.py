"""Short ways to make the rows that tests begin with, through the product's own verbs."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from customers.lifecycle import create_customer
from customers.models import Customer, TestClock
from customers.test_clocks import advance, create_test_clock, start_advance
from meters.ingest import Accepted, Record, ingest, record_event
from meters.lifecycle import create_meter
from meters.models import Meter
from meters.quarantine import hold
from pricing.models import Price
from pricing.prices import PriceSpec, Recurring, create_price
from pricing.products import create_product
from pricing.tier_specs import TierSpec
from subscriptions.models import Subscription
from subscriptions.subscribe import ItemSpec, SubscriptionSpec, create_subscription

_names = count(1)
JAN = datetime(2026, 1, 1, tzinfo=UTC)


def new_name() -> str:
    """A name that nothing has yet."""
    return f"name_{next(_names)}"


def utc(year: int, month: int, day: int, *time: int) -> datetime:
    return datetime(year, month, day, *time, tzinfo=UTC)


def clock(at: datetime = JAN) -> TestClock:
    return create_test_clock(frozen_time=at, at=at)


def customer(at: datetime = JAN, *, on: TestClock | None = None, **fields: Any) -> Customer:
    made = create_customer(at=at, test_clock=on.pk if on else None, **({"name": "Ada"} | fields))
    made.refresh_from_db()
    return made


def meter(event_name: str = "tokens", *, formula: str = "sum", at: datetime = JAN, **fields: Any) -> Meter:
    return create_meter(display_name=event_name.title(), event_name=event_name, formula=formula, at=at, **fields)


def price(
    *,
    meter: Meter | None = None,
    unit: str | None = None,
    tiers: list[tuple[str | None, str | None, str | None]] | None = None,
    mode: str = "graduated",
    per: int | None = None,
    round: str = "up",
    currency: str = "usd",
    interval: str = "month",
    count: int = 1,
    product: str = "Tokens",
    unit_label: str = "",
    records: str | None = None,
) -> Price:
    """`unit` and `tiers` (up_to, unit, flat) in minor units; metered by a meter or by usage records (how they are
    aggregated), else licensed."""
    spec = PriceSpec(
        currency=currency,
        unit_amount=None if unit is None else Decimal(unit),
        billing_scheme="tiered" if tiers else "per_unit",
        tiers=[TierSpec(_decimal(end), _decimal(each), _decimal(flat)) for end, each, flat in tiers or ()],
        tiers_mode=mode if tiers else None,
        divide_by=per,
        round=round if per else None,
        recurring=Recurring(
            interval, count, "metered" if meter or records else "licensed", meter.pk if meter else None, records
        ),
    )
    made = create_product(name=product, unit_label=unit_label, at=JAN)
    return create_price(made.pk, spec=spec, at=JAN)


def subscribe(customer: Customer, *prices: Price, at: datetime = JAN, **fields: Any) -> Subscription:
    spec = SubscriptionSpec(items=[ItemSpec(price.pk) for price in prices], **fields)
    return create_subscription(customer.pk, spec=spec, at=at)


def held(name: str, customer: str, value: str = "1", *, at: datetime, identifier: str | None = None) -> None:
    """Send an event that is refused, and hold it."""
    record = Record(name, {"stripe_customer_id": customer, "value": value}, identifier)
    (result,) = ingest([record], at=at)
    assert result.error
    hold([(0, record, result)], source="batch", at=at)


def event(
    customer: Customer, name: str = "tokens", value: str = "1", *, at: datetime, identifier: str | None = None
) -> Accepted:
    payload = {"stripe_customer_id": customer.pk, "value": value}
    return record_event(name, payload=payload, at=at, timestamp=at, identifier=identifier)


def move(clock: TestClock, to: datetime) -> TestClock:
    """Advance a clock all the way."""
    start_advance(clock.pk, frozen_time=to)
    advance(clock.pk)
    clock.refresh_from_db()
    assert clock.status == TestClock.Status.READY
    assert clock.frozen_time == to
    return clock


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
