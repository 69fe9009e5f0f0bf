"""Thin events over HTTP: read only."""

from rest_framework.request import Request
from rest_framework.response import Response

from api import resources
from api.v2_lists import v2_list
from api.views import V2View
from webhooks.resources import THIN_EVENT
from webhooks.serializers import ListThinEvents


class ThinEventView(V2View):
    resource = THIN_EVENT
    params = {"list": ListThinEvents}

    def retrieve(self, request: Request, id: str) -> Response:
        """One event, with its data."""
        [shown] = resources.render(THIN_EVENT, [resources.retrieve(THIN_EVENT, id)])
        return Response(shown)

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
