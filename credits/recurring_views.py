"""Recurring credit grants over HTTP (ours)."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import metadata
from api.views import ResourceView
from core import clock
from core.errors import InvalidRequest, ParameterMissing
from credits.grants import NewGrant
from credits.models import RecurringCreditGrant
from credits.recurring import (
    NewRecurring,
    cancel_recurring,
    create_recurring,
    resume_recurring,
    update_recurring,
)
from credits.recurring_serializers import CreateRecurring, ListRecurring, UpdateRecurring
from credits.resources import RECURRING_CREDIT_GRANT
from credits.rollover import Rollover
from credits.serializers import amount_given, prices_of

OF_EACH = ("category", "name", "priority")
OF_ALL = ("ends_at", "interval", "interval_count", "starts_at")
OF_KIND = {"none": (), "unused": ("fraction", "max_amount"), "periods": ("periods",)}


class RecurringCreditGrantView(ResourceView):
    resource = RECURRING_CREDIT_GRANT
    params = {"create": CreateRecurring, "update": UpdateRecurring, "list": ListRecurring}

    def create(self, request: Request) -> Response:
        given = self.read()
        scope = given.get("applicability_config", {"scope": {"price_type": "metered"}})["scope"]
        each = NewGrant(
            **amount_given(given["amount"]),
            prices=prices_of(scope, "applicability_config[scope]") or (),
            metadata=metadata.merge({}, given.get("metadata")),
            **{name: given[name] for name in OF_EACH if name in given},
        )
        rhythm = {name: given[name] for name in OF_ALL if name in given}
        new = NewRecurring(each=each, rollover=_rollover(given.get("rollover", {"type": "none"})), **rhythm)
        return self.answer(create_recurring(given["customer"], new, at=clock.now()))

    def update(self, request: Request, id: str) -> Response:
        given = self.read()
        changes = {name: given[name] for name in ("ends_at",) if name in given}
        if "name" in given:
            changes["name"] = given["name"] or ""
        return self.answer(update_recurring(id, at=clock.now(), metadata=given.get("metadata"), changes=changes))

    def cancel(self, request: Request, id: str) -> Response:
        return self.answer(cancel_recurring(id, at=clock.now()))

    def resume(self, request: Request, id: str) -> Response:
        return self.answer(resume_recurring(id, at=clock.now()))

    def filter(self, queryset: QuerySet[RecurringCreditGrant], given: Mapping[str, Any]) -> Any:
        """Of a clock's customers only what is asked for by customer."""
        queryset = super().filter(queryset, given)
        if "status" in given:
            queryset = queryset.filter(status=given["status"])
        if "customer" in given:
            return queryset.filter(customer=given["customer"])
        return queryset.filter(customer__test_clock=None)


def _rollover(given: Mapping[str, Any]) -> Rollover:
    """Raises InvalidRequest, ParameterMissing."""
    kind = given["type"]
    for name in given:
        if name not in ("type", *OF_KIND[kind]):
            raise InvalidRequest(f"rollover[{name}] is not valid for the type {kind}.", param=f"rollover[{name}]")
    if kind == "periods" and "periods" not in given:
        raise ParameterMissing("rollover[periods]")
    return Rollover(kind, given.get("fraction"), given.get("max_amount"), given.get("periods", 1))
