"""Events over HTTP: read only."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import resources
from api.v2_lists import v2_list
from api.views import ResourceView, V2View
from core import clock
from core.ids import first_id
from webhooks.bodies import thin_object
from webhooks.models import Event
from webhooks.pending import with_success
from webhooks.resources import EVENT, THIN_EVENT
from webhooks.serializers import ListEvents, ListThinEvents

LISTED = timedelta(days=30)


class EventView(ResourceView):
    """The list goes back 30 days, as on Stripe; an event that is known by its id is found for good."""

    resource = EVENT
    order = ("-id",)
    params = {"list": ListEvents}

    def filter(self, queryset: QuerySet[Event], given: Mapping[str, Any]) -> QuerySet[Event]:
        queryset = super().filter(queryset, given).filter(pk__gte=first_id("evt", clock.now() - LISTED))
        if "delivery_success" in given:
            queryset = with_success(queryset, given["delivery_success"])
        if "type" in given:
            queryset = queryset.filter(_of_type(given["type"]))
        return queryset.filter(type__in=given["types"]) if given.get("types") else queryset


def _of_type(pattern: str) -> Q:
    """Events whose type is `pattern`, or begins with what stands before its last character `*`."""
    return Q(type__startswith=pattern[:-1]) if pattern.endswith("*") else Q(type=pattern)


class ThinEventView(V2View):
    resource = THIN_EVENT
    params = {"list": ListThinEvents}

    def retrieve(self, request: Request, id: str) -> Response:
        """One event, with its data. A snapshot event is found here too, as what a thin destination was sent of it."""
        snapshot = resources.first(EVENT, id)
        return Response(thin_object(snapshot or resources.retrieve(THIN_EVENT, id)))

    def list(self, request: Request) -> Response:
        """Events, newest first."""
        given = self.read()
        rows = THIN_EVENT.rows().filter(
            **{f"created_at__{bound}": at for bound, at in given.get("created", {}).items()}
        )
        if "object_id" in given:
            rows = rows.filter(related_id=given["object_id"])
        if given.get("types"):
            rows = rows.filter(type__in=given["types"])
        return Response(v2_list(request, THIN_EVENT, rows, given))
