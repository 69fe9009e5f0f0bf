"""Closes periods that have ended: drafts their invoices, opens the next periods, ends subscriptions that are over.

Works on many subscriptions at once; the number of statements does not depend on how many. Every invoice is written in
the transaction that closes its periods, so a worker that dies leaves nothing half done, and repeats at most one batch.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from core.copying import copy_models, next_keys, update_models
from invoices.finalize import freeze, one_per_customer
from invoices.gather import Wanted, gather, pending_items
from invoices.late_usage import corrections_for
from invoices.models import Invoice, InvoiceItem
from invoices.write import Computed, computed_invoice, insert_invoices, new_invoice
from pricing.models import Price
from subscriptions.cancel import end
from subscriptions.locks import lock_subscriptions
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.pause import hold_back
from subscriptions.period_models import ItemPeriodQuerySet
from subscriptions.slices import close_slices, next_slice
from subscriptions.trials import Missing, follow_trial, what_follows
from webhooks.events import record_many, telling

Kind, Outcome, Reason = ItemPeriod.Kind, ItemPeriod.Outcome, Invoice.BillingReason


@dataclass
class Closing:
    """The periods of one subscription that are closed together, newest item first, and those that follow them."""

    subscription: Subscription
    ended: list[ItemPeriod]
    opened: dict[str, ItemPeriod] = field(default_factory=dict)
    is_over: bool = False

    @property
    def boundary(self) -> datetime:
        return self.ended[0].bills_at

    @property
    def start(self) -> datetime:
        return min(period.starts_at for period in self.ended)

    def billed(self) -> list[ItemPeriod]:
        """What the invoice is about: of each metered item what has ended, of each licensed one what begins."""
        slices = []
        for period in self.ended:
            if period.price.is_metered and period.kind == Kind.REGULAR:
                slices.append(period)
            following = self.opened.get(period.item_id)
            if following and not following.price.is_metered and following.kind == Kind.REGULAR and not period.is_cut:
                slices.append(following)
        return slices


def close_period(subscription_id: str, at: datetime) -> Invoice | None:
    """Close the earliest periods of a subscription that have ended by `at`, and draft their invoice.

    All items whose periods end at the same instant share the invoice: metered ones for the ended period, licensed
    ones for the next. Returns None when no period is due, or when there is nothing to bill. Idempotent; safe from any
    number of workers. Locks the customer.
    """
    with transaction.atomic():
        closings = find_closings(lock_subscriptions([subscription_id]), at)
        invoices = close(closings, at)
        return invoices[0] if invoices else None


def close_many(subscription_ids: Sequence[str], at: datetime) -> set[str]:
    """The same for those of these subscriptions that nobody else is at work on, all or none; returns which had due
    periods. Those of one customer are closed in the order given: the first uses the customer's credits first."""
    places = {id: place for place, id in enumerate(subscription_ids)}
    with transaction.atomic():
        closings = find_closings(lock_subscriptions(subscription_ids, skip_locked=True), at)
        closings.sort(key=lambda closing: places[closing.subscription.pk])
        for some in one_per_customer(closings, lambda closing: closing.subscription.customer_id):
            close(some, at)
        return {closing.subscription.pk for closing in closings}


def close(closings: Sequence[Closing], at: datetime) -> list[Invoice]:
    """Close the periods, open the next, draft the invoices, of one subscription of each customer. The caller holds the
    locks under which they were found."""
    if not closings:
        return []
    with telling("customer.subscription.updated", "subscription", [one.subscription.pk for one in closings], at=at):
        invoices = _close(closings, at)
        over = [one.subscription for one in closings if one.is_over]
        record_many("customer.subscription.deleted", "subscription", over, at=at)
    return invoices


def _close(closings: Sequence[Closing], at: datetime) -> list[Invoice]:
    close_slices(
        (period for closing in closings for period in closing.ended if period.kind == Kind.REGULAR),
        at=at,
        outcome=Outcome.INVOICED,
    )
    close_slices(
        (period for closing in closings for period in closing.ended if period.kind != Kind.REGULAR),
        at=at,
        outcome=Outcome.FREE,
    )
    for closing in closings:
        follow_trial(closing.subscription, at=closing.boundary)
    open_next(closings)
    _end_those_that_are_over(closings)
    return draft(closings, at)


def find_closings(subscriptions: Sequence[Subscription], at: datetime) -> list[Closing]:
    """For each subscription that has any, the due periods with the earliest date of billing."""
    by_id = {subscription.pk: subscription for subscription in subscriptions}
    due: dict[str, list[ItemPeriod]] = defaultdict(list)
    for period in newest_first(ItemPeriod.objects.due(at).filter(item__subscription__any_of=list(by_id))):
        due[period.item.subscription_id].append(period)
    closings = []
    for id, periods in due.items():
        boundary = min(period.bills_at for period in periods)
        ended = hold_back(by_id[id], [period for period in periods if period.bills_at == boundary])
        if ended:
            closings.append(Closing(by_id[id], ended))
    return closings


def find_next(subscription: Subscription) -> Closing | None:
    """What will be closed next if nothing changes before; nothing is stored. Nothing of what is paused is billed."""
    if subscription.is_paused:
        return None
    unbilled = newest_first(ItemPeriod.objects.unbilled().filter(item__subscription=subscription))
    if not unbilled:
        return None
    boundary = min(period.bills_at for period in unbilled)
    if what_follows(subscription, boundary) in (Missing.PAUSE, Missing.CANCEL):
        return None
    closing = Closing(subscription, [period for period in unbilled if period.bills_at == boundary])
    closing.opened = next_periods(closing)
    return closing


def newest_first(periods: ItemPeriodQuerySet) -> list[ItemPeriod]:
    """Periods by item, newest item first as on Stripe's invoices; of one item in the order of time."""
    found = list(periods.select_related("item").order_by("-item__created_at", "-item_id", "starts_at", "pk"))
    named = {period.price_id for period in found} | {period.item.price_id for period in found}
    prices = Price.objects.select_related("product", "meter").in_bulk(named)
    for period in found:
        period.price, period.item.price = prices[period.price_id], prices[period.item.price_id]
    return found


def next_periods(closing: Closing) -> dict[str, ItemPeriod]:
    """The periods that follow, by item, not stored; none where the subscription or the item ends."""
    subscription, following = closing.subscription, {}
    if subscription.has_ended:
        return {}
    for period in closing.ended:
        over = subscription.cancel_at is not None and subscription.cancel_at <= period.ends_at
        if not (period.is_cut or over or period.item.deleted_at):
            following[period.item_id] = next_slice(period.item, subscription, start=period.ends_at)
    return following


def open_next(closings: Sequence[Closing]) -> None:
    for closing in closings:
        closing.opened = next_periods(closing)
    opened = [period for closing in closings for period in closing.opened.values()]
    for period, key in zip(opened, next_keys(ItemPeriod, len(opened)), strict=True):
        period.pk = key
    copy_models(ItemPeriod, opened)


def _end_those_that_are_over(closings: Sequence[Closing]) -> None:
    without = [closing for closing in closings if not closing.opened]
    if not without:
        return
    unbilled = ItemPeriod.objects.unbilled().filter(item__subscription__in=[one.subscription for one in without])
    running = set(unbilled.values_list("item__subscription_id", flat=True))
    for closing in without:
        if closing.subscription.pk not in running:
            closing.is_over = True
            stop_advancing(closing.subscription, at=closing.boundary)
            end(closing.subscription, at=closing.boundary)


def draft(closings: Sequence[Closing], at: datetime) -> list[Invoice]:
    corrections_for([closing.subscription for closing in closings], at)
    pending = pending_items(closing.subscription.customer for closing in closings)
    wanted = [
        Wanted(
            closing.subscription.customer,
            at,
            closing.subscription,
            closing.billed(),
            [] if closing.subscription.is_paused else take_pending(pending, closing.subscription),
            ends_at=closing.boundary,
        )
        for closing in closings
    ]
    computed = []
    for closing, content in zip(closings, gather(wanted), strict=True):
        if content.is_empty:
            continue
        invoice = new_invoice(
            closing.subscription.customer,
            closing.subscription,
            Reason.SUBSCRIPTION_CYCLE,
            at=at,
            period_start=closing.start,
            period_end=closing.boundary,
            auto_advance=not closing.is_over,
            automatically_finalizes_at=None if closing.is_over else at + closing.subscription.customer.invoice_grace,
        )
        computed.append(computed_invoice(invoice, content))
    freeze([one for one in computed if is_final_at_once(one.invoice)], at)
    insert_invoices(computed)
    name_latest(computed)
    return [each.invoice for each in computed]


def is_final_at_once(invoice: Invoice) -> bool:
    """Whether a new invoice needs no grace; one whose collection is paused is seen to when it is stored."""
    paused = invoice.subscription is not None and invoice.subscription.pause_collection
    return invoice.auto_advance and not (invoice.customer.invoice_grace or paused)


def take_pending(pending: Mapping[str, list[InvoiceItem]], subscription: Subscription) -> list[InvoiceItem]:
    """Take from the customer's pending items those that the next invoice of this subscription bills: its own, and
    those of no subscription."""
    items = pending.get(subscription.customer_id, [])
    taken = [
        item
        for item in items
        if item.subscription_id in (None, subscription.pk) and item.currency == subscription.currency
    ]
    items[:] = [item for item in items if item not in taken]
    return taken


def name_latest(computed: Iterable[Computed]) -> None:
    """Let each subscription name the invoice that was made for it."""
    subscriptions = []
    for each in computed:
        if each.invoice.subscription is not None:
            each.invoice.subscription.latest_invoice = each.invoice.pk
            subscriptions.append(each.invoice.subscription)
    update_models(Subscription, subscriptions, ["latest_invoice"])


def stop_advancing(subscription: Subscription, *, at: datetime) -> None:
    """On cancellation the subscription's drafts and open invoices no longer advance by themselves."""
    unsettled = subscription.invoices.filter(status__in=[Invoice.Status.DRAFT, Invoice.Status.OPEN])
    with telling("invoice.updated", "invoice", list(unsettled.values_list("pk", flat=True)), at=at):
        unsettled.update(auto_advance=False, automatically_finalizes_at=None)
