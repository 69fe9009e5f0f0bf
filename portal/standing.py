"""How each subscription of a customer stands, in the customer's words."""

from dataclasses import dataclass

from customers.models import Customer
from portal.formats import day
from subscriptions.models import Subscription

WORDS = {
    "active": "Active",
    "trialing": "Free trial",
    "paused": "Paused",
    "past_due": "Payment is late",
    "unpaid": "Not paid",
    "incomplete": "Waits for its first payment",
}


@dataclass(frozen=True)
class Standing:
    """A subscription: what it is of, its status as the CSS class and in words, and what comes next."""

    title: str
    status: str
    words: str
    note: str


def standings_of(customer: Customer) -> list[Standing]:
    """The customer's subscriptions that have not ended, oldest first."""
    running = customer.subscriptions.running().prefetch_related("items__price__product").order_by("start_date", "id")
    return [
        Standing(_title(row), row.status, WORDS.get(row.status, row.get_status_display()), _note(row))
        for row in running
    ]


def _title(subscription: Subscription) -> str:
    names = [item.price.product.name for item in subscription.items.all() if item.deleted_at is None]
    return subscription.description or ", ".join(names) or "Subscription"


def _note(subscription: Subscription) -> str:
    if subscription.is_trialing and subscription.trial_end:
        return f"Nothing is billed until {day(subscription.trial_end)}"
    if subscription.is_paused and subscription.paused_at:
        return f"Nothing is billed since {day(subscription.paused_at)}"
    return f"Ends {day(subscription.cancel_at)}" if subscription.cancel_at else ""
