"""Takes what is due out of the outbox, for one process at a time and for a limited time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from webhooks.delivery_models import Delivery
from webhooks.endpoint_models import Endpoint, SigningSecret
from webhooks.models import Event, ThinEvent

# Much longer than an attempt may take. Who was killed in between has its deliveries taken over after that.
LEASE = timedelta(seconds=60)

# The earliest due of each endpoint, as many as it has room for; what others are taking is left to them.
CLAIM = """
WITH room AS (SELECT * FROM unnest(%s::text[], %s::int[]) AS room (endpoint_id, slots)),
picked AS (
    SELECT due.id FROM room CROSS JOIN LATERAL (
        SELECT id FROM webhooks_delivery
        WHERE endpoint_id = room.endpoint_id AND next_attempt_at <= %s
        ORDER BY next_attempt_at, id LIMIT room.slots
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS due
)
UPDATE webhooks_delivery SET next_attempt_at = %s FROM picked WHERE webhooks_delivery.id = picked.id
RETURNING webhooks_delivery.id
"""


@dataclass(frozen=True)
class Claim:
    """A delivery that this process may send until `lease`, with all it takes to do so; `sealed` are its secrets."""

    delivery: Delivery
    endpoint: Endpoint
    event: Event | ThinEvent
    sealed: Sequence[str]
    lease: datetime


def claim_due(room: Mapping[str, int], at: datetime) -> list[Claim]:
    """Take due deliveries of these endpoints, of each as many as it has room for."""
    endpoints = [endpoint for endpoint, slots in room.items() if slots > 0]
    if not endpoints:
        return []
    lease = at + LEASE
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [endpoints, [room[endpoint] for endpoint in endpoints], at, lease])
        ids = [id for (id,) in cursor.fetchall()]
    return _prepare(list(Delivery.objects.filter(pk__in=ids).order_by("pk")), lease, at) if ids else []


def _prepare(deliveries: Sequence[Delivery], lease: datetime, at: datetime) -> list[Claim]:
    endpoints = Endpoint.objects.in_bulk({row.endpoint_id for row in deliveries})
    sealed: dict[str, list[str]] = {id: [] for id in endpoints}
    for secret in SigningSecret.objects.active(at).filter(endpoint__in=endpoints):
        sealed[secret.endpoint_id].append(secret.sealed)
    events: dict[str, Event | ThinEvent] = {}
    events |= Event.objects.in_bulk([row.event_id for row in deliveries if not row.of_thin])
    events |= ThinEvent.objects.in_bulk([row.event_id for row in deliveries if row.of_thin])
    return [
        Claim(row, endpoints[row.endpoint_id], events[row.event_id], sealed[row.endpoint_id], lease)
        for row in deliveries
    ]
