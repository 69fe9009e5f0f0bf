"""Invoices and their lines in the words of pages of the admin."""

from typing import Any

from core.money import format_minor, format_unit_price, plain
from invoices.models import Invoice, InvoiceLine
from invoices.summary import summarize


def shown(invoice: Invoice, lines: list[InvoiceLine]) -> dict[str, Any]:
    """The lines of an invoice, stored or previewed, and what stands below them."""
    summary = [
        {"label": row.label, "words": format_minor(row.amount, invoice.currency), "is_total": row.is_total}
        for row in summarize(invoice, lines)
    ]
    return {"lines": [line_words(line) for line in lines], "summary": summary}


def line_words(line: InvoiceLine) -> dict[str, Any]:
    """A line, stored or previewed, as pages show it."""
    each = line.unit_amount_decimal
    return {
        "line": line,
        "quantity": "–" if line.kind == InvoiceLine.Kind.FLAT else plain(line.quantity),
        "unit_amount": "–" if each is None else format_unit_price(each, line.currency),
        "amount": format_minor(line.amount, line.currency),
        "shares": _shares(line),
        "usage": None if line.usage_quantity is None else plain(line.usage_quantity),
    }


def _shares(line: InvoiceLine) -> list[str]:
    """What of a line's amount is taken off, and what tax is on it."""
    figures = (
        ("discount", -line.discount_total),
        ("credits", -line.credit_total),
        ("tax", line.tax_total),
        ("tax included", line.inclusive_tax_total),
    )
    return [f"{label} {format_minor(amount, line.currency)}" for label, amount in figures if amount]
