"""Writes the invoices that changes of subscriptions call for (see `subscriptions/biller.py`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from invoices.billed import billed_for, outstanding_credit
from invoices.close import close_period, end_invoice, start_invoice
from invoices.models import Invoice, InvoiceLine
from invoices.pending import add_pending
from pricing.models import Price
from subscriptions.biller import Billed, PendingItem
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem
from subscriptions.periods import Period


class InvoiceBiller:
    """The `Biller` of this project."""

    def bill_start(self, subscription: Subscription, *, at: datetime, prorate: bool) -> None:
        start_invoice(subscription, at=at, prorate=prorate)

    def bill_due(self, subscription: Subscription, *, at: datetime) -> None:
        while close_period(subscription.pk, at) is not None:
            pass

    def bill_end(self, subscription: Subscription, *, at: datetime, invoice_now: bool) -> None:
        end_invoice(subscription, at=at, invoice_now=invoice_now)

    def add_pending(self, subscription: Subscription, items: Sequence[PendingItem], *, at: datetime) -> list[str]:
        return add_pending(subscription, items, at=at)

    def billed_for(self, periods: Sequence[ItemPeriod]) -> Mapping[int, Billed]:
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
