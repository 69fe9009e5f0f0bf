"""Webhook endpoints over HTTP: /v1/webhook_endpoints, and /v2/core/event_destinations."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from api import resources
from api.v2_lists import V2ListParams, v2_list
from api.views import ResourceView, V2View
from core import clock
from core.errors import InvalidRequest
from webhooks import endpoints
from webhooks.endpoint_models import Endpoint
from webhooks.endpoint_serializers import (
    CreateDestination,
    CreateEndpoint,
    DestinationInclude,
    RollSecret,
    UpdateDestination,
    UpdateEndpoint,
)
from webhooks.endpoints import EndpointSpec
from webhooks.pings import ping
from webhooks.resources import DESTINATION, ENDPOINT, THIN_EVENT

SECRET, URL = "webhook_endpoint.signing_secret", "webhook_endpoint.url"


def texts(given: dict[str, Any]) -> dict[str, Any]:
    """`given` with the empty text for what is unset."""
    return given | {name: "" for name in ("description",) if name in given and given[name] is None}


def destinations(rows: Sequence[Endpoint], included: Sequence[str], secret: str | None = None) -> list[dict[str, Any]]:
    """The objects of `rows`, with what the caller includes of their webhook endpoints."""
    shown = resources.render(DESTINATION, rows)
    for row, one in zip(rows, shown, strict=True):
        parts = {"signing_secret": secret if SECRET in included else None, "url": row.url if URL in included else None}
        one["webhook_endpoint"] = parts if included else None
    return shown


def _said(given: dict[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in ("enabled_events", "name", "description", "metadata") if name in given}


class EndpointView(ResourceView):
    resource = ENDPOINT
    params = {"create": CreateEndpoint, "update": UpdateEndpoint, "roll_secret": RollSecret}
    secret_actions = frozenset({"create", "roll_secret"})

    def create(self, request: Request) -> Response:
        """Make an endpoint; only this answer has its `secret`."""
        given = texts(self.read())
        given.pop("api_version", None)
        row, secret = endpoints.create_endpoint(EndpointSpec(**given), at=clock.now())
        return self._with_secret(row, secret)

    def update(self, request: Request, id: str) -> Response:
        row = resources.retrieve(ENDPOINT, id)
        return self.answer(endpoints.update_endpoint(row, texts(self.read()), at=clock.now()))

    def destroy(self, request: Request, id: str) -> Response:
        endpoints.delete_endpoint(resources.retrieve(ENDPOINT, id), at=clock.now())
        return self.answer_deleted(id)

    def roll_secret(self, request: Request, id: str) -> Response:
        """Make another `secret`; the old one still signs beside it for `expires_in` seconds."""
        row, overlap = resources.retrieve(ENDPOINT, id), timedelta(seconds=self.read()["expires_in"])
        return self._with_secret(row, endpoints.roll_secret(row, overlap, at=clock.now()))

    def _with_secret(self, row: Endpoint, secret: str) -> Response:
        [shown] = resources.render(ENDPOINT, [row])
        return self.answer_object(shown | {"secret": secret})


class ListDestinations(V2ListParams, DestinationInclude):
    """One page of them is all there can be."""


class DestinationView(V2View):
    resource = DESTINATION
    params = {
        "create": CreateDestination,
        "retrieve": DestinationInclude,
        "update": UpdateDestination,
        "list": ListDestinations,
    }
    answers = {"ping": THIN_EVENT}
    secret_actions = frozenset({"create"})

    def create(self, request: Request) -> Response:
        """Make a destination; its secret is told now, if it is included, and never again."""
        given = texts(self.read())
        thin = given["event_payload"] == Endpoint.Payload.THIN
        if thin and "snapshot_api_version" in given:
            raise InvalidRequest("Thin events have no API version.", param="snapshot_api_version")
        spec = EndpointSpec(
            url=given["webhook_endpoint"]["url"],
            url_param="webhook_endpoint[url]",
            payload=given["event_payload"],
            is_destination=True,
            **_said(given),
        )
        row, secret = endpoints.create_endpoint(spec, at=clock.now())
        return self._answer(row, secret)

    def retrieve(self, request: Request, id: str) -> Response:
        return self._answer(self._row(id))

    def update(self, request: Request, id: str) -> Response:
        given = texts(self.read())
        changes = _said(given)
        if "webhook_endpoint" in given:
            changes["url"] = given["webhook_endpoint"]["url"]
        return self._answer(
            endpoints.update_endpoint(self._row(id), changes, at=clock.now(), url_param="webhook_endpoint[url]")
        )

    def list(self, request: Request) -> Response:
        found = v2_list(request, DESTINATION, DESTINATION.rows(), self.read())
        rows = Endpoint.objects.in_bulk([one["id"] for one in found["data"]])
        found["data"] = destinations([rows[one["id"]] for one in found["data"]], self.given.get("include", []))
        return Response(found)

    def destroy(self, request: Request, id: str) -> Response:
        endpoints.delete_endpoint(self._row(id), at=clock.now())
        return Response(resources.deleted(DESTINATION, id))

    def enable(self, request: Request, id: str) -> Response:
        """Send to it again, what is pending first."""
        return self._answer(endpoints.enable_endpoint(self._row(id), at=clock.now()))

    def disable(self, request: Request, id: str) -> Response:
        """Send nothing to it any more; what is pending waits."""
        return self._answer(endpoints.disable_endpoint(self._row(id), at=clock.now()))

    def ping(self, request: Request, id: str) -> Response:
        """Send it a test event."""
        return Response(resources.render(THIN_EVENT, [ping(self._row(id), at=clock.now())])[0])

    def _row(self, id: str) -> Endpoint:
        row: Endpoint = resources.retrieve(DESTINATION, id)
        return row

    def _answer(self, row: Endpoint, secret: str | None = None) -> Response:
        return Response(destinations([row], self.given.get("include", []), secret)[0])
