"""Finalizes drafts: reads the usage for the last time, gives the numbers, and freezes the invoices.

Works on many invoices at once; the number of statements does not depend on how many.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from typing import TypeVar

from django.db import transaction

from core.copying import update_models
from core.errors import BillingError, InvalidRequest, NotFound
from customers.balance import BalanceChange, Type, change_balances
from customers.locks import lock_customer, lock_customers
from invoices.credits_used import book_credits
from invoices.gather import Wanted, gather
from invoices.models import Invoice, InvoiceItem, InvoiceLine
from invoices.numbering import number_invoices
from invoices.pause import keep_paused, settle_paused
from invoices.revised import void_revised
from invoices.told import tell, tell_finalized
from invoices.write import TOTALS, Computed, computed_invoice, rewrite_drafts
from pricing.discounts import spend
from subscriptions.models import ItemPeriod
from subscriptions.periods import Period

T = TypeVar("T")
added_position = attrgetter("added_position")
COPIED_FROM_CUSTOMER = ("name", "email", "phone", "address", "shipping", "tax_exempt")
WRITTEN = (
    *TOTALS,
    *(f"customer_{name}" for name in COPIED_FROM_CUSTOMER),
    "number",
    "status",
    "ending_balance",
    "auto_advance",
    "automatically_finalizes_at",
    "finalized_at",
    "effective_at",
    "paid_at",
    "last_finalization_error",
)


class InvoiceNotEditable(InvalidRequest):
    """The invoice is past the state in which this can be done."""

    code = "invoice_not_editable"


def lock_invoice(invoice_id: str) -> Invoice:
    """Lock the customer, then the invoice, and return it as it is now. Raises NotFound."""
    customer_id = Invoice.objects.filter(pk=invoice_id).values_list("customer_id", flat=True).first()
    if customer_id is None:
        raise NotFound("invoice", invoice_id)
    customer = lock_customer(customer_id)
    invoice = Invoice.objects.select_for_update(no_key=True).get(pk=invoice_id)
    invoice.customer = customer
    return invoice


def finalize_invoice(invoice_id: str, *, at: datetime, auto_advance: bool | None = None) -> Invoice:
    """Finalize a draft now, by a person's wish.

    Raises NotFound; InvoiceNotEditable when it is not a draft. Locks the customer.
    """
    with transaction.atomic():
        invoice = lock_invoice(invoice_id)
        if not invoice.is_draft:
            raise InvoiceNotEditable("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
        if auto_advance is not None:
            invoice.auto_advance = auto_advance
        return finalize_draft(invoice, at=invoice.customer.now(at))


def finalize_if_due(invoice_id: str, at: datetime) -> Invoice | None:
    """Finalize a draft whose time has come; None where there is nothing to do. Idempotent. Locks the customer."""
    with transaction.atomic():
        invoice = lock_invoice(invoice_id)
        if not Invoice.objects.to_finalize(at).filter(pk=invoice.pk).exists():
            return None
        return finalize_draft(invoice, at=at) if keep_paused([invoice], at=at) else invoice


def finalize_many(invoice_ids: Sequence[str], at: datetime) -> set[str]:
    """The same for those of these invoices whose customers nobody else is at work on, all or none; returns which."""
    with transaction.atomic():
        owners = Invoice.objects.filter(pk__in=invoice_ids).values_list("customer_id", flat=True)
        customers = lock_customers(owners, skip_locked=True)
        due = Invoice.objects.to_finalize(at).filter(pk__in=invoice_ids, customer__in=customers)
        invoices = list(due.select_for_update(no_key=True).order_by("automatically_finalizes_at", "pk"))
        for invoice in invoices:
            invoice.customer = customers[invoice.customer_id]
        finalize_drafts(keep_paused(invoices, at=at), at=at)
        return {invoice.pk for invoice in invoices}


def note_failure(invoice_id: str, error: BillingError, *, at: datetime) -> Invoice:
    """Say on a draft why it cannot be finalized, and let it no longer advance by itself. Locks the customer."""
    with transaction.atomic():
        invoice = lock_invoice(invoice_id)
        if not invoice.is_draft:
            return invoice
        invoice.last_finalization_error = {
            "type": "invalid_request_error",
            "code": error.code,
            "message": error.message,
        }
        invoice.auto_advance, invoice.automatically_finalizes_at = False, None
        invoice.save(update_fields=["last_finalization_error", "auto_advance", "automatically_finalizes_at"])
        tell("finalization_failed", invoice, at=at)
        return invoice


def finalize_draft(invoice: Invoice, *, at: datetime) -> Invoice:
    """Freeze a draft; one with nothing to pay is paid at once. The caller holds the customer's lock."""
    finalize_drafts([invoice], at=at)
    return invoice


def finalize_drafts(invoices: Sequence[Invoice], *, at: datetime) -> None:
    """Freeze drafts, those of one customer in this order. The caller holds the customers' locks."""
    for some in one_per_customer(invoices, lambda invoice: invoice.customer_id):
        void_revised(some, at=at)
        computed = compute_drafts(some, at)
        rewrite_drafts(computed, final=True)
        freeze(computed, at)
        update_models(Invoice, some, WRITTEN)
        book_credits([each.invoice for each in computed if each.built.totals.credits])
        tell_finalized(some, at=at)
        settle_paused(some, at=at)


def freeze(computed: Sequence[Computed], at: datetime) -> None:
    """Let invoices, of different customers, be final as far as their own rows go, which the caller then stores: apply
    the balances, spend the discounts, give the numbers."""
    invoices = [each.invoice for each in computed]
    _settle(computed, at)
    spend((id for each in computed for id, _ in each.built.totals.discounts), at=at)
    for invoice in invoices:
        _freeze(invoice, at)
    number_invoices(invoices)


def one_per_customer(rows: Iterable[T], customer_of: Callable[[T], str]) -> Iterator[list[T]]:
    """The rows in rounds, in each at most one of a customer: what one takes of the customer's balance, or of a discount
    for one invoice, is then known to the next."""
    rounds: list[list[T]] = []
    seen: Counter[str] = Counter()
    for row in rows:
        place = seen[customer_of(row)]
        seen[customer_of(row)] += 1
        if place == len(rounds):
            rounds.append([])
        rounds[place].append(row)
    yield from rounds


def compute_drafts(invoices: Sequence[Invoice], at: datetime | None = None) -> list[Computed]:
    """What drafts say now, with the usage that has arrived since they were written; nothing is stored.

    With the credits that can be used `at`; else those that could when the drafts were made.
    """
    contents = gather(wanted_by(invoices), at=at)
    return [computed_invoice(invoice, content) for invoice, content in zip(invoices, contents, strict=True)]


def wanted_by(invoices: Sequence[Invoice]) -> list[Wanted]:
    """What drafts bill, from the slices of their lines, in the order of the lines, and from their invoice items."""
    slices: dict[str, dict[int, ItemPeriod]] = defaultdict(dict)
    lines = InvoiceLine.objects.filter(invoice__any_of=[one.pk for one in invoices], item_period__isnull=False)
    for line in lines.select_related("item_period__item", "item_period__price").order_by("position"):
        assert line.item_period is not None, "filtered"
        if line.meter_id is None:
            line.item_period.paid_period = Period(line.period_start, line.period_end)
        slices[line.invoice_id].setdefault(line.item_period.pk, line.item_period)
    items: dict[str | None, list[InvoiceItem]] = defaultdict(list)
    for item in InvoiceItem.objects.filter(invoice__any_of=[one.pk for one in invoices]).order_by("-created_at", "-id"):
        items[item.invoice_id].append(item)
    return [
        Wanted(
            invoice.customer,
            invoice.created_at,
            invoice.subscription,
            list(slices[invoice.pk].values()),
            [item for item in items[invoice.pk] if item.added_position is None],
            sorted((item for item in items[invoice.pk] if item.added_position), key=added_position),
            invoice=invoice,
        )
        for invoice in invoices
    ]


def _settle(computed: Sequence[Computed], at: datetime) -> None:
    """Apply the balance of each customer to the invoice, and keep what that makes of it."""
    changes = []
    for each in computed:
        invoice, settlement = each.invoice, each.built.settlement
        invoice.ending_balance = settlement.ending_balance
        if moved := settlement.ending_balance - settlement.starting_balance:
            _check_currency(invoice)
            changes.append(BalanceChange(invoice.customer_id, moved, Type.APPLIED_TO_INVOICE, at, invoice=invoice.pk))
    if changes:
        endings = change_balances(changes)
        for each in computed:
            customer = each.invoice.customer
            customer.balance = endings.get(customer.pk, customer.balance)


def _check_currency(invoice: Invoice) -> None:
    """A balance has one currency. Raises InvalidRequest."""
    if invoice.customer.currency not in ("", invoice.currency):
        raise InvalidRequest(
            f"This invoice would change the customer's balance by an amount in {invoice.currency}, and that is in "
            f"{invoice.customer.currency}."
        )


def _freeze(invoice: Invoice, at: datetime) -> None:
    for name in COPIED_FROM_CUSTOMER:
        setattr(invoice, f"customer_{name}", getattr(invoice.customer, name))
    invoice.finalized_at = at
    invoice.effective_at = invoice.effective_at or at
    invoice.automatically_finalizes_at = invoice.last_finalization_error = None
    if invoice.amount_due:
        invoice.status = Invoice.Status.OPEN
    else:
        invoice.status, invoice.paid_at, invoice.auto_advance = Invoice.Status.PAID, at, False
