"""Filters by which the templates write money, quantities and times."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import money
from credits.models import CreditGrant
from invoices.models import Invoice, InvoiceLine
from invoices.summary import SummaryRow, summarize
from portal import credit_words, formats
from subscriptions.periods import Period

register = template.Library()

ADDRESS_LINES = ("line1", "line2", ("postal_code", "city"), "state", "country")


@register.filter
def quantity(value: Decimal | int) -> str:
    return formats.group(value)


@register.filter(name="money")
def money_(amount: int, currency: str) -> str:
    return money.format_minor(amount, currency)


@register.filter
def unit_price(amount: Decimal, currency: str) -> str:
    return money.format_unit_price(amount, currency)


@register.filter
def instant(at: datetime) -> SafeString:
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), formats.instant(at))


@register.filter
def day(at: datetime) -> str:
    return formats.day(at)


@register.filter
def hour(at: datetime) -> str:
    return formats.hour_label(at)


@register.filter
def exact_time(at: datetime) -> str:
    return formats.exact_time(at)


@register.filter
def span(period: Period) -> str:
    return formats.span(period)


@register.simple_tag
def span_of(start: datetime, end: datetime) -> str:
    return formats.span(Period(start, end))


@register.filter
def address_lines(address: Mapping[str, Any] | None) -> list[str]:
    """A frozen address as the lines of an envelope; what is not set is left out."""
    lines = []
    for part in ADDRESS_LINES:
        names = (part,) if isinstance(part, str) else part
        text = " ".join(str((address or {}).get(name) or "") for name in names).strip()
        lines.append(text)
    return [line for line in lines if line]


@register.simple_tag
def summary_of(invoice: Invoice, lines: Sequence[InvoiceLine]) -> list[SummaryRow]:
    """How the lines of an invoice, stored or previewed, become what is to be paid."""
    return summarize(invoice, lines)


@register.simple_tag
def paid_by(
    line: InvoiceLine, grants: Mapping[str, CreditGrant], left: Mapping[str, Decimal] | str = ""
) -> list[dict[str, Any]]:
    """What credits pay of a line: by grant, in words; what it has `left` then, where that is known."""
    paid = []
    for share in line.credit_amounts:
        grant = grants.get(share["credit_grant"])
        rest = left.get(share.get("transaction", "")) if isinstance(left, Mapping) else None
        if grant is not None:
            paid.append(
                {
                    "grant": grant,
                    "name": credit_words.name_of(grant),
                    "amount": money.format_minor(share["amount"], line.currency),
                    "units": credit_words.written_of(grant, Decimal(share["quantity"])) if "quantity" in share else "",
                    "left": "" if rest is None else credit_words.written_of(grant, rest),
                }
            )
    return paid
