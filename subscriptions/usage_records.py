"""Usage that is recorded by subscription item, at prices without a meter: what Stripe had before meters.

A record is an event of the price's hidden meter (`pricing/records.py`), with the item among its dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import blake2b

from django.db import models, transaction

from core.errors import InvalidRequest, NotFound
from core.ids import DIGITS, base62, new_id
from meters.own_meters import cancel_at, count
from meters.usage import usage
from pricing.models import Price
from pricing.records import ITEM_KEY, usage_question
from subscriptions.biller import biller
from subscriptions.locks import lock_for_change
from subscriptions.models import ItemPeriod, SubscriptionItem

AHEAD = timedelta(minutes=5)  # how far clocks may differ
GRACE = timedelta(minutes=5)  # after the end of a period, in which a sum can still be added to, as Stripe had it


class Action(models.TextChoices):
    INCREMENT = "increment"
    SET = "set"  # in place of what was recorded for the same instant


class UsageRefused(InvalidRequest):
    """The item takes no such usage record."""


@dataclass(frozen=True)
class UsageRecord:
    """One record; its id is the identifier of its event."""

    id: str
    subscription_item: str
    quantity: int
    timestamp: datetime


@dataclass(frozen=True)
class UsageRecordSummary:
    """What the records of a period come to now. `invoice` is the one that bills it; the open period has none yet."""

    id: str
    subscription_item: str
    period: ItemPeriod
    invoice: str | None
    total_usage: Decimal


def record_usage(
    item_id: str, *, quantity: int, at: datetime, timestamp: datetime | None = None, action: str = Action.INCREMENT
) -> UsageRecord:
    """Record usage of an item, now or at a time within its current period.

    Raises NotFound; UsageRefused for an item that is licensed, has a named meter or has ended, and for other times.
    Locks the customer, so that no period closes meanwhile and of two that set one instant the later one stands.
    """
    with transaction.atomic():
        item = item_with_records(item_id)
        subscription, now = lock_for_change(item.subscription_id, at)
        timestamp = timestamp or now.replace(microsecond=0)
        _check_time(item, timestamp, now)
        record = UsageRecord(new_id("mbur"), item.pk, quantity, timestamp)
        asked, customer = usage_question(item.price, item.pk), subscription.customer
        if action == Action.SET:
            cancel_at(asked.meter, customer, timestamp=timestamp, only=asked.only, reason=f"set by {record.id}")
        count(
            asked.meter,
            customer,
            value=Decimal(quantity),
            timestamp=timestamp,
            identifier=record.id,
            payload={ITEM_KEY: item.pk, "action": action},
        )
        return record


def item_with_records(item_id: str) -> SubscriptionItem:
    """An item whose usage is recorded here. Raises NotFound, UsageRefused."""
    live = SubscriptionItem.objects.live().select_related("price__meter", "subscription__customer")
    item = live.filter(pk=item_id).first()
    if item is None:
        raise NotFound("subscription_item", item_id, param="id")
    price = item.price
    if not price.is_metered:
        raise UsageRefused(
            f"Usage records are for metered prices. The price {price.pk} of this subscription item is licensed: it "
            "bills the item's quantity."
        )
    if not price.takes_usage_records:
        assert price.meter is not None, "a metered price has a meter"
        raise UsageRefused(
            f"The price {price.pk} of this subscription item is backed by the meter {price.meter_id}, so it takes no "
            "usage records. Report its usage to /v1/billing/meter_events, with the event name "
            f"{price.meter.event_name}."
        )
    return item


def periods_of(item: SubscriptionItem) -> list[ItemPeriod]:
    """Those whose usage was recorded here, newest first, so that the open one leads."""
    recorded = item.periods.filter(price__aggregate_usage__isnull=False)
    return list(recorded.select_related("price__meter").order_by("-starts_at", "-pk"))


def summary_id(period: ItemPeriod) -> str:
    """Opaque, and the same whenever the same period is asked for."""
    digest = blake2b(f"{period.item_id} {period.pk}".encode(), digest_size=16).digest()
    return f"sis_{base62(int.from_bytes(digest, 'big'), DIGITS)}"


def summarize(item: SubscriptionItem, periods: Sequence[ItemPeriod]) -> list[UsageRecordSummary]:
    """The summaries of some of the periods of an item, in their order; each reads its usage with a query."""
    invoices = biller().invoices_of(periods)
    return [
        UsageRecordSummary(summary_id(period), item.pk, period, invoices.get(period.pk), _used(item, period))
        for period in periods
    ]


def _used(item: SubscriptionItem, period: ItemPeriod) -> Decimal:
    """What was recorded in a period, at the price that held then."""
    asked = usage_question(period.price, item.pk)
    customer = item.subscription.customer
    return usage(asked.meter, customer, start=period.starts_at, end=period.ends_at, only=asked.only).quantity


def _check_time(item: SubscriptionItem, timestamp: datetime, now: datetime) -> None:
    current = ItemPeriod.objects.open().filter(item=item).first()
    if current is None:
        raise UsageRefused("The subscription of this item has ended, so it takes no usage records any more.")
    if timestamp > now + AHEAD:
        raise UsageRefused("The timestamp cannot be more than 5 minutes in the future.", param="timestamp")
    if current.starts_at <= timestamp < current.ends_at:
        return
    if timestamp < current.starts_at and _can_still_add(item, timestamp, current.starts_at, now):
        return
    raise UsageRefused(
        "The timestamp must be within the current period of the subscription item: from "
        f"{int(current.starts_at.timestamp())} to before {int(current.ends_at.timestamp())}.",
        param="timestamp",
    )


def _can_still_add(item: SubscriptionItem, timestamp: datetime, boundary: datetime, now: datetime) -> bool:
    """Whether a sum may be added to in the period that has ended at `boundary`: a moment ago, and its invoice is a
    draft, which will read its usage again."""
    if item.price.aggregate_usage != Price.AggregateUsage.SUM or now > boundary + GRACE:
        return False
    ended = item.periods.filter(ends_at=boundary, starts_at__lte=timestamp).first()
    return ended is not None and biller().reads_again(ended)
