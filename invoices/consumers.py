"""What invoices that are not final yet would use of credit grants."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from credits.consumers import Consumers, OpenUsage
from customers.models import Customer
from invoices import burn_down
from invoices.credits_used import used_of
from invoices.models import Invoice, InvoiceLine


class InvoiceConsumers(Consumers):
    def on_drafts(self, customer_ids: Sequence[str]) -> Mapping[str, Decimal]:
        """The credits that the lines of drafts show, as they were last written."""
        used: defaultdict[str, Decimal] = defaultdict(Decimal)
        drafts = Invoice.objects.drafts().filter(customer__any_of=customer_ids)
        lines = InvoiceLine.objects.filter(invoice__in=drafts).exclude(credit_amounts=[])
        for shares in lines.values_list("credit_amounts", flat=True):
            for share in shares:
                used[share["credit_grant"]] += used_of(share)
        return used

    def open_usage(self, customers: Sequence[Customer], *, at: datetime) -> Mapping[str, OpenUsage]:
        return burn_down.open_usage(customers, at=at)
