"""What invoices that are not final yet would use of credit grants."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

from credits.consumers import Consumers
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


def used_of(share: Mapping[str, str | int]) -> Decimal:
    """What a line uses of a grant: money, or units of a meter where the grant is in these."""
    return Decimal(share.get("quantity", share["amount"]))
