"""Closing as it is written first: one subscription after another, each row by the ORM, in a transaction of its own."""

from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Sum

from invoices.models import Invoice, InvoiceLine
from meters.models import UsageDay
from pricing.rating import rate
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.periods import next_boundary


def close_some(count: int, at: datetime) -> int:
    due = ItemPeriod.objects.due(at).values_list("item__subscription_id", flat=True).distinct()
    for subscription_id in list(due.order_by("item__subscription_id")[:count]):
        close_one(Subscription.objects.get(pk=subscription_id), at)
    return count


@transaction.atomic
def close_one(subscription: Subscription, at: datetime) -> None:
    customer = subscription.customer
    invoice = Invoice.objects.create(
        customer=customer,
        subscription=subscription,
        billing_reason="subscription_cycle",
        currency=subscription.currency,
        collection_method=subscription.collection_method,
        period_start=at,
        period_end=at,
        created_at=at,
    )
    position = 0
    for item in subscription.items.all():
        period = item.periods.get(closed_at=None)
        days = UsageDay.objects.filter(
            customer_ref=customer.ref, meter_ref=item.price.meter.ref, day__gte=period.starts_at, day__lt=period.ends_at
        )
        used = days.aggregate(total=Sum("total"))["total"] or Decimal(0)
        for charge in rate(used, item.price.terms()):
            InvoiceLine.objects.create(
                invoice=invoice,
                position=position,
                subscription_item=item,
                item_period=period,
                price=item.price,
                kind=charge.kind,
                tier=charge.tier,
                quantity=charge.quantity,
                unit_amount_decimal=charge.unit_amount,
                amount=charge.amount,
                currency=subscription.currency,
                description=item.price.product.name,
                formula=charge.formula,
                period_start=period.starts_at,
                period_end=period.ends_at,
                product=item.price.product_id,
                meter=item.price.meter,
                usage_quantity=used,
                usage_events=1,
                usage_snapshot="1:1:",
                usage_read_at=at,
            )
            invoice.subtotal += charge.amount
            position += 1
        period.closed_at, period.outcome = at, "invoiced"
        period.save()
        end = next_boundary(subscription.anchor, item.cadence, at)
        ItemPeriod.objects.create(item=item, price=item.price, starts_at=at, ends_at=end, bills_at=end)
    customer.next_invoice_sequence += 1
    customer.save()
    invoice.total = invoice.amount_due = invoice.subtotal
    invoice.number = f"{customer.invoice_prefix}-{customer.next_invoice_sequence:04d}"
    invoice.status, invoice.finalized_at, invoice.ending_balance = "open", at, 0
    if not invoice.amount_due:
        invoice.status, invoice.paid_at = "paid", at
    invoice.save()
