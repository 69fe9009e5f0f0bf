"""Which discounts an invoice has, besides those of its lines, on the wire."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from invoices.models import InvoiceLine
from pricing.models import Discount

OF_LINES = ("subscription_item", "invoice_item", "invoice_line")
Shares = Iterable[Mapping[str, Any]]


def discounts_by_invoice(invoices: Sequence[str]) -> Mapping[str, list[str]]:
    """The ids of the discounts that stand on each invoice, or apply to it from its subscription or customer."""
    lines = InvoiceLine.objects.filter(invoice__in=invoices, discount_total__gt=0).order_by("invoice", "position")
    shares = lines.values_list("invoice", "discount_amounts")
    found: dict[str, dict[str, None]] = {id: {} for id in invoices}
    for discount in Discount.objects.of(invoices).current().order_by("position", "id"):
        found[discount.owner][discount.pk] = None
    pairs = [(invoice, id) for invoice, each in shares for id in _ids(each)]
    whole = _of_whole_invoices(id for _, id in pairs)
    for invoice, id in pairs:
        if id in whole:
            found[invoice][id] = None
    return {invoice: list(ids) for invoice, ids in found.items()}


def discounts_of_lines(lines: Iterable[InvoiceLine]) -> list[str]:
    """The same for an invoice that is not stored, from its lines."""
    ids = list(dict.fromkeys(id for line in lines for id in _ids(line.discount_amounts)))
    whole = _of_whole_invoices(ids)
    return [id for id in ids if id in whole]


def _ids(shares: Shares) -> list[str]:
    return [share["discount"] for share in shares]


def _of_whole_invoices(ids: Iterable[str]) -> set[str]:
    rows = Discount.objects.filter(pk__in=set(ids), **dict.fromkeys(OF_LINES))
    return set(rows.values_list("pk", flat=True))
