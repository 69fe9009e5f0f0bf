"""Writes the invoices that changes of subscriptions call for (see `subscriptions/biller.py`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from core.ids import new_id
from customers.models import Customer
from invoices.billed import billed_for, outstanding_credit
from invoices.close import close_period
from invoices.immediate import end_invoice, invoice_now, start_invoice
from invoices.models import Invoice, InvoiceItem, InvoiceLine
from pricing.discounts import Owner, set_discounts
from pricing.models import Price
from pricing.redeem import Sale
from subscriptions.biller import BilledFor, PendingItem
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem
from subscriptions.periods import Period
from webhooks.events import record_many


class InvoiceBiller:
    """The `Biller` of this project."""

    def bill_start(self, subscription: Subscription, *, at: datetime, as_draft: bool = False) -> None:
        start_invoice(subscription, at=at, as_draft=as_draft)

    def bill_due(self, subscription: Subscription, *, at: datetime) -> None:
        due = ItemPeriod.objects.due(at).filter(item__subscription=subscription)
        while due.exists():
            close_period(subscription.pk, at)

    def bill_end(self, subscription: Subscription, *, at: datetime, invoice_now: bool) -> None:
        end_invoice(subscription, at=at, invoice_now=invoice_now)

    def add_pending(self, subscription: Subscription, items: Sequence[PendingItem], *, at: datetime) -> list[str]:
        rows = [_pending(subscription, item, at) for item in items]
        InvoiceItem.objects.bulk_create(rows)
        for row, item in zip(rows, items, strict=True):
            if item.discounts:
                _discount(subscription, row, item, at)
        record_many("invoiceitem.created", "invoiceitem", rows, at=at)
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

    def has_bought(self, customer: Customer) -> bool:
        return Invoice.objects.finalized().filter(customer=customer).exclude(status=Invoice.Status.VOID).exists()

    def reads_again(self, period: ItemPeriod) -> bool:
        return InvoiceLine.objects.filter(item_period=period, invoice__status=Invoice.Status.DRAFT).exists()

    def invoices_of(self, periods: Sequence[ItemPeriod]) -> Mapping[int, str]:
        lines = InvoiceLine.objects.filter(item_period__in=periods)
        return dict(lines.order_by("revision").values_list("item_period", "invoice"))


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
        metadata=dict(item.metadata),
        created_at=at,
    )


def _discount(subscription: Subscription, row: InvoiceItem, item: PendingItem, at: datetime) -> None:
    set_discounts(
        Owner(subscription.customer_id, "invoice_item", row.pk),
        item.discounts,
        sale=Sale(currency=row.currency, amount=row.amount),
        at=at,
        ancestors=[subscription.customer_id, subscription.pk],
        param=f"{item.param}[discounts]",
    )
