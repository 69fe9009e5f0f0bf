"""What people ask for: a first event to try an endpoint with, and an old delivery once more."""

from datetime import datetime

from django.db import transaction

from api import resources
from core.errors import InvalidRequest
from webhooks.delivery_models import Delivery
from webhooks.endpoint_models import Endpoint
from webhooks.endpoints import lock_endpoint
from webhooks.event_types import PING
from webhooks.events import record_thin_event
from webhooks.models import ThinEvent
from webhooks.outbox import enqueue_to


class NotDeliverable(InvalidRequest):
    """The endpoint is disabled, or gone."""


def ping(endpoint: Endpoint, *, at: datetime, asked_by: str = "") -> ThinEvent:
    """Send a test event to this endpoint alone. Not idempotent.

    Raises: NotDeliverable. Locks: the endpoint.
    """
    with transaction.atomic():
        row = _sendable(endpoint.pk)
        resource = resources.get("v2.core.event_destination" if row.is_destination else "webhook_endpoint")
        event = record_thin_event(PING, related=(resource, row.pk), at=at)
        delivery = enqueue_to(row, event, at=at)
        Delivery.objects.filter(pk=delivery.pk).update(asked_by=asked_by)
    return event


def resend(delivery: Delivery, *, at: datetime, asked_by: str) -> Delivery:
    """Send it once more now, under the same id and with the same body. One that has ended gets one attempt.

    Raises: NotDeliverable. Locks: the endpoint, the delivery.
    """
    with transaction.atomic():
        _sendable(delivery.endpoint_id)
        row = Delivery.objects.select_for_update(no_key=True).get(pk=delivery.pk)
        row.next_attempt_at, row.asked_by = at, asked_by
        row.save(update_fields=["next_attempt_at", "asked_by"])
    return row


def _sendable(id: str) -> Endpoint:
    row = lock_endpoint(id)
    if not row.is_enabled:
        raise NotDeliverable("Nothing is sent to this endpoint: it is disabled, or deleted.")
    return row
