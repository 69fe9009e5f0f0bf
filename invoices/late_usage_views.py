"""Late usage over HTTP (ours)."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import resources
from api.lists import page_of
from api.views import ResourceView
from core import clock
from invoices.late_events import events_of
from invoices.late_usage_billing import bill_late_usage, waive_late_usage
from invoices.late_usage_serializers import (
    BillLateUsage,
    LateEventObject,
    ListLateUsages,
    WaiveLateUsage,
)
from invoices.models import LateUsage
from invoices.resources import LATE_USAGE

MOST_EVENTS = 10_000


class LateUsageView(ResourceView):
    resource = LATE_USAGE
    params = {"list": ListLateUsages, "bill": BillLateUsage, "waive": WaiveLateUsage}
    list_actions = frozenset({"list", "search", "events"})
    shapes = {"events": LateEventObject}

    def bill(self, request: Request, id: str) -> Response:
        separately = self.read().get("separately", False)
        return self.answer(bill_late_usage(id, separately=separately, at=clock.now(), by=self._by()))

    def waive(self, request: Request, id: str) -> Response:
        return self.answer(waive_late_usage(id, reason=self.read()["reason"], at=clock.now(), by=self._by()))

    def events(self, request: Request, id: str) -> Response:
        row = resources.retrieve(LATE_USAGE, id)
        shape = LateEventObject()
        found = [shape.to_representation(event) for event in events_of(row, limit=MOST_EVENTS)]
        page = page_of(found, self.read(), kind="event")
        return self.answer_objects(page.rows, has_more=page.has_more)

    def filter(self, queryset: QuerySet[LateUsage], given: Mapping[str, Any]) -> QuerySet[LateUsage]:
        """Of a clock's customers only what is asked for by customer or subscription."""
        queryset = super().filter(queryset, given)
        if "customer" not in given and "subscription" not in given:
            queryset = queryset.on_clock(None)  # type: ignore[attr-defined]
        names = {"customer": "customer", "invoice": "line__invoice", "state": "state", "subscription": "subscription"}
        return queryset.filter(**{column: given[name] for name, column in names.items() if name in given})

    def _by(self) -> str:
        return f"API key {self.caller.key_id}"
