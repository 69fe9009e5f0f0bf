"""What is told of invoices before they are made, before they are due, and when they are overdue."""

from datetime import datetime, timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db.models import F, Min, OuterRef, QuerySet, Subquery

from api.renderers import to_json
from invoices.finalize import lock_invoice
from invoices.models import Invoice
from invoices.preview import NothingUpcoming, preview_next
from invoices.serializers import show_preview
from invoices.told import tell
from subscriptions.locks import lock_subscription
from subscriptions.models import ItemPeriod, Subscription
from webhooks.events import record_objects
from webhooks.reminders import Reminder

BEFORE_DUE = timedelta(days=3)  # on Stripe it is a setting (unverified: which one it has by default)
UPCOMING_TYPE = "invoice.upcoming"


def _renewing() -> QuerySet[Any]:
    """Subscriptions with the instant at which their next periods end."""
    unbilled = ItemPeriod.objects.unbilled().filter(item__subscription=OuterRef("pk")).order_by()
    first = unbilled.values("item__subscription").annotate(first=Min("bills_at")).values("first")
    rows = Subscription.objects.running().filter(parked_at=None, paused_at=None).annotate(instant=Subquery(first))
    return rows if settings.INVOICE_UPCOMING_DAYS else rows.none()


def _tell_upcoming(id: str, at: datetime) -> None:
    """The event holds the invoice as it would be by now; it has no id, as there is none yet."""
    try:
        invoice, lines = preview_next(Subscription.objects.select_related("customer__test_clock").get(pk=id), at=at)
    except NothingUpcoming:
        return
    shown, _ = show_preview(invoice, lines)
    # Through JSON and back: the rates of taxes are written as they are read on the wire.
    told = orjson.loads(to_json({name: value for name, value in shown.items() if name != "id"}))
    record_objects(UPCOMING_TYPE, [told], at=at)


def _owed() -> QuerySet[Any]:
    return Invoice.objects.filter(status=Invoice.Status.OPEN, due_date__isnull=False).annotate(instant=F("due_date"))


def _tell_owed(what: str, id: str, at: datetime) -> None:
    tell(what, Invoice.objects.get(pk=id), at=at)


UPCOMING = Reminder(
    UPCOMING_TYPE, _renewing, timedelta(days=settings.INVOICE_UPCOMING_DAYS), lock_subscription, _tell_upcoming
)
WILL_BE_DUE = Reminder(
    "invoice.will_be_due", _owed, BEFORE_DUE, lock_invoice, lambda id, at: _tell_owed("will_be_due", id, at)
)
OVERDUE = Reminder("invoice.overdue", _owed, timedelta(0), lock_invoice, lambda id, at: _tell_owed("overdue", id, at))
REMINDERS = (UPCOMING, WILL_BE_DUE, OVERDUE)
