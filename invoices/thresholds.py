"""Bills usage before its period ends, when what has accrued reaches a threshold of its subscription or item.

What counts is in docs/decisions/0036.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction

from core import sweep
from core.copying import update_models
from core.money import AmountTooLarge
from core.timeline import TimedWork
from customers.models import TestClock
from invoices.build import Billable, Content, build_invoice
from invoices.close import name_latest, newest_first
from invoices.finalize import freeze, one_per_customer
from invoices.gather import Wanted, gather
from invoices.immediate import invoice_now
from invoices.models import Invoice, InvoiceLine
from invoices.threshold_marks import marks_of, moved
from invoices.write import computed_invoice, insert_invoices, new_invoice
from subscriptions.interrupt import begin, in_advance, interrupt
from subscriptions.locks import lock_subscriptions
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.parking import park_subscription
from subscriptions.periods import clamp
from subscriptions.slices import close_slices
from webhooks.events import telling

REASON = Invoice.BillingReason.SUBSCRIPTION_THRESHOLD
SECOND = timedelta(seconds=1)
AHEAD = timedelta(minutes=5, seconds=1)  # so far in the future usage can be timed, and is counted in the mark
BATCH = 500


@dataclass(frozen=True)
class Accrued:
    """The usage of a subscription that its next invoice would bill, with the thresholds that it has reached."""

    subscription: Subscription
    slices: Sequence[ItemPeriod]
    until: datetime
    content: Content
    reason: dict[str, Any] | None


def check_threshold(subscription_id: str, at: datetime) -> object:
    """Invoice the usage of a subscription if it has reached a threshold; None where nothing has moved.

    Idempotent; safe from any number of workers. Locks the customer.
    """
    try:
        with transaction.atomic():
            subscriptions = lock_subscriptions([subscription_id])
            return _check(subscriptions, max((one.customer.now(at) for one in subscriptions), default=at)) or None
    except AmountTooLarge as error:
        return park_subscription(subscription_id, reason=error.message, at=at)


def check_many(subscription_ids: Sequence[str], at: datetime) -> set[str]:
    """The same for those whose customers nobody else is at work on, all or none; returns which were looked at."""
    checked: set[str] = set()
    with transaction.atomic():
        subscriptions = lock_subscriptions(subscription_ids, skip_locked=True)
        for some in one_per_customer(subscriptions, lambda subscription: subscription.customer_id):
            checked |= _check(some, at)
    return checked


def check_resting_clocks() -> None:
    """Look at the customers of test clocks that do not move, at the time their clocks show."""
    resting = TestClock.objects.live().filter(status=TestClock.Status.READY)
    with_thresholds = resting.filter(customers__subscriptions__threshold_mark__isnull=False).distinct()
    for clock in with_thresholds:
        check = partial(_was_checked, clock.frozen_time)
        sweep.each(THRESHOLDS.name, moved(clock.frozen_time, clock.pk, BATCH), check)


def _was_checked(at: datetime, subscription_id: str) -> bool:
    return check_threshold(subscription_id, at) is not None


def _check(subscriptions: Sequence[Subscription], at: datetime) -> set[str]:
    """Of subscriptions of different customers, locked, those that were looked at.

    One that was invoiced keeps its old mark: it is looked at once more, for what is timed after the invoice.
    """
    marks = marks_of([one.pk for one in subscriptions], at)
    asked = [one for one in subscriptions if marks.get(one.pk, one.threshold_mark) != one.threshold_mark]
    if not asked:
        return set()
    found = [accrued for accrued in _accrued(asked, until=at + AHEAD) if not _is_ending(accrued, at + SECOND)]
    below = [each.subscription for each in found if not each.reason]
    for subscription in below:
        subscription.threshold_mark = marks[subscription.pk]
    update_models(Subscription, below, ["threshold_mark"])
    crossings = _crossings([each.subscription for each in found if each.reason], at)
    with telling("customer.subscription.updated", "subscription", [one.subscription.pk for one in crossings], at=at):
        _bill([each for each in crossings if not each.subscription.threshold_resets_anchor], at)
        for each in crossings:
            if each.subscription.threshold_resets_anchor:
                _restart(each)
    return {subscription.pk for subscription in (*below, *(each.subscription for each in crossings))}


def _crossings(subscriptions: Sequence[Subscription], at: datetime) -> list[Accrued]:
    """Those that have reached a threshold by now, each until the first whole second of this one and the next at which
    it has: periods begin at whole seconds. The others will when the time of their usage has come."""
    crossings: list[Accrued] = []
    left = list(subscriptions)
    for cut in (at.replace(microsecond=0), at.replace(microsecond=0) + SECOND):
        found = [each for each in _accrued(left, until=cut) if each.reason]
        left = [one for one in left if one not in {each.subscription for each in found}]
        crossings += found
    return crossings


def _is_ending(accrued: Accrued, at: datetime) -> bool:
    """Whether a period will have ended, so that a sweep closes it anyhow."""
    return any(slice_.bills_at <= at for slice_ in accrued.slices)


def _accrued(subscriptions: Sequence[Subscription], *, until: datetime) -> list[Accrued]:
    """What has accrued of each until an instant, read for all of them at once."""
    if not subscriptions:
        return []
    slices: dict[str, list[ItemPeriod]] = defaultdict(list)
    unbilled = ItemPeriod.objects.unbilled().filter(item__subscription__in=subscriptions, kind=ItemPeriod.Kind.REGULAR)
    for slice_ in newest_first(unbilled):
        if slice_.price.is_metered:
            slice_.paid_period = clamp(slice_.period, until)
            slices[slice_.item.subscription_id].append(slice_)
    wanted = [Wanted(one.customer, until, one, slices[one.pk], until=until) for one in subscriptions]
    before = _quantities_billed(slice_.pk for some in slices.values() for slice_ in some)
    return [
        Accrued(one, each.slices, until, content, _reason(one, each.slices, content, before))
        for one, each, content in zip(subscriptions, wanted, gather(wanted), strict=True)
    ]


def _reason(
    subscription: Subscription, slices: Sequence[ItemPeriod], content: Content, before: dict[int, Decimal]
) -> dict[str, Any] | None:
    """Which thresholds are reached, as an invoice keeps it; None where none is, or nothing is used that is not billed:
    flat fees alone would be billed again and again."""
    used: dict[str, Decimal] = defaultdict(Decimal)
    for billable in content.billables:
        used[billable.item] += _new_usage(billable, before)
    if not any(used.values()):
        return None
    totals = build_invoice(content).totals
    accrued = totals.subtotal - totals.discount_total - totals.credit_total
    amount = subscription.threshold_amount
    by_amount = amount is not None and accrued >= amount
    wanted = {slice_.item_id: slice_.item.threshold_usage for slice_ in slices}
    by_usage = [
        {"subscription_item": item, "usage_gte": usage}
        for item, usage in wanted.items()
        if usage is not None and used[item] >= usage
    ]
    if not (by_amount or by_usage):
        return None
    return {"amount_gte": amount if by_amount else None, "item_reasons": by_usage}


def _new_usage(billable: Billable, before: dict[int, Decimal]) -> Decimal:
    """The usage that no invoice has billed yet."""
    assert billable.usage is not None, "only metered slices are asked for"
    return billable.usage.quantity - before.get(billable.item_period or 0, Decimal(0))


def _quantities_billed(slices: Iterable[int]) -> dict[int, Decimal]:
    """Of slices that were billed before, the usage that the last invoice of each has read."""
    lines = InvoiceLine.objects.filter(item_period__any_of=list(slices), usage_quantity__isnull=False)
    lines = lines.order_by("item_period", "-revision", "position").distinct("item_period")
    return {key: quantity for key, quantity in lines.values_list("item_period", "usage_quantity") if key and quantity}


def _bill(reached: Sequence[Accrued], at: datetime) -> None:
    """Invoice usage so far, and let its periods go on: a later invoice takes off what this one has billed. Parts that
    changes have cut off are complete."""
    if not reached:
        return
    cut = (slice_ for each in reached for slice_ in each.slices if slice_.is_cut)
    close_slices(cut, at=at, outcome=ItemPeriod.Outcome.INVOICED)
    computed = []
    for each in reached:
        customer = each.subscription.customer
        start = min(slice_.starts_at for slice_ in each.slices)
        invoice = new_invoice(
            customer,
            each.subscription,
            REASON,
            at=at,
            period_start=start,
            period_end=max(start, each.until),
            threshold_reason=each.reason,
        )
        computed.append(computed_invoice(invoice, each.content))
    freeze(computed, at)
    insert_invoices(computed)
    name_latest(computed)


def _restart(accrued: Accrued) -> None:
    """Invoice usage so far, and begin new periods."""
    subscription, cut = accrued.subscription, accrued.until
    subscription.billing_cycle_anchor, subscription.anchor_day = cut, None
    subscription.billing_cycle_anchor_config = None
    subscription.save(update_fields=["billing_cycle_anchor", "anchor_day", "billing_cycle_anchor_config"])
    interrupt(subscription, at=cut)
    begun = begin(subscription, at=cut)
    invoice_now(subscription, at=cut, slices=in_advance(begun), reason=REASON, threshold_reason=accrued.reason)


def _next_at(clock: str | None) -> datetime | None:
    """Usage does not say when it will come."""
    return None


# After the periods that end at the same instant are closed, and what is pending is billed.
THRESHOLDS = TimedWork("check_thresholds", 40, _next_at, moved, check_threshold, check_many, BATCH)
