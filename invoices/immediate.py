"""Invoices that a change of a subscription calls for at once: at its start, in between, and at its end.

The caller holds the customer's lock.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from invoices.close import name_latest, newest_first, stop_advancing, take_pending
from invoices.finalize import freeze
from invoices.gather import Wanted, gather, pending_items
from invoices.late_usage import corrections_for
from invoices.models import Invoice, InvoiceItem
from invoices.pause import keep_paused, settle_paused
from invoices.write import computed_invoice, insert_invoices, new_invoice
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.periods import Period
from subscriptions.slices import close_slices, end_slice

Kind, Outcome, Reason = ItemPeriod.Kind, ItemPeriod.Outcome, Invoice.BillingReason


def start_invoice(subscription: Subscription, *, at: datetime, as_draft: bool = False) -> Invoice | None:
    """Invoice and finalize what a new subscription owes in advance; None where that is nothing.

    A trial is on it at no cost, and in classic mode metered items are. So are the periods since a start in the past.
    `as_draft` leaves it a draft for the time of grace, as a renewal is.
    """
    periods = newest_first(ItemPeriod.objects.unbilled().filter(item__subscription=subscription))
    slices = [period for period in periods if _is_shown_first(period, subscription)]
    close_slices([slice_ for slice_ in slices if slice_.is_cut], at=at, outcome=Outcome.INVOICED)
    finalizes_at = at + subscription.customer.invoice_grace if as_draft else at
    return _invoice(
        subscription, slices, _pending(subscription), Reason.SUBSCRIPTION_CREATE, at=at, finalizes_at=finalizes_at
    )


def invoice_now(
    subscription: Subscription,
    *,
    at: datetime,
    slices: Sequence[ItemPeriod] = (),
    reason: str = Reason.SUBSCRIPTION_UPDATE,
    proration_date: datetime | None = None,
    threshold_reason: dict[str, Any] | None = None,
) -> Invoice | None:
    """Invoice and finalize the pending items of a subscription, the parts of metered periods that were cut off, and
    the given slices, which begin now; None where there is nothing."""
    cut = newest_first(ItemPeriod.objects.waiting().filter(item__subscription=subscription))
    close_slices(cut, at=at, outcome=Outcome.INVOICED)
    told: dict[str, Any] = {"subscription_proration_date": proration_date, "threshold_reason": threshold_reason}
    return _invoice(subscription, [*cut, *slices], _pending(subscription), reason, at=at, **told)


def end_invoice(subscription: Subscription, *, at: datetime, invoice_now: bool) -> Invoice | None:
    """Close the open periods of a subscription that ends now; bill their usage and what is pending, or discard it."""
    periods = newest_first(ItemPeriod.objects.unbilled().filter(item__subscription=subscription))
    for period in periods:
        if not period.is_cut:
            end_slice(period, at)
    stop_advancing(subscription, at=at)
    used = [period for period in periods if period.price.is_metered and period.kind == Kind.REGULAR]
    others = [period for period in periods if period not in used]
    close_slices(used, at=at, outcome=Outcome.INVOICED if invoice_now else Outcome.DISCARDED)
    close_slices((period for period in others if period.kind == Kind.REGULAR), at=at, outcome=Outcome.INVOICED)
    close_slices((period for period in others if period.kind != Kind.REGULAR), at=at, outcome=Outcome.FREE)
    if not invoice_now:
        return None
    corrections_for([subscription], at)
    return _invoice(subscription, used, _pending(subscription), Reason.SUBSCRIPTION_UPDATE, at=at)


def _is_shown_first(period: ItemPeriod, subscription: Subscription) -> bool:
    if period.price.is_metered:
        return period.kind == Kind.TRIAL and not subscription.is_flexible
    return period.kind in (Kind.REGULAR, Kind.TRIAL)


def _pending(subscription: Subscription) -> list[InvoiceItem]:
    return take_pending(pending_items([subscription.customer]), subscription)


def _invoice(
    subscription: Subscription,
    slices: Sequence[ItemPeriod],
    items: Sequence[InvoiceItem],
    reason: str,
    *,
    at: datetime,
    finalizes_at: datetime | None = None,
    **fields: Any,
) -> Invoice | None:
    (content,) = gather([Wanted(subscription.customer, at, subscription, slices, items)])
    if content.is_empty:
        return None
    ended = [period for period in slices if period.closed_at or period.ends_at <= at]
    is_later = finalizes_at is not None and finalizes_at > at
    whole = Period(min((period.starts_at for period in ended), default=at), at)
    invoice = new_invoice(
        subscription.customer,
        subscription,
        reason,
        at=at,
        period_start=whole.start,
        period_end=whole.end,
        automatically_finalizes_at=finalizes_at if is_later else None,
        **fields,
    )
    computed = [computed_invoice(invoice, content)]
    if keep_paused([invoice], at=at) and not is_later:
        freeze(computed, at)
    insert_invoices(computed)
    settle_paused([invoice], at=at)
    name_latest(computed)
    return invoice
