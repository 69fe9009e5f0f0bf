"""Finalizes drafts: reads the usage for the last time, gives the number, and freezes the invoice."""

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from core.errors import InvalidRequest, NotFound
from customers.locks import lock_customer
from invoices import gather
from invoices.build import Billable, build_lines
from invoices.models import Invoice, InvoiceLine
from invoices.write import write_draft
from subscriptions.models import Subscription

COPIED_FROM_CUSTOMER = ("name", "email", "phone", "address", "shipping", "tax_exempt")


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
        return finalize_draft(invoice, at=at)


def finalize_draft(invoice: Invoice, *, at: datetime) -> Invoice:
    """Freeze a draft; one with nothing to pay is paid at once. The caller holds the customer's lock."""
    _reread_usage(invoice)
    customer = invoice.customer
    for name in COPIED_FROM_CUSTOMER:
        setattr(invoice, f"customer_{name}", getattr(customer, name))
    invoice.number = f"{customer.invoice_prefix}-{customer.next_invoice_sequence:04d}"
    customer.next_invoice_sequence += 1
    customer.save(update_fields=["next_invoice_sequence"])
    invoice.finalized_at = invoice.effective_at = at
    invoice.automatically_finalizes_at = None
    invoice.ending_balance = 0
    if invoice.amount_due:
        invoice.status = Invoice.Status.OPEN
    else:
        invoice.status, invoice.paid_at, invoice.auto_advance = Invoice.Status.PAID, at, False
    invoice.save()
    return invoice


def _reread_usage(invoice: Invoice) -> None:
    """Build the lines of a draft again, with the usage that has arrived since it was drafted."""
    if invoice.subscription is None:
        return
    write_draft(invoice, build_lines(draft_billables(invoice, invoice.subscription)))


def draft_billables(invoice: Invoice, subscription: Subscription) -> list[Billable]:
    """What a draft bills, read again: the item periods of its lines, in the order of the lines."""
    subscription.customer = invoice.customer
    lines = invoice.lines.select_related(
        "item_period__item", "item_period__price__product", "item_period__price__meter"
    )
    first_lines: dict[int, InvoiceLine] = {}
    for line in lines.filter(item_period__isnull=False).order_by("position"):
        assert line.item_period_id is not None, "filtered"
        first_lines.setdefault(line.item_period_id, line)
    return [_billable(line, subscription) for line in first_lines.values()]


def _billable(line: InvoiceLine, subscription: Subscription) -> Billable:
    period = line.item_period
    assert period is not None, "filtered"
    if period.price.is_metered:
        return gather.metered(period, subscription)
    billable = gather.licensed(period, subscription)
    return billable if line.proration else replace(billable, whole=None)
