"""What a price with usage records counts by: a hidden meter of its own, on which each subscription item has its own
usage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from meters.models import Meter
from meters.own_meters import create_own_meter
from pricing.models import Price

ITEM_KEY = "subscription_item"
FORMULAS = {
    Price.AggregateUsage.SUM: "sum",
    Price.AggregateUsage.LAST_DURING_PERIOD: "last",
    Price.AggregateUsage.LAST_EVER: "last_ever",
    Price.AggregateUsage.MAX: "max",
}


@dataclass(frozen=True)
class UsageQuestion:
    """What to ask `meters.usage`: which meter, and which of the customer's events on it."""

    meter: Meter
    only: Mapping[str, Sequence[str]]


def usage_question(price: Price, item: str) -> UsageQuestion:
    """The usage of a subscription item (its id) at a metered price: all of its customer, or that recorded for it."""
    assert price.meter is not None, "a metered price has a meter"
    return UsageQuestion(price.meter, usage_of(item, of_records=price.takes_usage_records))


def usage_of(item: str, *, of_records: bool) -> Mapping[str, Sequence[str]]:
    """Which of the customer's events count for a subscription item: those recorded for it, or all."""
    return {ITEM_KEY: [item]} if of_records else {}


def meter_of_records(price: Price, *, at: datetime) -> Meter:
    """Create the meter of a price that is about to be stored; customers see it under the name of the product."""
    assert price.aggregate_usage is not None, "a price with usage records"
    return create_own_meter(
        price.product.name,
        event_name=f"usage_records_{price.pk}",
        formula=FORMULAS[Price.AggregateUsage(price.aggregate_usage)],
        dimension=ITEM_KEY,
        at=at,
    )
