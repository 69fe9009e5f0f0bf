"""Schedules one change of one item: the short way to a phase, for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.db import transaction

from core.errors import InvalidRequest, ParameterMissing
from subscriptions.models import SchedulePhase, SubscriptionItem, SubscriptionSchedule
from subscriptions.phases import Standing, continued
from subscriptions.schedule_follow import driving
from subscriptions.schedule_phases import as_given
from subscriptions.schedules import ScheduleChange, adopt_subscription, update_schedule


@dataclass(frozen=True)
class Step:
    """What one item is to be from `starts_at` on; a price or a quantity that is None stays as it is."""

    starts_at: datetime
    price: str | None = None
    quantity: int | None = None
    behavior: str = SchedulePhase.ProrationBehavior.CREATE_PRORATIONS


def schedule_change(item: SubscriptionItem, step: Step, *, at: datetime) -> SubscriptionSchedule:
    """Let a phase with another price or quantity of an item begin at an instant; phases after it give way to it.

    A subscription without a schedule gets one. The phase lasts one period, after which its terms stay. Raises
    ParameterMissing, ResourceMissing, InvalidRequest. Locks the customer.
    """
    if step.price is None and step.quantity is None:
        raise ParameterMissing("price", "A change needs another price or another quantity.")
    with transaction.atomic():
        schedule = driving(item.subscription) or adopt_subscription(item.subscription_id, at=at, metadata={})
        before = [phase for phase in schedule.phases.filter(ended_at=None) if phase.start_date < step.starts_at]
        if not before:
            raise InvalidRequest("The change must come after the current phase has begun.", param="starts_at")
        phases = [as_given(phase) for phase in before]
        phases[-1]["end_date"] = step.starts_at
        new = as_given(before[-1])
        for name in ("start_date", "end_date", "metadata", "add_invoice_items", "trial", "trial_end"):
            new.pop(name, None)
        price = _price_then(item, before)
        new["items"] = [_changed(one, price, step) for one in new["items"]]
        new["proration_behavior"] = step.behavior
        return update_schedule(schedule.pk, ScheduleChange([*phases, new]), at=at)


def _price_then(item: SubscriptionItem, phases: Sequence[SchedulePhase]) -> str:
    """The price that an item has in the last of these phases, of which the first is the current one."""
    price = item.price_id
    for before, after in pairwise(phases):
        standing = [Standing(one["price"], one["quantity"] is None, one["price"]) for one in before.items]
        wanted = [Standing(one["price"], one["quantity"] is None) for one in after.items]
        followers = dict(zip(continued(standing, wanted), (one["price"] for one in after.items), strict=True))
        if price not in followers:
            raise InvalidRequest("The item is removed by an earlier phase.", param="item")
        price = followers[price]
    return price


def _changed(one: dict[str, Any], price: str, step: Step) -> dict[str, Any]:
    if one["price"] != price:
        return one
    changed = one | {"price": step.price or price, "metadata": {}}
    return changed | ({} if step.quantity is None else {"quantity": step.quantity})
