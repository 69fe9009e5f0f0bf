"""What is stored about a customer: told as the model tells it, and what must hold of it whatever the model says."""

from typing import Any

from customers.models import Customer
from invoices.models import Invoice, InvoiceLine
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem
from tests.model.model import Key, Model

# What may still change on an invoice that is final.
LIVE = {"status", "amount_paid", "amount_paid_off_stripe", "auto_advance", "automatically_finalizes_at", "paid_at"}
LIVE |= {"voided_at", "marked_uncollectible_at"}
AFTER = {
    None: {"draft", "open", "paid"},
    "draft": {"draft", "open", "paid"},
    "open": {"open", "paid", "void", "uncollectible"},
    "uncollectible": {"uncollectible", "paid", "void"},
    "paid": {"paid"},
    "void": {"void"},
}


def key_of(invoice: Invoice) -> Key:
    return invoice.subscription_id or "", invoice.billing_reason, invoice.period_end


def told(customer: Customer) -> dict[str, object]:
    ends = dict(Subscription.objects.filter(customer=customer).values_list("pk", "ended_at"))
    running: dict[str, list[Any]] = {pk: [] for pk in ends}
    periods = ItemPeriod.objects.open().filter(item__subscription__customer=customer)
    for one in periods.select_related("item", "price__product"):
        running[one.item.subscription_id].append((one.price.product.name, one.starts_at, one.ends_at))
    invoices = Invoice.objects.filter(customer=customer).prefetch_related("lines__price__product")
    return {
        "balance": Customer.objects.get(pk=customer.pk).balance,
        "grants": {one.pk: (int(one.balance), one.expires_at, one.is_voided) for one in customer.credit_grants.all()},
        "subscriptions": {pk: (ends[pk], sorted(found)) for pk, found in running.items()},
        "invoices": {key_of(invoice): _told(invoice) for invoice in invoices},
    }


def differences(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Where the product does not tell what the model tells."""
    wrong = [] if wanted["balance"] == found["balance"] else [f"balance {found['balance']}, not {wanted['balance']}"]
    for part in ("subscriptions", "invoices", "grants"):
        left, right = wanted[part], found[part]
        keys = [*left, *(key for key in right if key not in left)]
        wrong += [f"{key}: {right.get(key)}, not {left.get(key)}" for key in keys if left.get(key) != right.get(key)]
    return wrong


def _told(invoice: Invoice) -> tuple[Any, ...]:
    amounts = sorted((line.price.product.name, line.amount) for line in invoice.lines.all() if line.price)
    credits = sorted(
        (line.price.product.name, share["credit_grant"], share["amount"])
        for line in invoice.lines.all()
        if line.price
        for share in line.credit_amounts
    )
    final = (invoice.starting_balance, invoice.ending_balance, invoice.amount_due)
    return (invoice.status, invoice.automatically_finalizes_at, amounts, credits, *(() if invoice.is_draft else final))


class Audit:
    """Remembers what it has seen of a customer, to see what has changed that may not."""

    def __init__(self, customer: Customer) -> None:
        self.customer = customer
        self.frozen: dict[str, Any] = {}
        self.states: dict[str, str] = {}
        self.numbers: list[str] = []

    def violations(self, model: Model) -> list[str]:
        invoices = list(Invoice.objects.filter(customer=self.customer).prefetch_related("lines").order_by("number"))
        return [*self._states(invoices), *self._frozen(invoices), *self._numbers(invoices), *self._events(model)]

    def _states(self, invoices: list[Invoice]) -> list[str]:
        """Every state is reached from one that leads to it."""
        wrong = [
            f"{invoice.pk} went from {before} to {invoice.status}"
            for invoice in invoices
            if invoice.status not in AFTER[before := self.states.get(invoice.pk)]
        ]
        self.states = {invoice.pk: invoice.status for invoice in invoices}
        paid = [(invoice, invoice.amount_due if invoice.status == "paid" else 0) for invoice in invoices]
        return wrong + [f"{one.pk} has {one.amount_paid} paid" for one, due in paid if one.amount_paid != due]

    def _frozen(self, invoices: list[Invoice]) -> list[str]:
        wrong = []
        for invoice in invoices:
            now = [_values(invoice), *map(_values, invoice.lines.all())]
            if invoice.is_draft:
                continue
            if self.frozen.setdefault(invoice.pk, now) != now:
                wrong.append(f"{invoice.pk} was final, and has changed")
        return wrong

    def _numbers(self, invoices: list[Invoice]) -> list[str]:
        """Whoever becomes final later has a higher number."""
        before, self.numbers = self.numbers, [invoice.number for invoice in invoices if invoice.number]
        return [] if self.numbers[: len(before)] == before else [f"{before} became {self.numbers}"]

    def _events(self, model: Model) -> list[str]:
        """Each event is in one period of each item that counts it, or before its first, or after its last one."""
        wrong = []
        items = SubscriptionItem.objects.filter(subscription__customer=self.customer, price__meter__isnull=False)
        for item in items.select_related("price__meter").prefetch_related("periods"):
            spans = [(period.starts_at, period.ends_at) for period in item.periods.all()]
            times = [event.at for event in model.events.values() if event.meter == item.price.meter.formula]
            first, last = min(start for start, _ in spans), max(end for _, end in spans)
            inside = [sum(start <= at < end for start, end in spans) for at in times if first <= at < last]
            if inside != [1] * len(inside):
                wrong.append(f"{item.pk} counts some event in no period, or in several")
        return wrong


def _values(row: Invoice | InvoiceLine) -> dict[str, Any]:
    return {
        field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if field.attname not in LIVE
    }
