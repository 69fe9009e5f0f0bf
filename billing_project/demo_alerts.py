"""The alerts of the demo's companies. They are there before the usage, which makes them fire as it comes."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from alerts.lifecycle import create_alert
from alerts.models import Alert
from customers.models import Customer
from meters.models import Meter


@dataclass(frozen=True)
class Watch:
    """What one company is to be told about the usage of one meter."""

    prefix: str
    event_name: str
    title: str
    threshold: int
    recurrence: str


ALERTS = (
    Watch("LUMEN", "prompt_tokens", "A million prompt tokens", 1_000_000, Alert.Recurrence.ONE_TIME),
    Watch("LUMEN", "completion_tokens", "A quarter of a million completion tokens", 250_000, Alert.Recurrence.ONE_TIME),
)


def arm(customer: Customer, *, at: datetime) -> None:
    """Create the alerts of a company, which is subscribed and has used nothing yet."""
    for watch in ALERTS:
        if watch.prefix == customer.invoice_prefix:
            create_alert(
                alert_type="usage_threshold",
                title=watch.title,
                customer=customer.pk,
                meter=Meter.objects.get(event_name=watch.event_name).pk,
                threshold=Decimal(watch.threshold),
                recurrence=watch.recurrence,
                channels=[Alert.Channel.INBOX],
                at=at,
            )
