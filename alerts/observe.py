"""Evaluates alerts as usage comes, in the transaction that stores it, and notes who else has to be evaluated."""

from collections.abc import Sequence
from datetime import datetime

from alerts.candidates import kinds_where, pairs_of_news
from alerts.evaluate import evaluate
from alerts.models import Alert
from core import clock
from customers import watch
from meters.records import Checked
from webhooks.models import Event

# What moves a balance, or the invoice that is to come.
TOUCHING = (
    "billing.credit_",
    "credit_note.",
    "customer.discount.",
    "customer.subscription.",
    "invoice.",
    "invoiceitem.",
)


def usage_came(stored: Sequence[Checked], at: datetime) -> None:
    """An observer of `meters.observers`: the number of its statements does not depend on how much has come."""
    evaluate(pairs_of_news(stored, at), at)


def something_happened(events: Sequence[Event]) -> None:
    """Mark the customers of what was recorded, where there are alerts to which it may matter."""
    about = {
        str(event.data["object"]["customer"])
        for event in events
        if event.type.startswith(TOUCHING) and event.data["object"].get("customer")
    }
    if about and Alert.objects.active().filter(alert_type__in=kinds_where(by_balance=True)).exists():
        watch.touch(about, at=clock.now())
