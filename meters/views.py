"""Meters, events and summaries over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import resources
from api.lists import page_of
from api.views import ResourceView
from core import clock
from meters import lifecycle
from meters.ingest import record_event
from meters.models import Meter
from meters.resources import METER, METER_EVENT, SUMMARY
from meters.serializers import (
    CreateMeter,
    CreateMeterEvent,
    ListMeters,
    ListSummaries,
    UpdateMeter,
)
from meters.summaries import SummaryRange, find_customer, summarize


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
        wanted = SummaryRange(given["start_time"], given["end_time"], given.get("value_grouping_window"))
        summaries = summarize(meter, find_customer(given["customer"]), wanted)
        shown = resources.render(SUMMARY, summaries)
        found = page_of(shown, given, kind=SUMMARY.kind)
        return self.answer_objects(found.rows, has_more=found.has_more)

    def filter(self, queryset: QuerySet[Meter], given: Mapping[str, Any]) -> QuerySet[Meter]:
        return queryset.filter(status=given["status"]) if "status" in given else queryset


class MeterEventView(ResourceView):
    resource = METER_EVENT
    params = {"create": CreateMeterEvent}

    def create(self, request: Request) -> Response:
        given = self.read()
        accepted = record_event(
            given["event_name"],
            payload=given["payload"],
            identifier=given.get("identifier"),
            timestamp=given.get("timestamp"),
            at=clock.now(),
        )
        return self.answer(accepted)
