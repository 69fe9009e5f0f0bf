"""Auto top-ups over HTTP (ours)."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import metadata, resources
from api.views import ResourceView
from core import clock
from core.errors import NotFound
from credits.models import AutoTopUp, TopUp
from credits.serializers import prices_of
from invoices.auto_top_up_serializers import CreateAutoTopUp, ListAutoTopUps, ListTopUps, UpdateAutoTopUp
from invoices.auto_top_ups import (
    TERMS,
    Lifetime,
    NewAutoTopUp,
    create_auto_top_up,
    delete_auto_top_up,
    update_auto_top_up,
)
from invoices.resources import AUTO_TOP_UP, TOP_UP


class AutoTopUpView(ResourceView):
    """Purchases go on naming a deleted one, so the resource knows it; nobody else sees it."""

    resource = AUTO_TOP_UP
    params = {
        "create": CreateAutoTopUp,
        "update": UpdateAutoTopUp,
        "list": ListAutoTopUps,
        "top_ups": ListTopUps,
    }
    list_actions = frozenset({"list", "search", "top_ups"})
    answers = {"top_ups": TOP_UP}

    def create(self, request: Request) -> Response:
        given = self.read()
        new = NewAutoTopUp(
            currency=given["currency"].lower(), metadata=metadata.merge({}, given.get("metadata")), **_terms(given)
        )
        return self._answer(create_auto_top_up(given["customer"], new, at=clock.now()))

    def retrieve(self, request: Request, id: str) -> Response:
        return self.answer(self._live(id))

    def update(self, request: Request, id: str) -> Response:
        given = self.read()
        changed = update_auto_top_up(id, at=clock.now(), metadata=given.get("metadata"), changes=_terms(given))
        return self._answer(changed)

    def destroy(self, request: Request, id: str) -> Response:
        delete_auto_top_up(id, at=clock.now())
        return self.answer_deleted(id)

    def top_ups(self, request: Request, id: str) -> Response:
        """The purchases of one, the newest first."""
        rows: QuerySet[TopUp] = TOP_UP.rows().filter(auto_top_up=self._live(id))
        given = self.read()
        return self.answer_list(super().filter(rows, given), given)

    def filter(self, queryset: QuerySet[AutoTopUp], given: Mapping[str, Any]) -> QuerySet[AutoTopUp]:
        """Of a clock's customers only what is asked for by customer."""
        queryset = super().filter(queryset, given).filter(deleted_at=None)
        if "customer" in given:
            return queryset.filter(customer=given["customer"])
        return queryset.filter(customer__test_clock=None)

    def _live(self, id: str) -> AutoTopUp:
        row: AutoTopUp = resources.retrieve(self.resource, id)
        if not row.is_live:
            raise NotFound(self.resource.kind, id, param="id")
        return row

    def _answer(self, row: AutoTopUp) -> Response:
        return self.answer(self._live(row.pk))


def _terms(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given of the terms, as the verbs take it."""
    terms = {name: given[name] for name in TERMS if name in given}
    if "applicability_config" in given:
        scope = given["applicability_config"]["scope"]
        terms["prices"] = prices_of(scope, "applicability_config[scope]") or ()
    if terms.get("expires_after"):
        after = terms["expires_after"]
        terms["expires_after"] = Lifetime(after["interval"], after["interval_count"])
    return terms
