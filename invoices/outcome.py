"""What a change comes to: the invoices it makes, what waits, and the invoice to come; or the draft that it changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.errors import BillingError
from core.foresight import Foresight, Outcome
from core.money import format_minor, plain
from customers.locks import lock_customer
from invoices.models import Invoice, InvoiceItem, InvoiceLine
from invoices.preview import preview_next
from invoices.shown import shown
from subscriptions.models import Subscription, SubscriptionSchedule

Shown = tuple[Invoice, list[InvoiceLine]]


@dataclass(frozen=True)
class Known:
    """What there was before the change."""

    invoices: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Result:
    """`upcoming`: the next invoice with the usage so far, or why there is none."""

    subscription: Subscription
    made: list[Shown]
    waiting: list[InvoiceItem]
    upcoming: Shown | str


def watch(subscription: Subscription | None) -> Known:
    """What there is of a subscription, None for one that is yet to be made. Locks the customer."""
    if subscription is None:
        return Known()
    lock_customer(subscription.customer_id)
    waiting = subscription.invoice_items.pending()
    return Known(
        frozenset(subscription.invoices.values_list("pk", flat=True)), frozenset(waiting.values_list("pk", flat=True))
    )


def result_of(changed: Subscription, known: Known, at: datetime) -> Result:
    """What a change has added to what was known. The caller is in the transaction of the change."""
    subscription = Subscription.objects.select_related("customer__test_clock").get(pk=changed.pk)
    made = subscription.invoices.exclude(pk__in=known.invoices).order_by("created_at", "pk")
    waiting = subscription.invoice_items.pending().exclude(pk__in=known.items).order_by("created_at", "pk")
    return Result(
        subscription=subscription,
        made=[(invoice, list(invoice.lines.select_related("meter").order_by("position"))) for invoice in made],
        waiting=list(waiting),
        upcoming=_upcoming(subscription, at),
    )


def tell(changed: Subscription, known: Known, at: datetime) -> Outcome:
    result = result_of(changed, known, at)
    return Outcome(words(result), figures(result))


def figures(result: Result) -> list[Any]:
    """All that must stay as it was seen. Usage goes on, so of lines of the next invoice that follow it only the price
    counts."""
    subscription = result.subscription
    return [
        [(subscription.status, subscription.cancel_at, subscription.paused_at, subscription.trial_end)],
        sorted(subscription.items.live().values_list("price", "quantity")),
        [_invoice_figures(*made) for made in result.made],
        [(item.description, item.amount) for item in result.waiting],
        result.upcoming if isinstance(result.upcoming, str) else _upcoming_figures(*result.upcoming),
    ]


def words(result: Result) -> dict[str, Any]:
    """The same for a page."""
    upcoming = result.upcoming
    return {
        "made": [_invoice_words(*made) for made in result.made],
        "waiting": [{"item": item, "amount": format_minor(item.amount, item.currency)} for item in result.waiting],
        "upcoming": None if isinstance(upcoming, str) else _invoice_words(*upcoming),
        "none": upcoming if isinstance(upcoming, str) else "",
    }


def _upcoming(subscription: Subscription, at: datetime) -> Shown | str:
    if subscription.has_ended:
        return "The subscription has ended then: no more invoices."
    if subscription.is_paused:
        return "None while the subscription is paused."
    try:
        return preview_next(subscription, at=at)
    except BillingError as error:
        return error.message


def _invoice_figures(invoice: Invoice, lines: Sequence[InvoiceLine]) -> tuple[Any, ...]:
    amounts = (invoice.status, invoice.currency, invoice.total, invoice.starting_balance, invoice.amount_due)
    return (*amounts, [_line_figures(line) for line in lines])


def _line_figures(line: InvoiceLine) -> tuple[Any, ...]:
    return line.description, plain(line.quantity), line.amount, line.discount_total, line.credit_total, line.tax_total


def _upcoming_figures(invoice: Invoice, lines: Sequence[InvoiceLine]) -> tuple[Any, ...]:
    fixed = [(line.description, line.amount) for line in lines if line.meter_id is None]
    used = sorted({line.price_id or "" for line in lines if line.meter_id is not None})
    return invoice.period_end, fixed, used


def _invoice_words(invoice: Invoice, lines: list[InvoiceLine]) -> dict[str, Any]:
    return {"invoice": invoice, "total": format_minor(invoice.total, invoice.currency), **shown(invoice, lines)}


SUBSCRIPTIONS = Foresight("invoices/admin/_outcome.html", watch, tell)


def watch_schedule(schedule: SubscriptionSchedule) -> tuple[Subscription | None, Known]:
    """The subscription that a schedule drives, and what there is of it. Locks the customer."""
    lock_customer(schedule.customer_id)
    subscription = Subscription.objects.filter(schedule=schedule).first()
    return subscription, watch(subscription)


def tell_schedule(changed: SubscriptionSchedule, known: tuple[Subscription | None, Known], at: datetime) -> Outcome:
    subscription, before = known
    if subscription is None:
        return Outcome({"none": "The schedule drives no subscription yet."}, changed.status)
    return tell(subscription, before, changed.customer.now(at))


def watch_draft(invoice: Invoice | None) -> None:
    """Locks the customer of a draft; of one that is yet to be made its verb does."""
    if invoice is not None:
        lock_customer(invoice.customer_id)


def tell_draft(changed: Invoice, known: None, at: datetime) -> Outcome:
    """A draft as it is after a change."""
    draft = Invoice.objects.select_related("customer__test_clock", "subscription").get(pk=changed.pk)
    lines = list(draft.lines.select_related("meter").order_by("position"))
    return Outcome(_invoice_words(draft, lines), _invoice_figures(draft, lines))


SCHEDULES = Foresight("invoices/admin/_outcome.html", watch_schedule, tell_schedule)
DRAFTS = Foresight("invoices/admin/_draft_outcome.html", watch_draft, tell_draft)
