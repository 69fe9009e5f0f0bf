"""Books what final invoices have used of credit grants, and gives back what void ones had. Callers hold the locks of
the customers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from credits import ledger
from credits.ledger import Change
from credits.models import CreditTransaction
from invoices.models import Invoice, InvoiceLine


def book_credits(invoices: Sequence[Invoice]) -> None:
    """Debit the grants that pay for lines of these invoices, which are final; one row for each grant and line."""
    using = {invoice.pk: invoice for invoice in invoices if invoice.finalized_at}
    if not using:
        return
    lines = InvoiceLine.objects.filter(invoice__any_of=list(using)).exclude(credit_amounts=[])
    changes = []
    for line in lines.order_by("invoice", "position").only("pk", "invoice", "credit_amounts"):
        at = using[line.invoice_id].finalized_at
        assert at is not None, "selected"
        for share in line.credit_amounts:
            changes.append(
                Change(
                    share["credit_grant"],
                    CreditTransaction.Type.CREDITS_APPLIED,
                    -used_of(share),
                    at,
                    invoice=line.invoice_id,
                    invoice_line=line.pk,
                    id=share["transaction"],
                )
            )
    ledger.apply_credits(changes)


def return_credits(invoice: Invoice, *, at: datetime) -> None:
    """Give back what an invoice that is void now had used."""
    if invoice.credit_total or invoice.lines.exclude(credit_amounts=[]).exists():
        ledger.reinstate([invoice.pk], at=at)


def used_of(share: Mapping[str, str | int]) -> Decimal:
    """What a line uses of a grant: money, or units of a meter where the grant is in these."""
    return Decimal(share.get("quantity", share["amount"]))
