"""Keeps amounts that subscriptions owe until an invoice takes them up."""

from collections.abc import Sequence
from datetime import datetime

from core.ids import new_id
from invoices.models import InvoiceItem
from subscriptions.biller import PendingItem
from subscriptions.models import Subscription


def add_pending(subscription: Subscription, items: Sequence[PendingItem], *, at: datetime) -> list[str]:
    """Store the amounts as pending invoice items; their ids, in the order of the items."""
    rows = [_row(subscription, item, at) for item in items]
    InvoiceItem.objects.bulk_create(rows)
    return [row.pk for row in rows]


def _row(subscription: Subscription, item: PendingItem, at: datetime) -> InvoiceItem:
    return InvoiceItem(
        id=new_id("ii"),
        customer_id=subscription.customer_id,
        subscription=subscription,
        subscription_item=item.subscription_item,
        price=item.price,
        currency=subscription.currency,
        amount=item.amount,
        quantity=item.quantity,
        unit_amount_decimal=item.unit_amount,
        description=item.description,
        formula=item.formula,
        period_start=item.period.start,
        period_end=item.period.end,
        discountable=item.discountable,
        proration=item.proration,
        credited_lines=list(item.credited_lines),
        tax_rates=item.subscription_item.tax_rates,
        tax_behavior=item.price.tax_behavior,
        created_at=at,
    )
