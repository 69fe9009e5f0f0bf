"""What becomes of an invoice when its revision is final: it is void, and names the revision."""

from collections.abc import Sequence
from datetime import datetime

from core.errors import InvalidRequest
from invoices.models import Invoice
from invoices.states import make_void


def void_revised(revisions: Sequence[Invoice], *, at: datetime) -> None:
    """Void what the revisions among these drafts revise. The caller holds the customers' locks.

    Before their own amounts are computed: what the voided ones took of the balance is there for them.
    Raises InvalidRequest where one was settled in the meantime.
    """
    for revision in revisions:
        if revision.from_invoice_id is None:
            continue
        original = Invoice.objects.select_for_update(no_key=True).get(pk=revision.from_invoice_id)
        original.customer = revision.customer
        if original.status == Invoice.Status.PAID:
            raise InvalidRequest(f"The invoice {original.pk}, which this one revises, is paid.")
        if original.status != Invoice.Status.VOID:
            make_void(original, at=at)
        original.latest_revision = revision
        original.save(update_fields=["latest_revision"])
