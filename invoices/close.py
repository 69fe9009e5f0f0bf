"""Closes periods that have ended: drafts their invoice, opens the next periods, ends subscriptions that are over."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from invoices import gather
from invoices.build import Billable, build_lines
from invoices.finalize import finalize_draft
from invoices.models import Invoice
from invoices.write import due_date, header, write_draft
from subscriptions.cancel import end, lock_subscription
from subscriptions.models import ItemPeriod, ItemPeriodQuerySet, Subscription
from subscriptions.periods import Period
from subscriptions.slices import end_slice, next_slice


def close_period(subscription_id: str, at: datetime) -> Invoice | None:
    """Close the earliest periods of a subscription that have ended by `at`, and draft their invoice.

    All items whose periods end at the same instant share the invoice: metered ones for the ended period, licensed
    ones for the next. Does nothing, and returns None, when no period is due. Idempotent; safe from any number of
    workers. Locks the customer.
    """
    with transaction.atomic():
        subscription = lock_subscription(subscription_id)
        due = ItemPeriod.objects.due(at).filter(item__subscription=subscription)
        boundary = due.next_bill()
        if boundary is None:
            return None
        ended = newest_first(due.filter(bills_at=boundary))
        _close(ended, at=at, outcome=ItemPeriod.Outcome.INVOICED)
        opened = next_periods(ended, subscription)
        for period in opened.values():
            period.save(force_insert=True)
        is_over = not ItemPeriod.objects.unbilled().filter(item__subscription=subscription).exists()
        if is_over:
            _stop_advancing(subscription)
            end(subscription, at=boundary)
        return _draft_cycle(subscription, ended, opened, at=at, auto_advance=not is_over)


def start_invoice(subscription: Subscription, *, at: datetime, prorate: bool) -> Invoice | None:
    """Invoice and finalize what a new subscription owes in advance; None where it owes nothing.

    `prorate` False leaves a stub before the first boundary free, and bills one that a known end cuts short in full.
    The caller holds the customer's lock.
    """
    periods = newest_first(ItemPeriod.objects.open().filter(item__subscription=subscription))
    licensed = [gather.licensed(period, subscription) for period in periods if not period.price.is_metered]
    billables = [
        billable if prorate else replace(billable, whole=None)
        for billable in licensed
        if prorate or billable.whole is None or billable.whole.start == billable.period.start
    ]
    if not billables:
        return None
    invoice = _new_invoice(subscription, Invoice.BillingReason.SUBSCRIPTION_CREATE, Period(at, at), at=at)
    write_draft(invoice, build_lines(billables))
    return finalize_draft(invoice, at=at)


def end_invoice(subscription: Subscription, *, at: datetime, invoice_now: bool) -> Invoice | None:
    """Close the open periods of a subscription that ends now; bill their usage, or discard it.

    The caller holds the customer's lock.
    """
    periods = newest_first(ItemPeriod.objects.open().filter(item__subscription=subscription))
    for period in periods:
        end_slice(period, at)
    _stop_advancing(subscription)
    used = [period for period in periods if period.price.is_metered]
    in_advance = [period for period in periods if not period.price.is_metered]
    outcome = ItemPeriod.Outcome.INVOICED if invoice_now else ItemPeriod.Outcome.DISCARDED
    _close(in_advance, at=at, outcome=ItemPeriod.Outcome.INVOICED)
    _close(used, at=at, outcome=outcome)
    if not (invoice_now and used):
        return None
    whole = Period(min(period.starts_at for period in used), at)
    invoice = _new_invoice(subscription, Invoice.BillingReason.SUBSCRIPTION_UPDATE, whole, at=at)
    write_draft(invoice, build_lines(gather.metered(period, subscription) for period in used))
    return finalize_draft(invoice, at=at)


def grace() -> timedelta:
    """From the end of a period to the finalization of its invoice; one hour, as at Stripe."""
    return timedelta(seconds=settings.INVOICE_GRACE_SECONDS)


def newest_first(periods: ItemPeriodQuerySet) -> list[ItemPeriod]:
    """Items newest first, as on Stripe's invoices."""
    related = periods.select_related("item__price", "price__product", "price__meter")
    return list(related.order_by("-item__created_at", "-item_id"))


def _close(periods: Sequence[ItemPeriod], *, at: datetime, outcome: str) -> None:
    ItemPeriod.objects.filter(pk__in=[period.pk for period in periods]).update(closed_at=at, outcome=outcome)


def next_periods(ended: Sequence[ItemPeriod], subscription: Subscription) -> dict[str, ItemPeriod]:
    """The periods that follow, by item, not stored; none where the subscription ends, shortened to a known end."""
    following = {}
    for period in ended:
        if period.is_cut or (subscription.cancel_at is not None and subscription.cancel_at <= period.ends_at):
            continue
        following[period.item_id] = next_slice(period.item, subscription, start=period.ends_at)
    return following


def _draft_cycle(
    subscription: Subscription,
    ended: Sequence[ItemPeriod],
    opened: Mapping[str, ItemPeriod],
    *,
    at: datetime,
    auto_advance: bool,
) -> Invoice | None:
    billables = cycle_billables(ended, opened, subscription)
    if not billables:
        return None
    start, end_ = min(period.starts_at for period in ended), ended[0].ends_at
    invoice = _new_invoice(subscription, Invoice.BillingReason.SUBSCRIPTION_CYCLE, Period(start, end_), at=at)
    invoice.auto_advance = auto_advance
    invoice.automatically_finalizes_at = at + grace() if auto_advance else None
    invoice.save(update_fields=["auto_advance", "automatically_finalizes_at"])
    write_draft(invoice, build_lines(billables))
    return invoice


def cycle_billables(
    ended: Sequence[ItemPeriod], opened: Mapping[str, ItemPeriod], subscription: Subscription
) -> list[Billable]:
    """What a renewal bills: of each metered item the ended period, of each licensed one the period that begins."""
    billables: list[Billable] = []
    for period in ended:
        if period.price.is_metered:
            billables.append(gather.metered(period, subscription))
        elif following := opened.get(period.item_id):
            billables.append(gather.licensed(following, subscription))
    return billables


def _new_invoice(subscription: Subscription, reason: str, period: Period, *, at: datetime) -> Invoice:
    invoice = Invoice.objects.create(
        **header(subscription),
        billing_reason=reason,
        period_start=period.start,
        period_end=period.end,
        due_date=due_date(subscription, at),
        created_at=at,
    )
    subscription.latest_invoice = invoice.pk
    subscription.save(update_fields=["latest_invoice"])
    return invoice


def _stop_advancing(subscription: Subscription) -> None:
    """On cancellation the subscription's drafts and open invoices no longer advance by themselves."""
    unsettled = subscription.invoices.filter(status__in=[Invoice.Status.DRAFT, Invoice.Status.OPEN])
    unsettled.update(auto_advance=False, automatically_finalizes_at=None)
