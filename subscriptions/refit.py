"""Lets running slices end earlier or later than they were to, and prorates what was billed for them in advance."""

from collections.abc import Mapping
from datetime import datetime

from subscriptions.biller import BilledFor, PendingItem, biller
from subscriptions.kept import Kept, kept_of
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.pending import billed_for, credit_item, debit_item, keep_billed, undo_credit
from subscriptions.periods import Period
from subscriptions.slices import Kind, end_slice


def running_slices(subscription: Subscription) -> list[ItemPeriod]:
    """The slices that run, with all that prorations read of them."""
    running = ItemPeriod.objects.open().filter(item__subscription=subscription)
    return list(
        running.select_related("item", "price__product").prefetch_related("price__tiers").order_by("item", "pk")
    )


def refit(subscription: Subscription, ends: Mapping[ItemPeriod, datetime], *, at: datetime, prorate: bool) -> bool:
    """Let each slice end at its new time; with `prorate`, licensed ones are credited or debited for the difference.

    What an earlier credit gave back for just that time, being restored costs. Says whether anything is owed. The caller
    holds the lock.
    """
    changed = {slice: end for slice, end in ends.items() if end != slice.ends_at}
    if not changed:
        return False
    billed, owes = billed_for(list(changed)), False
    kept = kept_of(subscription, list(ends), at)
    for slice, end in changed.items():
        was_billed = billed.get(slice.pk)
        if slice.quantity is None or slice.kind != Kind.REGULAR or was_billed is None:
            end_slice(slice, end)
            continue
        owed = _prorate(slice, end, was_billed, kept, classic=not subscription.is_flexible) if prorate else []
        owes = owes or bool(owed)
        ids = biller().add_pending(subscription, owed, at=at)
        if owed and end > was_billed.period.end:
            was_billed = _more(was_billed, owed[-1], ids[-1])
        _end_billed(slice, end, was_billed)
    return owes


def credit_rest(subscription: Subscription, *, at: datetime) -> None:
    """Credit the unused time of the licensed slices of a subscription that ends now."""
    running = running_slices(subscription)
    slices = [slice for slice in running if slice.quantity is not None and slice.kind == Kind.REGULAR]
    billed, at = billed_for(slices), at.replace(microsecond=0)
    kept = {} if subscription.is_flexible else kept_of(subscription, slices, at)
    owed: list[PendingItem] = []
    for slice in slices:
        left = kept.get(slice.price_id)
        owed += credit_item(slice, at=at, until=slice.ends_at, billed=billed.get(slice.pk), kept=left)
    biller().add_pending(subscription, owed, at=at)


def _prorate(slice: ItemPeriod, end: datetime, billed: BilledFor, kept: Kept, *, classic: bool) -> list[PendingItem]:
    """What is owed when a slice ends at `end` instead: a credit up to where it was billed, in place of an earlier one;
    a debit for what goes beyond."""
    until, before = billed.period.end, slice.ends_at
    left = kept[slice.price_id]
    owed = undo_credit(slice, at=before, until=until) if before < until else []
    if end > until:
        return owed + debit_item(slice, at=max(before, until), until=end, kept=left)
    # Time that was given up without a credit stays given up.
    creditable = until if owed or before >= until else before
    if end < creditable:
        owed += credit_item(slice, at=end, until=creditable, billed=billed, kept=left if classic else None)
    return owed


def _more(billed: BilledFor, debit: PendingItem, id: str) -> BilledFor:
    """What was billed together with a debit for the time after it."""
    period = Period(billed.period.start, debit.period.end)
    return BilledFor(billed.amount + debit.amount, period, (*billed.by, id), billed.lines)


def _end_billed(slice: ItemPeriod, end: datetime, billed: BilledFor) -> None:
    """End a slice that was billed at another time; of which full period that was a share stays as it was."""
    whole = slice.whole or slice.period
    keep_billed(slice, billed)
    end_slice(slice, end)
    slice.whole_starts_at, slice.whole_ends_at = whole.start, max(whole.end, slice.ends_at)
    slice.save()
