"""Pauses subscriptions and resumes them: in between nothing is billed, and no invoice is made.

While it is paused each item has a period of kind paused, so that time is tiled; usage in it is accepted and never
billed.
What was used before the pause waits, cut off, until the subscription is resumed or ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from core.errors import InvalidRequest
from subscriptions.biller import biller
from subscriptions.interrupt import NOW, begin, in_advance, interrupt
from subscriptions.locks import lock_for_change
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.periods import clamp, period_containing
from subscriptions.refit import debit_slices
from subscriptions.schedule_follow import driving
from subscriptions.slices import Kind
from webhooks.events import record, telling

UNCHANGED = "unchanged"
CREATE_PRORATIONS, ALWAYS_INVOICE, NO_PRORATIONS = "create_prorations", "always_invoice", "none"


@dataclass(frozen=True)
class Pause:
    """What is billed when a subscription is paused: its usage until then, or none of it (which is then lost), and what
    is credited of its licensed items (see `interrupt`); by an invoice at once, or by the next one."""

    bill_usage: bool = True
    credit_from: str = NOW
    invoice_at_once: bool = False


@dataclass(frozen=True)
class Resumption:
    """How a subscription goes on: from an anchor now, or with the old one; then licensed items are charged for the rest
    of the period, as `proration_behavior` says, counted from `proration_date`."""

    anchor: str = NOW
    proration_behavior: str = CREATE_PRORATIONS
    proration_date: datetime | None = None


def pause_subscription(subscription_id: str, *, at: datetime, pause: Pause | None = None) -> Subscription:
    """Pause a subscription; its periods end now. Raises NotFound, InvalidRequest. Locks the customer."""
    pause = pause or Pause()
    with transaction.atomic():
        subscription, at = lock_for_change(subscription_id, at)
        check_can_pause(subscription)
        at = at.replace(microsecond=0)
        with telling("customer.subscription.updated", "subscription", [subscription_id], at=at):
            interrupt(subscription, at=at, bill_usage=pause.bill_usage, credit_from=pause.credit_from)
            if pause.invoice_at_once:
                biller().invoice_now(subscription, at=at)
            subscription.status, subscription.paused_at = Subscription.Status.PAUSED, at
            subscription.save(update_fields=["status", "paused_at"])
            begin(subscription, at=at)
        record("customer.subscription.paused", "subscription", subscription, at=at)
        subscription.refresh_from_db()
        return subscription


def check_can_pause(subscription: Subscription) -> None:
    """Raises InvalidRequest where a subscription cannot be paused as it stands."""
    if not subscription.is_flexible:
        raise InvalidRequest("Only a subscription with billing_mode flexible can be paused.")
    if subscription.is_sent:
        raise InvalidRequest("A subscription whose collection_method is send_invoice cannot be paused.")
    if driving(subscription):
        raise InvalidRequest(
            "A subscription with a subscription schedule cannot be paused; release the schedule first."
        )
    if not subscription.can_pause:
        raise InvalidRequest(f"A subscription that is {subscription.status} cannot be paused.")


def resume_subscription(subscription_id: str, *, at: datetime, resumption: Resumption | None = None) -> Subscription:
    """Let a paused subscription go on; what it owes in advance, and what has waited, is invoiced at once where the
    anchor moves. Raises NotFound, InvalidRequest. Locks the customer."""
    resumption = resumption or Resumption()
    with transaction.atomic():
        subscription, at = lock_for_change(subscription_id, at)
        if not subscription.is_paused:
            raise InvalidRequest(f"Only a paused subscription can be resumed; this one is {subscription.status}.")
        at = at.replace(microsecond=0)
        with telling("customer.subscription.updated", "subscription", [subscription_id], at=at):
            _go_on(subscription, resumption, at)
        record("customer.subscription.resumed", "subscription", subscription, at=at)
        subscription.refresh_from_db()
        return subscription


def _go_on(subscription: Subscription, resumption: Resumption, at: datetime) -> None:
    interrupt(subscription, at=at)
    _stand_active(subscription, at if resumption.anchor == NOW else None)
    opened = begin(subscription, at=at)
    _release(subscription, opened, at)
    if resumption.anchor == NOW:
        _refuse_date(resumption)
        biller().invoice_now(subscription, at=at, slices=in_advance(opened))
    else:
        _charge_rest(subscription, opened, resumption, at)


def hold_back(subscription: Subscription, due: Sequence[ItemPeriod]) -> list[ItemPeriod]:
    """Of periods that are due together those to be closed now: what was cut off before a pause waits while it lasts,
    if the subscription does not end meanwhile. The caller holds the lock."""
    held = [period for period in due if subscription.is_paused and period.is_cut and period.kind == Kind.REGULAR]
    for period in held:
        if subscription.cancel_at is not None and subscription.cancel_at <= period.bills_at:
            return list(due)
        _wait(period, subscription, period.bills_at)
    return [period for period in due if period not in held]


def _stand_active(subscription: Subscription, anchor: datetime | None) -> None:
    subscription.status, subscription.paused_at = Subscription.Status.ACTIVE, None
    if anchor is not None:
        subscription.billing_cycle_anchor, subscription.anchor_day = anchor, None
    subscription.save(update_fields=["status", "paused_at", "billing_cycle_anchor", "anchor_day"])


def _release(subscription: Subscription, opened: Sequence[ItemPeriod], at: datetime) -> None:
    """What has waited is billed with the next invoice."""
    ends = {period.item_id: period.ends_at for period in opened}
    for period in ItemPeriod.objects.waiting().filter(item__subscription=subscription):
        period.bills_at = ends.get(period.item_id, min(ends.values(), default=at))
        period.save(update_fields=["bills_at"])


def _wait(period: ItemPeriod, subscription: Subscription, since: datetime) -> None:
    following = period_containing(subscription.anchor, period.item.cadence, since)
    if subscription.cancel_at is not None:
        following = clamp(following, subscription.cancel_at)
    period.bills_at = following.end
    period.save(update_fields=["bills_at"])


def _charge_rest(
    subscription: Subscription, opened: Sequence[ItemPeriod], resumption: Resumption, at: datetime
) -> None:
    licensed = in_advance(opened)
    since = resumption.proration_date or at
    for period in licensed:
        if not (period.whole or period.period).start <= since < period.ends_at:
            raise InvalidRequest("proration_date must be within the current period.", param="proration_date")
    if resumption.proration_behavior == NO_PRORATIONS:
        ItemPeriod.objects.filter(pk__in=[period.pk for period in licensed]).update(
            kind=Kind.FREE, whole_starts_at=None, whole_ends_at=None
        )
        return
    debit_slices(subscription, licensed, since=since, at=at)
    if resumption.proration_behavior == ALWAYS_INVOICE:
        biller().invoice_now(subscription, at=at, proration_date=resumption.proration_date)


def _refuse_date(resumption: Resumption) -> None:
    if resumption.proration_date is not None:
        raise InvalidRequest(
            "Nothing is prorated where the billing cycle anchor is now: proration_date needs billing_cycle_anchor "
            "unchanged.",
            param="proration_date",
        )
