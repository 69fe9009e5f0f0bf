"""The doors for many events under /v2: a stream in a session, and a batch with an answer for each event."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from django.db import transaction
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import RawBodyView
from api.callers import Caller
from api.idempotency import key_of
from api.parsers import MalformedJSON
from api.renderers import to_json
from api.views import V2View
from core import clock
from meters import batches, cloud_events, json_events, quarantine
from meters.identifiers import identifier_of_key
from meters.ingest import Outcome, Record, ingest
from meters.json_events import MalformedEvent
from meters.sessions import OpenToSessions, SessionsOnly, begin_session
from meters.v2_serializers import (
    MOST_OF_A_BATCH,
    MOST_OF_A_STREAM,
    BatchObject,
    CreateBatch,
    CreateStream,
    SessionObject,
)

MOST_BYTES = 8 * 1024 * 1024


class MeterEventSessionView(V2View):
    """Without stored answers: a token is kept nowhere, and a second session does no harm."""

    family = "meter_events"
    shapes = {"create": SessionObject}
    idempotent = False

    def create(self, request: Request) -> Response:
        """Begin a session of 15 minutes, in whose name events can be sent."""
        caller = cast(Caller, request.auth)
        return Response(SessionObject().to_representation(begin_session(caller.key_id, at=clock.now())))


class MeterEventStreamView(RawBodyView):
    """Events that are judged afterwards.

    No answer is stored for an idempotency key: each event has an identifier that counts once, and one that comes
    without gets it from the key and its place. So a repetition stores nothing, also of half a call, and the key costs
    no row.
    """

    family = "meter_events"
    authentication_classes = [SessionsOnly]
    params = {"create": CreateStream}
    most_bytes = MOST_BYTES

    def create(self, request: Request) -> Response:
        """Take 1 to 100 events in a session. What is refused is kept, and reported by an event of its meter."""
        events = json_events.events_in(json_events.read_json(self.raw), most=MOST_OF_A_STREAM)
        records = [_well_formed(entry, position) for position, entry in enumerate(_entries(events, request))]
        at = clock.now()
        with transaction.atomic():
            results = ingest(records, at=at)
            quarantine.hold(
                [
                    (position, record, result)
                    for position, (record, result) in enumerate(zip(records, results, strict=True))
                    if result.outcome in (Outcome.REJECTED, Outcome.CONFLICT)
                ],
                source="stream",
                at=at,
            )
        return Response({})


class MeterEventBatchView(RawBodyView):
    """Many events, each with its own answer; also as CloudEvents.

    No answer is stored for an idempotency key, for the reasons of the stream.
    """

    family = "meter_events"
    authentication_classes = [OpenToSessions]
    params = {"create": CreateBatch}
    shapes = {"create": BatchObject}
    most_bytes = MOST_BYTES
    content_types = ("application/json", cloud_events.BATCH, cloud_events.SINGLE)

    def create(self, request: Request) -> HttpResponse:
        """Take up to 5,000 events; the answer says of each whether it is stored, or why not. Also takes CloudEvents."""
        answer = batches.take_batch(self._entries(request), at=clock.now())
        return HttpResponse(to_json(answer), content_type="application/json")

    def _entries(self, request: Request) -> list[Record | MalformedEvent]:
        tree = json_events.read_json(self.raw)
        if self.content_type == cloud_events.SINGLE:
            return cloud_events.records_of([tree])
        if self.content_type == cloud_events.BATCH:
            if not isinstance(tree, list):
                raise MalformedJSON("Invalid JSON: the request body must be an array.")
            return cloud_events.records_of(json_events.bounded(tree, least=0, most=MOST_OF_A_BATCH))
        return _entries(json_events.events_in(tree, most=MOST_OF_A_BATCH), request)


def _entries(events: list[Any], request: Request) -> list[Record | MalformedEvent]:
    """Each event read; those without an identifier get one from the key of the request and their place."""
    key = key_of(request._request)
    identifiers: Callable[[int], str] | None = partial(identifier_of_key, key) if key else None
    return json_events.each(events, json_events.record_of, identifiers)


def _well_formed(entry: Record | MalformedEvent, position: int) -> Record:
    """Raises MalformedEvent that names the position."""
    if isinstance(entry, MalformedEvent):
        raise entry.at(position)
    return entry
