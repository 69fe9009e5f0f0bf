"""Writes computed lines and totals into a draft; the only place that does."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from core.ids import new_id
from invoices.build import Line, total_up
from invoices.gather import terms_snapshot
from invoices.models import Invoice, InvoiceLine
from subscriptions.models import Subscription

LineKey = tuple[int | None, str | None, str, int | None]


def header(subscription: Subscription) -> dict[str, Any]:
    """What an invoice copies from its subscription and customer; copied again at finalization, then frozen."""
    customer = subscription.customer
    return {
        "customer": customer,
        "subscription": subscription,
        "currency": subscription.currency,
        "collection_method": subscription.collection_method,
        "subscription_metadata": subscription.metadata,
        "customer_name": customer.name,
        "customer_email": customer.email,
        "customer_phone": customer.phone,
        "customer_address": customer.address,
        "customer_shipping": customer.shipping,
        "customer_tax_exempt": customer.tax_exempt,
        "custom_fields": customer.invoice_custom_fields,
        "footer": customer.invoice_footer,
    }


def due_date(subscription: Subscription, created: datetime) -> datetime | None:
    """When an invoice that is sent falls due: days from its creation (as Stripe counts them)."""
    days = subscription.days_until_due
    return None if days is None else created + timedelta(days=days)


def write_draft(invoice: Invoice, lines: Sequence[Line]) -> None:
    """Replace the lines of a draft and set its totals; a line that says the same thing again keeps its id.

    The caller holds the customer's lock. Raises AmountTooLarge.
    """
    assert invoice.is_draft, "only a draft can be written"
    kept = {_key_of_row(row): row.pk for row in invoice.lines.all()}
    invoice.lines.all().delete()
    InvoiceLine.objects.bulk_create(
        _row(invoice, line, position, kept.get(_key(line))) for position, line in enumerate(lines)
    )
    totals = total_up(lines)
    invoice.subtotal, invoice.total, invoice.amount_due = totals.subtotal, totals.total, totals.amount_due
    invoice.save(update_fields=["subtotal", "total", "amount_due"])


def unsaved_lines(invoice: Invoice, lines: Sequence[Line]) -> list[InvoiceLine]:
    """The rows that `write_draft` would write, for a preview."""
    return [_row(invoice, line, position, None) for position, line in enumerate(lines)]


def _key(line: Line) -> LineKey:
    return line.billable.item_period, line.billable.item, line.charge.kind, line.charge.tier


def _key_of_row(row: InvoiceLine) -> LineKey:
    return row.item_period_id, row.subscription_item_id, row.kind, row.tier


def _row(invoice: Invoice, line: Line, position: int, id: str | None) -> InvoiceLine:
    billable, charge = line.billable, line.charge
    read = billable.usage
    return InvoiceLine(
        id=id or new_id("il"),
        invoice=invoice,
        position=position,
        subscription_item_id=billable.item,
        item_period_id=billable.item_period,
        price_id=billable.price,
        product=billable.product,
        kind=charge.kind,
        tier=charge.tier,
        quantity=charge.quantity,
        unit_amount_decimal=charge.unit_amount,
        amount=line.amount,
        currency=billable.currency,
        description=line.description,
        formula=line.formula,
        period_start=billable.period.start,
        period_end=billable.period.end,
        proration=line.proration,
        discountable=not line.proration,
        metadata=billable.metadata,
        terms=terms_snapshot(billable.terms),
        meter_id=billable.meter,
        usage_quantity=read.quantity if read else None,
        usage_events=read.events if read else None,
        usage_snapshot=read.snapshot.token if read else None,
        usage_read_at=read.snapshot.taken_at if read else None,
    )
