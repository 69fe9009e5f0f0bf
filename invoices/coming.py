"""The invoices that are to come of customers, in the order in which they become final, with what they would say now."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from customers.models import Customer
from invoices.build import Content
from invoices.close import Closing, newest_first, next_periods, take_pending
from invoices.finalize import wanted_by
from invoices.gather import Wanted, gather, pending_items
from invoices.models import Invoice, InvoiceItem
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.periods import Period
from subscriptions.trials import Missing, what_follows


@dataclass(frozen=True)
class Coming:
    """An invoice to come with metered items: a draft, or what no invoice has billed of a subscription.

    `final_at` is when it becomes final if nobody changes anything; `place` orders those of the same instant.
    """

    wanted: Wanted
    content: Content
    final_at: datetime
    place: tuple[bool, datetime, int]

    @property
    def is_draft(self) -> bool:
        return self.wanted.invoice is not None

    @property
    def is_forgiven(self) -> bool:
        """Whether it is void as soon as it is final, so that it uses nothing."""
        subscription = self.wanted.subscription
        return subscription is not None and subscription.pause_collection == Subscription.PauseBehavior.VOID

    @property
    def period(self) -> Period:
        start = min(slice_.starts_at for slice_ in self.wanted.slices)
        return Period(start, max(start, self.wanted.period_end))


@dataclass(frozen=True)
class _Planned:
    """What `Coming` is made of, before the content is read."""

    wanted: Wanted
    final_at: datetime
    place: tuple[bool, datetime, int]


def coming_invoices(customers: Sequence[Customer], *, at: datetime) -> dict[str, list[Coming]]:
    """By customer; `at` is real time. Usage counts until now, what is timed later too; levels count until now.

    A draft that revises an invoice is left out: what it revises has the credits until then.
    """
    planned = [*_drafts(customers, at), *_unbilled(customers, at)]
    contents = gather([each.wanted for each in planned], grants={})
    coming: dict[str, list[Coming]] = {customer.pk: [] for customer in customers}
    for each, content in zip(planned, contents, strict=True):
        coming[each.wanted.customer.pk].append(Coming(each.wanted, content, each.final_at, each.place))
    for found in coming.values():
        found.sort(key=lambda one: (one.final_at, one.place))
    return coming


def _drafts(customers: Sequence[Customer], at: datetime) -> Iterator[_Planned]:
    by_id = {customer.pk: customer for customer in customers}
    rows = Invoice.objects.drafts().filter(customer__any_of=list(by_id), from_invoice=None, subscription__isnull=False)
    if not rows.exists():  # as nearly always, and whole invoices are long
        return
    drafts = list(rows.select_related("subscription").order_by("pk"))
    for draft in drafts:
        draft.customer = by_id[draft.customer_id]
    for place, wanted in enumerate(wanted_by(drafts)):
        assert wanted.invoice is not None, "they are drafts"
        now = wanted.customer.now(at)
        if any(slice_.price.is_metered for slice_ in wanted.slices):
            due = wanted.invoice.automatically_finalizes_at or now
            yield _Planned(wanted, max(due, now), (False, wanted.invoice.created_at, place))


def _unbilled(customers: Sequence[Customer], at: datetime) -> Iterator[_Planned]:
    """What would be closed next, as `close` does it, and of the same instant in its order."""
    by_id = {customer.pk: customer for customer in customers}
    periods: dict[str, list[ItemPeriod]] = defaultdict(list)
    rows = ItemPeriod.objects.unbilled().filter(item__subscription__customer__any_of=list(by_id))
    for period in newest_first(rows.select_related("item__subscription")):
        periods[period.item.subscription_id].append(period)
    if not any(period.price.is_metered for found in periods.values() for period in found):
        return
    pending = pending_items(customers)
    closings: list[Closing] = []
    for found in periods.values():
        subscription = found[0].item.subscription
        subscription.customer = by_id[subscription.customer_id]
        closings += _closings(subscription, found, subscription.customer.now(at))
    for closing in sorted(closings, key=_order):
        if (wanted := _wanted(closing, pending, at)) is not None:
            final_at = max(closing.boundary, wanted.customer.now(at)) + wanted.customer.invoice_grace
            yield _Planned(wanted, final_at, (True, *_order(closing)))


def _order(closing: Closing) -> tuple[datetime, int]:
    return closing.boundary, min(period.pk for period in closing.ended)


def _closings(subscription: Subscription, waiting: list[ItemPeriod], at: datetime) -> Iterator[Closing]:
    """What is closed together, until a boundary that is still to come is reached by all items: periods that nobody has
    opened yet, because the sweep is late, have usage too."""
    keys = count(-1, -1)  # of periods that are not stored
    places = {period.item_id: place for place, period in enumerate(waiting)}
    while waiting:
        boundary = min(period.bills_at for period in waiting)
        closing = Closing(subscription, [period for period in waiting if period.bills_at == boundary])
        waiting = [period for period in waiting if period.bills_at != boundary]
        goes_on = what_follows(subscription, boundary) not in (Missing.PAUSE, Missing.CANCEL)
        if goes_on and not subscription.is_paused:
            closing.opened = next_periods(closing)
        yield closing
        if boundary <= at:
            for period in closing.opened.values():
                period.pk = next(keys)
            waiting = sorted([*waiting, *closing.opened.values()], key=lambda period: places[period.item_id])


def _wanted(closing: Closing, pending: dict[str, list[InvoiceItem]], at: datetime) -> Wanted | None:
    """None where it has no usage. What is pending goes to the invoice that comes first, whatever that is."""
    subscription, customer = closing.subscription, closing.subscription.customer
    items = [] if subscription.is_paused else take_pending(pending, subscription)
    slices = closing.billed()
    if not any(slice_.price.is_metered for slice_ in slices):
        return None
    now = customer.now(at)
    return Wanted(customer, closing.boundary, subscription, slices, items, levels_until=now, ends_at=closing.boundary)
