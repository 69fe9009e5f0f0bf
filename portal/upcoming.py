"""The invoices that are still to come: drafts of periods that have ended, and previews of those that run."""

from dataclasses import dataclass
from datetime import datetime

from core.money import AmountTooLarge
from customers.models import Customer
from invoices.models import Invoice, InvoiceLine
from invoices.preview import NothingUpcoming, preview_draft, preview_next
from subscriptions.periods import Period


@dataclass(frozen=True)
class Upcoming:
    """What an invoice would be now; of a draft that exists, or of a period that still runs."""

    invoice: Invoice
    lines: list[InvoiceLine]
    is_draft: bool

    @property
    def period(self) -> Period:
        return Period(self.invoice.period_start, self.invoice.period_end)


def upcoming_of(customer: Customer, *, at: datetime) -> list[Upcoming]:
    """The customer's drafts, then one preview for each running subscription, those that end first in front.

    Every event acknowledged before the call is in them. `at` is real time.
    """
    drafts = customer.invoices.drafts().select_related("subscription").order_by("period_end", "id")
    shown = [_draft(draft, customer) for draft in drafts]
    previews = []
    for subscription in customer.subscriptions.running().order_by("id"):
        subscription.customer = customer
        try:
            invoice, lines = preview_next(subscription, at=at)
        except (NothingUpcoming, AmountTooLarge):  # beyond what can be billed: the admin says so
            continue
        previews.append(Upcoming(invoice, lines, is_draft=False))
    return shown + sorted(previews, key=lambda preview: preview.invoice.period_end)


def _draft(draft: Invoice, customer: Customer) -> Upcoming:
    draft.customer = customer
    return Upcoming(*preview_draft(draft), is_draft=True)
