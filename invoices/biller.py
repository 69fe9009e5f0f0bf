"""Writes the invoices that changes of subscriptions call for (see `subscriptions/biller.py`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from invoices.close import close_period, end_invoice, start_invoice
from invoices.models import Invoice, InvoiceLine
from subscriptions.models import ItemPeriod, Subscription


class InvoiceBiller:
    """The `Biller` of this project."""

    def bill_start(self, subscription: Subscription, *, at: datetime, prorate: bool) -> None:
        start_invoice(subscription, at=at, prorate=prorate)

    def bill_due(self, subscription: Subscription, *, at: datetime) -> None:
        while close_period(subscription.pk, at) is not None:
            pass

    def bill_end(self, subscription: Subscription, *, at: datetime, invoice_now: bool) -> None:
        end_invoice(subscription, at=at, invoice_now=invoice_now)

    def reads_again(self, period: ItemPeriod) -> bool:
        return InvoiceLine.objects.filter(item_period=period, invoice__status=Invoice.Status.DRAFT).exists()

    def invoices_of(self, periods: Sequence[ItemPeriod]) -> Mapping[int, str]:
        lines = InvoiceLine.objects.filter(item_period__in=periods)
        return dict(lines.values_list("item_period", "invoice"))
