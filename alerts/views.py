"""Alerts over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import lifecycle
from alerts.fire import try_out
from alerts.models import Alert, AlertTriggered
from alerts.resources import ALERT, TRIGGERED
from alerts.serializers import CreateAlert, ListAlerts, ListTriggered, SnoozeAlert, columns_of
from api import resources
from api.views import ResourceView
from core import clock


class AlertView(ResourceView):
    """`snooze`, `try_out` and the list of what has triggered are not of Stripe."""

    resource = ALERT
    params = {"create": CreateAlert, "list": ListAlerts, "triggered": ListTriggered, "snooze": SnoozeAlert}
    list_actions = frozenset({"list", "triggered"})
    answers = {"triggered": TRIGGERED, "try_out": TRIGGERED}

    def create(self, request: Request) -> Response:
        return self.answer(lifecycle.create_alert(at=clock.now(), **columns_of(self.read())))

    def activate(self, request: Request, id: str) -> Response:
        return self.answer(lifecycle.activate_alert(id, at=clock.now()))

    def deactivate(self, request: Request, id: str) -> Response:
        return self.answer(lifecycle.deactivate_alert(id))

    def archive(self, request: Request, id: str) -> Response:
        return self.answer(lifecycle.archive_alert(id, at=clock.now()))

    def snooze(self, request: Request, id: str) -> Response:
        """Let the alert rest until a time."""
        return self.answer(lifecycle.snooze_alert(id, until=self.read()["until"]))

    def try_out(self, request: Request, id: str) -> Response:
        """Send a test through the alert's channels."""
        return self.answer(try_out(resources.retrieve(ALERT, id), at=clock.now()))

    def triggered(self, request: Request, id: str) -> Response:
        """When the alert has fired, for whom, and why."""
        given = self.read()
        rows: QuerySet[AlertTriggered] = TRIGGERED.rows().filter(alert=resources.retrieve(ALERT, id))
        return self.answer_list(rows.filter(customer=given["customer"]) if "customer" in given else rows, given)

    def filter(self, queryset: QuerySet[Alert], given: Mapping[str, Any]) -> QuerySet[Alert]:
        return queryset.filter(**{name: given[name] for name in ("alert_type", "meter") if name in given})
