"""Credit holds over HTTP; all of it is ours."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api.views import ResourceView
from core import clock
from core.errors import ParameterMissing, ParametersExclusive
from credits.hold_serializers import CaptureHold, CreateHold, ListHolds
from credits.holds import Capture, NewHold, capture_hold, create_hold, release_hold
from credits.resources import CREDIT_HOLD
from credits.serializers import amount_given
from meters.ingest import Record


class CreditHoldView(ResourceView):
    """Sets credits aside before they are used; one that is declined is an answer, and no error."""

    resource = CREDIT_HOLD
    params = {"create": CreateHold, "list": ListHolds, "capture": CaptureHold}

    def create(self, request: Request) -> Response:
        given = self.read()
        new = NewHold(
            **amount_given(given["amount"]),
            prices=[price["id"] for price in given.get("prices", ())],
            expires_in=timedelta(seconds=given["expires_in"]),
            spend_cap=given["spend_cap"],
            metadata=given.get("metadata") or {},
        )
        return self.answer(create_hold(given["customer"], new, at=clock.now()))

    def capture(self, request: Request, id: str) -> Response:
        given = self.read()
        if ("events" in given) == ("amount" in given):
            if "events" in given:
                raise ParametersExclusive("You may only specify one of these parameters: events, amount.")
            raise ParameterMissing("events", "You must provide events or amount.")
        events = tuple(
            Record(one["event_name"], one["payload"], one.get("identifier"), one.get("timestamp"))
            for one in given.get("events", ())
        )
        capture = Capture(events, **(amount_given(given["amount"]) if "amount" in given else {}))
        return self.answer(capture_hold(id, capture, at=clock.now()))

    def release(self, request: Request, id: str) -> Response:
        return self.answer(release_hold(id, at=clock.now()))

    def filter(self, queryset: QuerySet[Any], given: Mapping[str, Any]) -> QuerySet[Any]:
        """Of a clock's customers only the holds asked for by customer."""
        queryset = super().filter(queryset, given)
        if "status" in given:
            queryset = queryset.filter(status_now=given["status"])
        if "customer" in given:
            return queryset.filter(customer=given["customer"])
        return queryset.filter(customer__test_clock=None)
