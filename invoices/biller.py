"""Writes the invoices that changes of subscriptions call for (see `subscriptions/biller.py`)."""

from datetime import datetime

from invoices.close import close_period, end_invoice, start_invoice
from subscriptions.models import Subscription


class InvoiceBiller:
    """The `Biller` of this project."""

    def bill_start(self, subscription: Subscription, *, at: datetime, prorate: bool) -> None:
        start_invoice(subscription, at=at, prorate=prorate)

    def bill_due(self, subscription: Subscription, *, at: datetime) -> None:
        while close_period(subscription.pk, at) is not None:
            pass

    def bill_end(self, subscription: Subscription, *, at: datetime, invoice_now: bool) -> None:
        end_invoice(subscription, at=at, invoice_now=invoice_now)
