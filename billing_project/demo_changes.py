"""What happens to the demo's companies on the way: more seats in mid-period, usage that is late, money given back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from invoices.credit_note_lines import Asked
from invoices.credit_notes import issue_credit_note
from invoices.models import CreditNote, Invoice
from meters.ingest import record_event
from subscriptions.items import update_item
from subscriptions.models import Subscription, SubscriptionItem
from subscriptions.plan import ItemChange

DAY = timedelta(days=1)
GIVEN_BACK = 1500  # minor units


@dataclass(frozen=True)
class Change:
    """Something done at one time, when all that was due before is done."""

    at: datetime
    make: Callable[[], object]


def changes(end: datetime) -> list[Change]:
    """All of them, for a demo that ends at `end`; before the last invoice of each company."""
    more_seats, late = end.replace(microsecond=0) - 15 * DAY, end.replace(microsecond=0) - 30 * DAY
    return [Change(more_seats, lambda: _add_seats(more_seats)), Change(late, lambda: _send_late(late))]


def give_back(at: datetime) -> None:
    """Credit a part of an invoice that is paid, to the customer's balance."""
    invoice = Invoice.objects.get(number="PIGEON-0002")
    asked = Asked(
        amount=GIVEN_BACK,
        credit_amount=GIVEN_BACK,
        reason=CreditNote.Reason.PRODUCT_UNSATISFACTORY,
        memo="The map tiles of one afternoon were out of date.",
    )
    issue_credit_note(invoice.pk, asked, at=at)


def _add_seats(at: datetime) -> None:
    item = SubscriptionItem.objects.get(subscription__customer__invoice_prefix="PIGEON", quantity__isnull=False)
    update_item(item.pk, ItemChange(id=item.pk, quantity=8), at=at)


def _send_late(at: datetime) -> None:
    """An event of a period whose invoice is final."""
    subscription = Subscription.objects.get(customer__invoice_prefix="LUMEN")
    payload = {"stripe_customer_id": subscription.customer_id, "value": "48200"}
    sent_for = subscription.billing_cycle_anchor + 27 * DAY
    record_event("completion_tokens", payload=payload, identifier="late-batch-7", timestamp=sent_for, at=at)
