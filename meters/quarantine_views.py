"""The quarantine over HTTP: looked through, replayed and dismissed."""

from collections.abc import Mapping
from typing import Any, cast

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api.callers import Caller
from api.resources import Resource, register
from api.views import ResourceView
from core import clock
from meters import quarantine, replay
from meters.quarantine_models import QuarantinedEvent
from meters.quarantine_serializers import DismissQuarantinedEvent, ListQuarantinedEvents, QuarantinedEventObject

COLUMNS = {"customer": "customer_text"}  # of the filters that have another name
FILTERS = ("customer", "event_name", "identifier", "reason", "source", "state", "usage_import")

QUARANTINED_EVENT = register(
    Resource(
        name="billing.quarantined_event",
        kind="quarantined event",
        path="/v1/billing/quarantined_events",
        model=QuarantinedEvent,
        serializer=QuarantinedEventObject,
        expandable={"meter": "billing.meter"},
    )
)


class QuarantinedEventView(ResourceView):
    resource = QUARANTINED_EVENT
    params = {"list": ListQuarantinedEvents, "dismiss": DismissQuarantinedEvent}
    order = ("-received_at", "-id")

    def replay(self, request: Request, id: str) -> Response:
        """Answers with the event as it is then: replayed, or held with the reason why it was refused again."""
        return self.answer(replay.replay_one(id, at=clock.now(), by=_caller(request)))

    def dismiss(self, request: Request, id: str) -> Response:
        note = self.read().get("note", "")
        return self.answer(quarantine.dismiss_one(id, at=clock.now(), note=note, by=_caller(request)))

    def filter(self, queryset: QuerySet[QuarantinedEvent], given: Mapping[str, Any]) -> QuerySet[QuarantinedEvent]:
        wanted = {COLUMNS.get(name, name): given[name] for name in FILTERS if name in given}
        bounds = {f"received_at__{bound}": at for bound, at in given.get("created", {}).items()}
        return queryset.filter(**wanted, **bounds)


def _caller(request: Request) -> str:
    return f"API key {cast(Caller, request.auth).key_id}"
