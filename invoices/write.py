"""Stores computed invoices: the only place that writes lines and totals. Many at once, in few statements."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.copying import copy_models, copy_values
from core.ids import new_ids
from core.money import plain
from customers.models import Customer
from invoices.build import Billable, Built, Content, Line, build_invoice
from invoices.credits_used import book_credits
from invoices.models import Invoice, InvoiceItem, InvoiceLine
from invoices.told import tell_made
from invoices.totals import LineTotals
from subscriptions.models import Subscription

LineKey = tuple[Any, ...]
Values = dict[str, Any]
NO_SHARES: Values = {
    "discount_amounts": [],
    "credit_amounts": [],
    "tax_amounts": [],
    "discount_total": 0,
    "credit_total": 0,
    "tax_total": 0,
    "inclusive_tax_total": 0,
}
# What a stored line must agree in with a computed one to be left as it is.
COMPARED = (
    "item_period_id", "invoice_item_id", "kind", "tier", "revision", "amount", "quantity", "description",
    "discount_amounts", "credit_amounts", "tax_amounts", "usage_quantity", "usage_events", "period_start", "period_end",
    "price_id", "unit_amount_decimal", "formula", "discountable", "tax_rates", "metadata",
)  # fmt: skip


@dataclass(frozen=True)
class Computed:
    """An invoice and what it is to say."""

    invoice: Invoice
    built: Built


def new_invoice(
    customer: Customer, subscription: Subscription | None, reason: str, *, at: datetime, **fields: Any
) -> Invoice:
    """An invoice that is not stored yet, with copies of what it shows of its customer; these are taken again when it
    is finalized, and then frozen."""
    return Invoice(
        customer=customer,
        subscription=subscription,
        billing_reason=reason,
        created_at=at,
        **(copied_from(customer) | (_of_subscription(subscription, at) if subscription else {}) | fields),
    )


def computed_invoice(invoice: Invoice, content: Content) -> Computed:
    """Compute what an invoice says, and let its own row say it. Raises AmountTooLarge."""
    built = build_invoice(content)
    set_totals(invoice, built)
    return Computed(invoice, built)


def copied_from(customer: Customer) -> dict[str, Any]:
    return {
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


def set_totals(invoice: Invoice, built: Built) -> None:
    """Let an invoice say what was computed, as far as it is in its own row."""
    totals, settlement = built.totals, built.settlement
    invoice.subtotal, invoice.total = totals.subtotal, totals.total
    invoice.subtotal_excluding_tax = totals.subtotal_excluding_tax
    invoice.discount_total, invoice.credit_total = totals.discount_total, totals.credit_total
    invoice.tax_total, invoice.inclusive_tax_total = totals.tax_total, totals.inclusive_tax_total
    invoice.starting_balance, invoice.amount_due = settlement.starting_balance, settlement.amount_due


TOTALS = (
    "subtotal", "subtotal_excluding_tax", "total", "discount_total", "credit_total", "tax_total",
    "inclusive_tax_total", "starting_balance", "amount_due",
)  # fmt: skip


def insert_invoices(computed: Sequence[Computed]) -> None:
    """Store new invoices with their lines, and give them the invoice items that they bill.

    Lines and items come first: those of an invoice that is final already could not be added afterwards.
    """
    lines = [(each.invoice, line) for each in computed for line in _lines(each)]
    _name_transactions(line for invoice, line in lines if invoice.finalized_at)
    copy_values(InvoiceLine, [line for _, line in lines])
    _take_up_items(computed)
    copy_models(Invoice, [each.invoice for each in computed])
    book_credits([each.invoice for each in computed if each.built.totals.credits])
    tell_made([each.invoice for each in computed])


def rewrite_drafts(computed: Sequence[Computed], *, final: bool = False) -> None:
    """Replace the lines of stored drafts and set their totals, not stored here; a line that says the same thing again
    keeps its id, and an invoice of which nothing has changed keeps its lines. `final`: for the last time."""
    stored: dict[str, list[InvoiceLine]] = defaultdict(list)
    for line in InvoiceLine.objects.filter(invoice__any_of=[each.invoice.pk for each in computed]).order_by("position"):
        stored[line.invoice_id].append(line)
    written: list[Values] = []
    replaced: list[Invoice] = []
    for each in computed:
        assert each.invoice.is_draft, "only a draft can be written"
        before = stored[each.invoice.pk]
        after = _lines(each, before)
        if final:
            _name_transactions(after)
        if [[getattr(line, name) for name in COMPARED] for line in before] != [
            [line[name] for name in COMPARED] for line in after
        ]:
            replaced.append(each.invoice)
            written += after
    InvoiceLine.objects.filter(invoice__in=replaced).delete()
    copy_values(InvoiceLine, written)
    _take_up_items(computed)


def rows(computed: Computed, before: Sequence[InvoiceLine] = ()) -> list[InvoiceLine]:
    """The lines of an invoice, not stored; one that was there `before` keeps its id."""
    return [InvoiceLine(**line) for line in _lines(computed, before)]


def _of_subscription(subscription: Subscription, at: datetime) -> dict[str, Any]:
    settings = subscription.invoice_settings
    return {
        "currency": subscription.currency,
        "collection_method": subscription.collection_method,
        "subscription_metadata": subscription.metadata,
        "default_tax_rates": subscription.default_tax_rates,
        "due_date": due_date(subscription, at),
        **{name: settings[name] for name in ("description", "footer", "custom_fields") if settings.get(name)},
    }


def _take_up_items(computed: Sequence[Computed]) -> None:
    for each in computed:
        items = [line.source.invoice_item for line in each.built.lines if not isinstance(line.source, Billable)]
        if items:
            InvoiceItem.objects.filter(pk__in=items, invoice=None).update(invoice=each.invoice)


def _lines(each: Computed, before: Sequence[InvoiceLine] = ()) -> list[Values]:
    kept = {(row.item_period_id, row.invoice_item_id, row.kind, row.tier): row.pk for row in before}
    lines = zip(each.built.lines, each.built.totals.lines, strict=True)
    made = [_line(each.invoice, line, totals, place) for place, (line, totals) in enumerate(lines)]
    for line, id in zip(made, new_ids("il", len(made)), strict=True):
        line["id"] = kept.get((line["item_period_id"], line["invoice_item_id"], line["kind"], line["tier"]), id)
    return made


def _line(invoice: Invoice, line: Line, totals: LineTotals, position: int) -> Values:
    """A line as it is stored, by attribute; without its id."""
    source, price = line.source, line.source.price
    billable = source if isinstance(source, Billable) else None
    item = None if isinstance(source, Billable) else source
    period = billable.item_period if billable else None
    invoice_item = item.invoice_item if item else None
    read = billable.usage if billable else None
    return {
        "invoice_id": invoice.pk,
        "position": position,
        "subscription_item_id": source.item,
        "item_period_id": period,
        "invoice_item_id": invoice_item,
        "price_id": price.id if price else None,
        "product": price.product if price else None,
        "terms": price.kept if price else None,
        "kind": line.kind,
        "tier": line.tier,
        "revision": billable.revision if billable else 0,
        "quantity": line.quantity,
        "unit_amount_decimal": line.unit_amount,
        "amount": line.amount,
        "currency": invoice.currency,
        "description": line.description,
        "formula": line.formula,
        "period_start": source.period.start,
        "period_end": source.period.end,
        "proration": line.proration,
        "discountable": line.discountable,
        "metadata": source.metadata,
        "tax_rates": [rate.id for rate in source.tax_rates],
        "meter_id": price.meter.pk if read and price and price.meter else None,
        "usage_quantity": read.quantity if read else None,
        "usage_events": read.events if read else None,
        "usage_snapshot": read.snapshot.token if read else None,
        "usage_read_at": read.snapshot.taken_at if read else None,
        **_shares(totals),
    }


def _shares(totals: LineTotals) -> Values:
    if not (totals.discounts or totals.credits or totals.taxes):
        return NO_SHARES
    units = dict(totals.units)
    return {
        "discount_amounts": [{"discount": id, "amount": amount} for id, amount in totals.discounts],
        "credit_amounts": [_credit(id, amount, units.get(id)) for id, amount in totals.credits],
        "tax_amounts": [
            {
                "tax_rate": tax.rate.id,
                "amount": tax.amount,
                "taxable_amount": tax.taxable_amount,
                "inclusive": tax.rate.inclusive,
                "reason": tax.reason,
            }
            for tax in totals.taxes
        ],
        "discount_total": sum(amount for _, amount in totals.discounts),
        "credit_total": sum(amount for _, amount in totals.credits),
        "tax_total": sum(tax.amount for tax in totals.taxes if not tax.rate.inclusive),
        "inclusive_tax_total": sum(tax.amount for tax in totals.taxes if tax.rate.inclusive),
    }


def _name_transactions(lines: Iterable[Values]) -> None:
    """Give the transactions of credits their ids, so that a final invoice says by which it was paid."""
    shares = [share for line in lines for share in line["credit_amounts"]]
    for share, id in zip(shares, new_ids("cbtxn", len(shares)), strict=True):
        share["transaction"] = id


def _credit(grant: str, amount: int, units: Decimal | None) -> Values:
    """What a grant pays; for one of units, with how many of them."""
    return {"credit_grant": grant, "amount": amount} | ({} if units is None else {"quantity": plain(units)})
