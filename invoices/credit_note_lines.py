"""The lines of a credit note, from what is asked and from what is left of the lines of the invoice. Stores nothing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from api.metadata import merge
from core.errors import InvalidRequest, ParameterMissing, ParametersExclusive, ResourceMissing
from invoices.crediting import Left, Share, Tax, Wanted, credit_line, custom_share, spread, what_is_left
from invoices.models import CreditNote, CreditNoteLine, Invoice, InvoiceLine
from invoices.taxes import TaxRate
from pricing.tax_rates import find_tax_rates

LINE_OPTIONS = {
    "invoice_line_item": {"invoice_line_item", "quantity", "amount"},
    "custom_line_item": {"description", "quantity", "unit_amount", "unit_amount_decimal", "tax_rates"},
}


class NotCreditable(InvalidRequest):
    """The invoice is in a state, or so far credited, that no such note can be issued."""


@dataclass(frozen=True)
class Asked:
    """What a caller asks for: either `amount` or `lines`, and where the part that is paid already goes."""

    amount: int | None = None
    lines: Sequence[Mapping[str, Any]] | None = None
    refund_amount: int = 0
    credit_amount: int = 0
    out_of_band_amount: int = 0
    rest_to: str | None = None  # the name of one of these two, which gets whatever is paid already
    reason: str | None = None
    memo: str = ""
    effective_at: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def total_left(invoice: Invoice) -> int:
    """What of an invoice's total can still be credited."""
    credited: int = invoice.credit_notes.issued().aggregate(sum=Sum("total"))["sum"] or 0
    return max(invoice.total - credited, 0)


def lines_left(invoice: Invoice) -> dict[str, tuple[InvoiceLine, Left]]:
    """Each line of an invoice, by id, with what is not credited of it."""
    before: dict[str | None, list[tuple[Share, Decimal | None]]] = defaultdict(list)
    issued = CreditNoteLine.objects.filter(
        credit_note__invoice=invoice, credit_note__status=CreditNote.Status.ISSUED, invoice_line__isnull=False
    )
    for line in issued:
        before[line.invoice_line_id].append((stored_share(line), line.quantity))
    return {
        line.pk: (line, what_is_left(line.pk, stored_share(line), line.quantity, before[line.pk]))
        for line in invoice.lines.order_by("position")
    }


def stored_share(line: InvoiceLine | CreditNoteLine) -> Share:
    """What a stored line says of itself."""
    return Share(
        line.amount,
        tuple((one["discount"], one["amount"]) for one in line.discount_amounts),
        tuple((one["credit_grant"], one["amount"]) for one in line.credit_amounts),
        tuple(
            Tax(one["tax_rate"], one["inclusive"], one["reason"], one["amount"], one["taxable_amount"])
            for one in line.tax_amounts
        ),
    )


def note_lines(invoice: Invoice, asked: Asked) -> list[CreditNoteLine]:
    """The lines of a note, not stored. Raises InvalidRequest and its kin, at the parameter that is wrong."""
    if (asked.amount is None) == (asked.lines is None):
        if asked.lines is None:
            raise ParameterMissing("amount", "You must provide either amount or lines.")
        raise ParametersExclusive("You may only specify one of these parameters: amount, lines.", param="amount")
    left = lines_left(invoice)
    if asked.lines is None:
        assert asked.amount is not None, "checked above"
        if asked.amount > (rest := total_left(invoice)):
            raise NotCreditable(
                f"The credit notes of an invoice may not exceed its total: {rest} is left.", param="amount"
            )
        found = spread(asked.amount, [each for _, each in left.values()])
        return [_row(n, left[each.line][0], share) for n, (each, share) in enumerate(found)]
    if not asked.lines:
        raise ParameterMissing("lines", "A credit note needs at least one line.")
    rows: list[CreditNoteLine] = []
    for n, given in enumerate(asked.lines):
        _check_options(given, f"lines[{n}]")
        if given["type"] == "custom_line_item":
            rows.append(_custom(n, given, invoice))
        else:
            rows.append(_credited(n, given, left, rows))
    return rows


def _check_options(given: Mapping[str, Any], at: str) -> None:
    """Each type of line has parameters of its own."""
    kind = given["type"]
    for name in given.keys() - LINE_OPTIONS[kind] - {"type", "metadata"}:
        raise InvalidRequest(f"{name} is not valid for a line of type {kind}.", param=f"{at}[{name}]")
    if kind == "invoice_line_item":
        if "invoice_line_item" not in given:
            raise ParameterMissing(f"{at}[invoice_line_item]")
        choice = ("quantity", "amount")
    else:
        for name in ("description", "quantity"):
            if name not in given:
                raise ParameterMissing(f"{at}[{name}]")
        choice = ("unit_amount", "unit_amount_decimal")
    _exactly_one(given, choice, at)


def _exactly_one(given: Mapping[str, Any], names: Sequence[str], at: str) -> None:
    found = [name for name in names if name in given]
    if not found:
        raise ParameterMissing(f"{at}[{names[0]}]", f"You must provide {' or '.join(names)}.")
    if len(found) > 1:
        raise ParametersExclusive(
            f"You may only specify one of these parameters: {', '.join(names)}.", param=f"{at}[{names[0]}]"
        )


def _credited(
    n: int, given: Mapping[str, Any], left: Mapping[str, tuple[InvoiceLine, Left]], before: Sequence[CreditNoteLine]
) -> CreditNoteLine:
    id = given["invoice_line_item"]
    if id not in left:
        raise ResourceMissing("invoice line item", id, param=f"lines[{n}][invoice_line_item]")
    if any(row.invoice_line_id == id for row in before):
        raise InvalidRequest(f"The line {id} is given twice.", param=f"lines[{n}][invoice_line_item]")
    line, rest = left[id]
    name = "quantity" if "quantity" in given else "amount"
    share = credit_line(Wanted(rest, f"lines[{n}][{name}]", given.get("quantity"), given.get("amount")))
    return _row(n, line, share, quantity=given.get("quantity"), metadata=merge({}, given.get("metadata")))


def _custom(n: int, given: Mapping[str, Any], invoice: Invoice) -> CreditNoteLine:
    ids = given.get("tax_rates") or []
    rates = find_tax_rates(ids, param=f"lines[{n}][tax_rates]")
    unit = Decimal(given.get("unit_amount_decimal", given.get("unit_amount")))
    share = custom_share(
        Decimal(given["quantity"]),
        unit,
        tuple(TaxRate(rate.pk, rate.percentage, rate.inclusive) for rate in rates),
        tax_exempt=invoice.customer_tax_exempt,
    )
    return CreditNoteLine(
        position=n,
        description=given["description"],
        quantity=given["quantity"],
        unit_amount_decimal=unit,
        tax_rates=ids,
        metadata=merge({}, given.get("metadata")),
        **_columns(share),
    )


def _row(n: int, line: InvoiceLine, share: Share, **fields: Any) -> CreditNoteLine:
    by_quantity = fields.get("quantity") is not None
    row = CreditNoteLine(
        position=n,
        invoice_line=line,
        description=line.description,
        unit_amount_decimal=line.unit_amount_decimal if by_quantity else None,
        tax_rates=line.tax_rates,
        **fields,
        **_columns(share),
    )
    # Each share of the line keeps its place, and the transaction that has booked it.
    for mine, of_line in zip(row.credit_amounts, line.credit_amounts, strict=True):
        mine["transaction"] = of_line["transaction"]
    return row


def _columns(share: Share) -> dict[str, Any]:
    return {
        "amount": share.amount,
        "discount_amount": share.discount_amount,
        "credit_total": share.credit_total,
        "tax_total": share.tax_total,
        "inclusive_tax_total": share.inclusive_tax_total,
        "discount_amounts": [{"discount": id, "amount": amount} for id, amount in share.discounts],
        "credit_amounts": [{"credit_grant": id, "amount": amount} for id, amount in share.credits],
        "tax_amounts": [
            {
                "tax_rate": tax.rate,
                "amount": tax.amount,
                "taxable_amount": tax.taxable_amount,
                "inclusive": tax.inclusive,
                "reason": tax.reason,
            }
            for tax in share.taxes
        ],
    }
