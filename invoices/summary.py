"""What stands below the lines of an invoice: how the subtotal becomes the total, and the total what is to be paid."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from core.money import plain
from invoices.models import Invoice, InvoiceLine
from pricing.models import Discount, TaxRate


@dataclass(frozen=True)
class SummaryRow:
    """One figure, in minor units; `is_total` for what is printed in bold."""

    label: str
    amount: int
    is_total: bool = False


def summarize(invoice: Invoice, lines: Sequence[InvoiceLine]) -> list[SummaryRow]:
    """The figures of an invoice, in the order in which they are made of each other; those that are zero and say nothing
    are left out."""
    rows = [SummaryRow("Subtotal", invoice.subtotal)]
    rows += [SummaryRow(label, -amount) for label, amount in _discounts(lines)]
    rows += [SummaryRow("Credits", -invoice.credit_total)] if invoice.credit_total else []
    rows += [SummaryRow(label, amount) for label, amount in _taxes(lines)]
    rows.append(SummaryRow("Total", invoice.total, is_total=True))
    if invoice.inclusive_tax_total:
        rows.append(SummaryRow("Tax included in the total", invoice.inclusive_tax_total))
    if applied := invoice.amount_due + invoice.pre_payment_credit_notes_amount - invoice.total:
        rows.append(SummaryRow("Applied balance", applied))
    if invoice.pre_payment_credit_notes_amount:
        rows.append(SummaryRow("Credit notes", -invoice.pre_payment_credit_notes_amount))
    if len(rows) > 2:
        rows.append(SummaryRow("Amount due", invoice.amount_due, is_total=True))
    if not invoice.is_draft:
        rows += [SummaryRow("Paid", invoice.amount_paid), SummaryRow("Remaining", invoice.amount_remaining)]
    return rows


def _discounts(lines: Sequence[InvoiceLine]) -> list[tuple[str, int]]:
    sums: Counter[str] = Counter()
    for line in lines:
        for share in line.discount_amounts:
            sums[share["discount"]] += share["amount"]
    known = Discount.objects.select_related("coupon").in_bulk(list(sums)) if sums else {}
    return [(_coupon(known.get(id)), amount) for id, amount in sums.items()]


def _coupon(discount: Discount | None) -> str:
    if discount is None:
        return "Discount"
    coupon = discount.coupon
    off = "" if coupon.percent_off is None else f" ({plain(coupon.percent_off)} % off)"
    return f"{coupon.name or 'Discount'}{off}"


def _taxes(lines: Sequence[InvoiceLine]) -> list[tuple[str, int]]:
    """Taxes on top of the amounts, by rate; those that are inside of them change nothing here."""
    sums: Counter[str] = Counter()
    for line in lines:
        for share in line.tax_amounts:
            if not share["inclusive"]:
                sums[share["tax_rate"]] += share["amount"]
    known = TaxRate.objects.in_bulk(list(sums)) if sums else {}
    return [(f"{known[id].display_name} {plain(known[id].percentage)} %", amount) for id, amount in sums.items()]
