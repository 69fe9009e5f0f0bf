"""What final invoices have billed for usage, and how their discounts lower whatever else the same periods come to."""

from collections import defaultdict
from collections.abc import Collection

from invoices.corrections import Original
from invoices.models import InvoiceLine
from invoices.modifiers import Modifiers
from invoices.totals import Amount, Discount, total_up
from subscriptions.periods import Period

PROBE = 10**6  # what of it a percentage leaves says how it lowers any amount


def originals(lines: Collection[InvoiceLine]) -> dict[str, Original]:
    """What the invoices of these lines have billed for the same usage, by line."""
    gross: dict[tuple[str, int | None], int] = defaultdict(int)
    net: dict[tuple[str, int | None], int] = defaultdict(int)
    for line in InvoiceLine.objects.filter(
        item_period__in=[line.item_period_id for line in lines],
        invoice__in=[line.invoice_id for line in lines],
        kind__in=[InvoiceLine.Kind.UNIT, InvoiceLine.Kind.FLAT],
    ):
        key = line.invoice_id, line.item_period_id
        gross[key] += line.amount
        net[key] += line.amount - line.discount_total
    keys = {line.pk: (line.invoice_id, line.item_period_id) for line in lines}
    found = {line: Original(gross[key], net[key], (net[key], gross[key])) for line, key in keys.items()}
    free = [line for line in lines if not found[line.pk].gross]
    return found | {line.pk: Original(0, 0, kept) for line, kept in zip(free, _kept(free), strict=True)}


def _kept(lines: Collection[InvoiceLine]) -> list[tuple[int, int]]:
    """What the percentages that reached these lines, which had nothing to lower, would have left of an amount."""
    if not lines:
        return []
    owners = [
        owner
        for line in lines
        for owner in (
            line.invoice_id,
            line.invoice.subscription_id,
            line.invoice.customer_id,
            line.subscription_item_id,
        )
        if owner
    ]
    modifiers = Modifiers(owners, (), since=min(line.period_start for line in lines))
    return [_left_of_probe(line, modifiers) for line in lines]


def _left_of_probe(line: InvoiceLine, modifiers: Modifiers) -> tuple[int, int]:
    invoice, period = line.invoice, Period(line.period_start, line.period_end)
    owners = (invoice.pk, invoice.subscription_id, invoice.customer_id)
    owner, discounts = modifiers.of_invoice(owners, line.currency)
    own = modifiers.discounts(line.subscription_item_id or "", line.currency, period, in_arrears=True)
    missed = modifiers.missed(owner, line.currency, period, in_arrears=True)
    probe = Amount(PROBE, line.product, discounts=_percentages(own), missed=missed)
    return PROBE - total_up([probe], discounts=_percentages(discounts)).discount_total, PROBE


def _percentages(discounts: Collection[Discount]) -> tuple[Discount, ...]:
    return tuple(discount for discount in discounts if discount.percent_off is not None)
