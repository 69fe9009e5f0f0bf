"""Puts events into the outbox: in the transaction that records them, for each endpoint that wants them.

One query where there is no endpoint. `deliverer.py` sends what is here; the database wakes it after the commit.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from core import clock
from webhooks.delivery_models import Delivery
from webhooks.endpoint_models import Endpoint
from webhooks.event_types import PING, thin_name
from webhooks.models import Event, ThinEvent


def enqueue(events: Sequence[Event | ThinEvent]) -> None:
    """Owe each of these new events to the enabled endpoints that want it."""
    endpoints = list(Endpoint.objects.enabled().order_by("pk")) if events else []
    if endpoints:
        at = clock.now()  # real time: a receiver knows no test clocks
        _owe(((event, [one for one in endpoints if _wants(one, event)]) for event in events), at)


def enqueue_to(endpoint: Endpoint, event: Event | ThinEvent, *, at: datetime) -> Delivery:
    """Owe an event to one endpoint, whatever that wants."""
    [delivery] = _owe([(event, [endpoint])], at)
    return delivery


def _wants(endpoint: Endpoint, event: Event | ThinEvent) -> bool:
    if isinstance(event, ThinEvent):
        return endpoint.is_thin and event.type != PING and endpoint.wants(event.type)
    return endpoint.wants(thin_name(event.type) if endpoint.is_thin else event.type)


def _owe(told: Iterable[tuple[Event | ThinEvent, Sequence[Endpoint]]], at: datetime) -> list[Delivery]:
    return Delivery.objects.bulk_create(
        Delivery(
            endpoint=endpoint,
            event_id=event.pk,
            event_type=event.type,
            of_thin=isinstance(event, ThinEvent),
            pending_webhooks=len(endpoints),
            created_at=at,
            next_attempt_at=at,
        )
        for event, endpoints in told
        for endpoint in endpoints
    )
