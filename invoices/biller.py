"""Writes the invoices that changes of subscriptions call for (see `subscriptions/biller.py`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from core.ids import new_id
from invoices.billed import billed_for, outstanding_credit
from invoices.close import close_period
from invoices.immediate import end_invoice, invoice_now, start_invoice
from invoices.models import Invoice, InvoiceItem, InvoiceLine
from pricing.models import Price
from subscriptions.biller import BilledFor, PendingItem
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem
from subscriptions.periods import Period


class InvoiceBiller:
    """The `Biller` of this project."""

    def bill_start(self, subscription: Subscription, *, at: datetime) -> None:
        start_invoice(subscription, at=at)

    def bill_due(self, subscription: Subscription, *, at: datetime) -> None:
        due = ItemPeriod.objects.due(at).filter(item__subscription=subscription)
        while due.exists():
            close_period(subscription.pk, at)

    def bill_end(self, subscription: Subscription, *, at: datetime, invoice_now: bool) -> None:
        end_invoice(subscription, at=at, invoice_now=invoice_now)

    def add_pending(self, subscription: Subscription, items: Sequence[PendingItem], *, at: datetime) -> list[str]:
        rows = [_pending(subscription, item, at) for item in items]
        InvoiceItem.objects.bulk_create(rows)
        return [row.pk for row in rows]

    def invoice_now(
        self,
        subscription: Subscription,
        *,
        at: datetime,
        slices: Sequence[ItemPeriod] = (),
        proration_date: datetime | None = None,
    ) -> None:
        invoice_now(subscription, at=at, slices=slices, proration_date=proration_date)

    def billed_for(self, periods: Sequence[ItemPeriod]) -> Mapping[int, BilledFor]:
        return billed_for(periods)

    def outstanding_credit(
        self, item: SubscriptionItem, *, price: Price, quantity: Decimal, period: Period
    ) -> int | None:
        return outstanding_credit(item, price=price, quantity=quantity, period=period)

    def reads_again(self, period: ItemPeriod) -> bool:
        return InvoiceLine.objects.filter(item_period=period, invoice__status=Invoice.Status.DRAFT).exists()

    def invoices_of(self, periods: Sequence[ItemPeriod]) -> Mapping[int, str]:
        lines = InvoiceLine.objects.filter(item_period__in=periods)
        return dict(lines.values_list("item_period", "invoice"))


def _pending(subscription: Subscription, item: PendingItem, at: datetime) -> InvoiceItem:
    return InvoiceItem(
        id=new_id("ii"),
        customer=subscription.customer,
        subscription=subscription,
        subscription_item_id=item.subscription_item,
        price_id=item.price,
        currency=subscription.currency,
        amount=item.amount,
        quantity=item.quantity,
        unit_amount_decimal=item.unit_amount,
        description=item.description,
        formula=item.formula,
        period_start=item.period.start,
        period_end=item.period.end,
        proration=item.proration,
        discountable=item.discountable,
        credited_lines=list(item.credited_lines),
        tax_rates=list(item.tax_rates),
        created_at=at,
    )
