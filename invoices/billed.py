"""What invoices and waiting items have billed for licensed slices: what a credit can give back."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from django.db.models import Q

from invoices.models import Invoice, InvoiceItem, InvoiceLine
from pricing.models import Price
from subscriptions.biller import BilledFor
from subscriptions.models import ItemPeriod, SubscriptionItem
from subscriptions.periods import Period

_ITEM = "ii_"


def billed_for(periods: Sequence[ItemPeriod]) -> dict[int, BilledFor]:
    """What was billed for each slice, by its key: not by a line on a void invoice, nor by an item that was deleted."""
    own = [period for period in periods if period.billed_amount is None]
    return _by_lines(own) | _otherwise([period for period in periods if period.billed_amount is not None])


def outstanding_credit(item: SubscriptionItem, *, price: Price, quantity: Decimal, period: Period) -> int | None:
    """The latest proration for the same item, price, quantity and period, if that is a credit."""
    latest = (
        InvoiceItem.objects.filter(
            subscription_item=item,
            price=price,
            quantity=quantity,
            period_start=period.start,
            period_end=period.end,
            proration=True,
        )
        .order_by("-pk")
        .first()
    )
    if latest is None or latest.amount > 0 or (latest.amount == 0 and not latest.credited_lines):
        return None
    return latest.amount


def _by_lines(periods: Sequence[ItemPeriod]) -> dict[int, BilledFor]:
    found: dict[int, list[InvoiceLine]] = defaultdict(list)
    lines = InvoiceLine.objects.filter(item_period__in=periods)
    for line in lines.exclude(invoice__status=Invoice.Status.VOID).order_by("position"):
        assert line.item_period_id is not None, "filtered"
        found[line.item_period_id].append(line)
    return {key: _sum(lines) for key, lines in found.items()}


def _otherwise(periods: Sequence[ItemPeriod]) -> dict[int, BilledFor]:
    """Slices that a change opened: billed by an invoice item, or by what had billed the slice before it."""
    named = {id for period in periods for id in period.billed_by}
    items = {id for id in named if id.startswith(_ITEM)}
    kept = set(InvoiceItem.objects.filter(pk__in=items).values_list("pk", flat=True))
    of_items: dict[str, list[str]] = defaultdict(list)
    billed: set[str] = set()
    for line in InvoiceLine.objects.filter(Q(pk__in=named - items) | Q(invoice_item__in=items)).select_related(
        "invoice"
    ):
        name = line.invoice_item_id or line.pk
        of_items[name].append(line.pk)
        if line.invoice.status != Invoice.Status.VOID:
            billed.add(name)
    waiting = kept - of_items.keys()
    return {period.pk: _carried(period, of_items) for period in periods if set(period.billed_by) & (billed | waiting)}


def _carried(period: ItemPeriod, lines: Mapping[str, Iterable[str]]) -> BilledFor:
    assert period.billed_amount is not None, "selected"
    assert period.billed_starts_at is not None, "a constraint of the database"
    assert period.billed_ends_at is not None, "a constraint of the database"
    return BilledFor(
        amount=period.billed_amount,
        period=Period(period.billed_starts_at, period.billed_ends_at),
        by=tuple(period.billed_by),
        lines=tuple(line for id in period.billed_by for line in lines.get(id, ())),
    )


def _sum(lines: Sequence[InvoiceLine]) -> BilledFor:
    """Lines of one slice, one per charge of its price, and all for the same time."""
    ids = tuple(line.pk for line in lines)
    return BilledFor(
        amount=sum(line.amount - line.discount_total for line in lines),
        period=Period(lines[0].period_start, lines[0].period_end),
        by=ids,
        lines=ids,
    )
