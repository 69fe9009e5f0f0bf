"""Meters, events and summaries over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import idempotency, resources
from api.lists import DEFAULT_LIMIT, page_of
from api.views import ResourceView, V2View
from core import clock
from meters import lifecycle
from meters.adjustments import Adjustment, cancel_event
from meters.explorer import Cursor, Wanted, find_events
from meters.ingest import Outcome, Record, ingest
from meters.models import Meter
from meters.resources import ADJUSTMENT, LISTED_EVENT, METER, METER_EVENT, SUMMARY, USAGE
from meters.serializers import (
    CreateAdjustment,
    CreateMeter,
    CreateMeterEvent,
    ListMeterEvents,
    ListMeters,
    ListSummaries,
    ListUsage,
    UpdateMeter,
    V2AdjustmentObject,
)
from meters.summaries import SummaryRange, find_customer, find_meters, report, summarize

CURSORS = ("starting_after", "ending_before")


class MeterView(ResourceView):
    resource = METER
    params = {
        "create": CreateMeter,
        "update": UpdateMeter,
        "list": ListMeters,
        "event_summaries": ListSummaries,
    }

    list_actions = frozenset({"list", "event_summaries"})
    answers = {"event_summaries": SUMMARY}
    permissions = {"event_summaries": "usage:read"}

    def create(self, request: Request) -> Response:
        given = self.read()
        keys = {}
        if mapping := given.get("customer_mapping"):
            keys["customer_key"] = mapping["event_payload_key"]
        if settings := given.get("value_settings"):
            keys["value_key"] = settings["event_payload_key"]
        meter = lifecycle.create_meter(
            display_name=given["display_name"],
            event_name=given["event_name"],
            formula=given["default_aggregation"]["formula"],
            event_time_window=given.get("event_time_window"),
            filters=given.get("filters", ()),
            dimension_payload_keys=given.get("dimension_payload_keys", ()),
            at=clock.now(),
            **keys,
        )
        return self.answer(meter)

    def update(self, request: Request, id: str) -> Response:
        given = self.read()
        if "display_name" in given:
            return self.answer(lifecycle.rename_meter(id, display_name=given["display_name"], at=clock.now()))
        return self.answer(resources.retrieve(METER, id))

    def deactivate(self, request: Request, id: str) -> Response:
        return self.answer(lifecycle.deactivate_meter(id, at=clock.now()))

    def reactivate(self, request: Request, id: str) -> Response:
        return self.answer(lifecycle.reactivate_meter(id, at=clock.now()))

    def event_summaries(self, request: Request, id: str) -> Response:
        given = self.read()
        meter = resources.retrieve(METER, id)
        summaries = summarize(meter, find_customer(given["customer"]), _range(given))
        shown = resources.render(SUMMARY, summaries)
        found = page_of(shown, given, kind=SUMMARY.kind)
        return self.answer_objects(found.rows, has_more=found.has_more)

    def filter(self, queryset: QuerySet[Meter], given: Mapping[str, Any]) -> QuerySet[Meter]:
        """Of the meters that prices with usage records have of their own only those asked for (not of Stripe)."""
        queryset = queryset.filter(hidden=given["hidden"])
        return queryset.filter(status=given["status"]) if "status" in given else queryset


class UsageView(ResourceView):
    """What a customer has used, of many meters at once. Not of Stripe."""

    resource = USAGE
    params = {"list": ListUsage}

    def list(self, request: Request) -> Response:
        given = self.read()
        found = report(find_meters(given.get("meters", ())), find_customer(given["customer"]), _range(given))
        page = page_of(resources.render(USAGE, found), given, kind=USAGE.kind)
        return self.answer_objects(page.rows, has_more=page.has_more)


class MeterEventView(ResourceView):
    """The identifier of an event, or the Idempotency-Key in place of one, is what makes it safe to repeat: an answer
    kept beside each event would be a second row for it. The list is not of Stripe."""

    resource = METER_EVENT
    params = {"create": CreateMeterEvent, "list": ListMeterEvents}
    answers = {"list": LISTED_EVENT}
    idempotent = False

    def create(self, request: Request) -> Response:
        given, key = self.read(), idempotency.key_of(request._request)
        at = clock.now()
        (result,) = ingest(
            [Record(given["event_name"], given["payload"], given.get("identifier"), given.get("timestamp"), key)],
            at=at,
        )
        if result.event is None:
            assert result.error is not None
            raise result.error
        answer = self.answer(result.event)
        if result.outcome is Outcome.REPLAYED:
            answer[idempotency.REPLAYED] = "true"
        return answer

    def list(self, request: Request) -> Response:
        given = self.read()
        wanted = Wanted(
            find_customer(given["customer"]) if "customer" in given else None,
            resources.retrieve(METER, given["meter"]) if "meter" in given else None,
            given.get("identifier"),
            given.get("state"),
            given.get("start_time"),
            given.get("end_time"),
        )
        ends = [Cursor(given[name], name == "ending_before") for name in CURSORS if name in given]
        events, has_more = find_events(
            wanted, limit=given.get("limit", DEFAULT_LIMIT), beside=ends[0] if ends else None
        )
        return self.answer_objects(resources.render(LISTED_EVENT, events), has_more=has_more)


class AdjustmentView(ResourceView):
    family = "meter_events"
    resource = ADJUSTMENT
    params = {"create": CreateAdjustment}

    def create(self, request: Request) -> Response:
        return self.answer(_cancel(self.read()))


class V2AdjustmentView(V2View):
    family = "meter_events"
    params = {"create": CreateAdjustment}
    shapes = {"create": V2AdjustmentObject}

    def create(self, request: Request) -> Response:
        return Response(V2AdjustmentObject(_cancel(self.read())).data)


def _cancel(given: Mapping[str, Any]) -> Adjustment:
    cancel = given["cancel"]
    return cancel_event(given["event_name"], cancel["identifier"], any_time=cancel["any_time"])


def _range(given: Mapping[str, Any]) -> SummaryRange:
    return SummaryRange(
        given["start_time"],
        given["end_time"],
        given.get("value_grouping_window"),
        given.get("dimension_group_by_keys", ()),
        given.get("dimension_filters", {}),
    )
