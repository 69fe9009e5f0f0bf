"""Credit grants over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import metadata
from api.views import ResourceView
from core import clock
from core.errors import ResourceMissing
from credits.grants import NewGrant, create_grant, expire_grant, update_grant, void_grant
from credits.models import CreditGrant, CreditGrantQuerySet
from credits.resources import CREDIT_GRANT, CREDIT_SUMMARY, CREDIT_TRANSACTION
from credits.scope import check_prices, covering
from credits.serializers import (
    SCOPES,
    CreateGrant,
    EndGrant,
    ListGrants,
    ListTransactions,
    RetrieveSummary,
    UpdateGrant,
    amount_given,
    only_one,
    prices_of,
)
from credits.summary import Summary, balances_of
from customers.models import Customer

COPIED = ("category", "effective_at", "expires_at", "name", "priority")


class CreditGrantView(ResourceView):
    resource = CREDIT_GRANT
    params = {
        "create": CreateGrant,
        "update": UpdateGrant,
        "list": ListGrants,
        "expire": EndGrant,
        "void": EndGrant,
    }

    def create(self, request: Request) -> Response:
        given = self.read()
        new = NewGrant(
            **amount_given(given["amount"]),
            prices=prices_of(given["applicability_config"]["scope"], "applicability_config[scope]") or (),
            metadata=metadata.merge({}, given.get("metadata")),
            **{name: given[name] for name in COPIED if name in given},
        )
        return self.answer(create_grant(given["customer"], new, at=clock.now()))

    def update(self, request: Request, id: str) -> Response:
        given = self.read()
        changes = {name: given[name] for name in ("expires_at",) if name in given}
        return self.answer(update_grant(id, at=clock.now(), metadata=given.get("metadata"), changes=changes))

    def expire(self, request: Request, id: str) -> Response:
        return self.answer(expire_grant(id, at=clock.now(), reason=self.read().get("reason", "")))

    def void(self, request: Request, id: str) -> Response:
        return self.answer(void_grant(id, at=clock.now(), reason=self.read().get("reason", "")))

    def filter(self, queryset: QuerySet[CreditGrant], given: Mapping[str, Any]) -> QuerySet[CreditGrant]:
        """Of a clock's grants only those asked for by customer or by what recurs."""
        queryset = super().filter(queryset, given)
        names = {"customer": "customer", "recurring_credit_grant": "recurring"}
        asked = {column: given[name] for name, column in names.items() if name in given}
        return queryset.filter(**asked) if asked else queryset.filter(customer__test_clock=None)


class CreditTransactionView(ResourceView):
    """The ledger of credits, the newest first; of one grant a chain."""

    resource = CREDIT_TRANSACTION
    params = {"list": ListTransactions}
    order = ("-created_at", "-sequence", "-id")

    def filter(self, queryset: QuerySet[Any], given: Mapping[str, Any]) -> QuerySet[Any]:
        """Of a clock's customers only what is asked for by customer or grant."""
        queryset = super().filter(queryset, given)
        names = {"credit_grant": "grant", "customer": "customer"}
        asked = {column: given[name] for name, column in names.items() if name in given}
        return queryset.filter(**asked) if asked else queryset.filter(customer__test_clock=None)


class CreditSummaryView(ResourceView):
    resource = CREDIT_SUMMARY
    params = {"summary": RetrieveSummary}

    def summary(self, request: Request) -> Response:
        given = self.read()
        customer = Customer.objects.live().select_related("test_clock").filter(pk=given["customer"]).first()
        if customer is None:
            raise ResourceMissing("customer", given["customer"], param="customer")
        at = customer.now(clock.now())
        balances = balances_of(customer, _asked(customer, given["filter"]), at=at)
        return self.answer(Summary(customer.pk, balances))


def _asked(customer: Customer, given: Mapping[str, Any]) -> CreditGrantQuerySet:
    """The grants that the filter of a summary means."""
    asked = only_one(given, SCOPES, "filter")
    grants = CreditGrant.objects.filter(customer=customer)
    if given["type"] == "credit_grant":
        if not grants.filter(pk=asked).exists():
            raise ResourceMissing(CREDIT_GRANT.kind, asked, param="filter[credit_grant]")
        return grants.filter(pk=asked)
    param = "filter[applicability_scope]"
    prices = prices_of(asked, param)
    return covering(grants, None if prices is None else check_prices(prices, param=f"{param}[prices]"))
