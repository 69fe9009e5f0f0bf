"""Short ways to make alerts, and to ask what has fired."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from alerts.lifecycle import create_alert
from alerts.models import Alert, AlertTriggered
from core import clock
from customers.models import Customer
from meters.ingest import Record, ingest
from meters.models import Meter


def usage_alert(meter: Meter, threshold: int, *, customer: Customer | None = None, **fields: Any) -> Alert:
    return alert("usage_threshold", threshold, meter=meter.pk, customer=customer.pk if customer else None, **fields)


def alert(alert_type: str, threshold: Any, *, at: datetime | None = None, **fields: Any) -> Alert:
    given = {"title": "Much", "recurrence": "one_time", "channels": [*Alert.Channel], "emails": ["ops@example.com"]}
    return create_alert(alert_type=alert_type, threshold=Decimal(threshold), at=at or clock.now(), **(given | fields))


def send(customer: Customer, *values: str, meter: Meter, at: datetime | None = None, **payload: str) -> None:
    """One batch of events, in real time."""
    at = at or clock.now()
    said = {"stripe_customer_id": customer.pk} | payload
    results = ingest([Record(meter.event_name, said | {"value": value}) for value in values], at=at)
    assert all(result.event for result in results), results


def fired(about: Alert | None = None) -> list[tuple[str, Decimal]]:
    """Customer and value of what has fired, oldest first."""
    rows = AlertTriggered.objects.real().order_by("created_at", "pk")
    rows = rows.filter(alert=about) if about else rows
    return [(row.customer_id, row.value.normalize()) for row in rows]
