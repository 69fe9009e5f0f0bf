"""What invoices that are not final yet would use of credit grants, and what is not invoiced at all."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from credits.consumers import Consumers, OpenUsage
from customers.models import Customer
from invoices import burn_down
from invoices.credits_used import used_of
from invoices.models import Invoice, InvoiceLine
from subscriptions.models import ItemPeriod


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

    def unbilled_until(self, customer_id: str, until: datetime) -> str:
        drafts = Invoice.objects.drafts().filter(customer=customer_id, subscription__isnull=False)
        draft = drafts.filter(period_end__lte=until).order_by("period_end", "pk").first()
        if draft is not None:
            return f"The draft {draft.pk} is not final."
        unbilled = ItemPeriod.objects.unbilled().filter(item__subscription__customer=customer_id, bills_at__lte=until)
        subscription = unbilled.order_by("bills_at").values_list("item__subscription", flat=True).first()
        return f"A period of {subscription} is not invoiced." if subscription else ""
