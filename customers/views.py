"""Customers and test clocks over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import metadata, resources
from api.views import ResourceView
from core import clock
from customers import balance, lifecycle, test_clocks
from customers.aliases import NAMES
from customers.models import Customer, TestClock
from customers.resources import BALANCE_TRANSACTION, CUSTOMER, TEST_CLOCK
from customers.serializers import (
    AdvanceTestClock,
    CreateBalanceTransaction,
    CreateCustomer,
    CreateTestClock,
    ListBalanceTransactions,
    ListCustomers,
    UpdateBalanceTransaction,
    UpdateCustomer,
)
from customers.tasks import advance_test_clock

# Parameters that are columns, or names, as they are given.
COPIED = (
    "address",
    "shipping",
    "invoice_prefix",
    "next_invoice_sequence",
    "late_usage",
    "invoice_grace_seconds",
    *NAMES,
)


class CustomerView(ResourceView):
    resource = CUSTOMER
    params = {"create": CreateCustomer, "update": UpdateCustomer, "list": ListCustomers}

    def create(self, request: Request) -> Response:
        given = self.read()
        fields = _fields(given) | {"metadata": metadata.merge({}, given.get("metadata"))}
        at = clock.now()
        customer = lifecycle.create_customer(at=at, test_clock=given.get("test_clock"), **fields)
        if "balance" in given:
            customer = balance.set_balance(customer.pk, given["balance"], at=at, type=balance.Type.INITIAL)
        return self.answer(customer)

    def retrieve(self, request: Request, id: str) -> Response:
        if Customer.objects.deleted().filter(pk=id).exists():
            return self.answer_deleted(id)
        return super().retrieve(request, id)

    def update(self, request: Request, id: str) -> Response:
        given = self.read()
        customer = lifecycle.update_customer(id, changes=_fields(given), metadata=given.get("metadata"), at=clock.now())
        if "balance" in given:
            customer = balance.set_balance(id, given["balance"], at=clock.now())
        return self.answer(customer)

    def destroy(self, request: Request, id: str) -> Response:
        lifecycle.delete_customer(id, at=clock.now())
        return self.answer_deleted(id)

    def filter(self, queryset: QuerySet[Customer], given: Mapping[str, Any]) -> QuerySet[Customer]:
        """Customers on a clock are listed only when asked for by their clock (as Stripe does)."""
        queryset = super().filter(queryset, given).filter(test_clock=given.get("test_clock"))
        if "email" in given:
            queryset = queryset.filter(email=given["email"])
        if "external_id" in given:
            queryset = queryset.filter(aliases__alias=given["external_id"], aliases__is_external_id=True)
        return queryset


class BalanceTransactionView(ResourceView):
    """The ledger of one customer's balance, the newest first."""

    resource = BALANCE_TRANSACTION
    order = ("-sequence", "-id")
    list_actions = frozenset({"transactions"})
    params = {
        "adjust": CreateBalanceTransaction,
        "annotate": UpdateBalanceTransaction,
        "transactions": ListBalanceTransactions,
    }

    def transactions(self, request: Request, id: str) -> Response:
        given = self.read()
        return self.answer_list(self.filter(self._rows(id), given), given)

    def adjust(self, request: Request, id: str) -> Response:
        given = self.read()
        made = balance.adjust_balance(
            id,
            given["amount"],
            currency=given["currency"].lower(),
            at=clock.now(),
            description=given.get("description") or "",
            metadata=metadata.merge({}, given.get("metadata")),
        )
        return self.answer(made)

    def one(self, request: Request, id: str, transaction: str) -> Response:
        return self.answer(resources.retrieve_among(BALANCE_TRANSACTION, self._rows(id), transaction))

    def annotate(self, request: Request, id: str, transaction: str) -> Response:
        given = self.read()
        row = resources.retrieve_among(BALANCE_TRANSACTION, self._rows(id), transaction)
        description = (given["description"] or "") if "description" in given else None
        return self.answer(balance.update_transaction(row.pk, description=description, metadata=given.get("metadata")))

    def filter(self, queryset: QuerySet[Any], given: Mapping[str, Any]) -> QuerySet[Any]:
        queryset = super().filter(queryset, given)
        return queryset.filter(invoice=given["invoice"]) if "invoice" in given else queryset

    def _rows(self, customer_id: str) -> QuerySet[Any]:
        return BALANCE_TRANSACTION.rows().filter(customer=resources.retrieve(CUSTOMER, customer_id))


class TestClockView(ResourceView):
    __test__ = False

    resource = TEST_CLOCK
    params = {"create": CreateTestClock, "advance": AdvanceTestClock}

    def create(self, request: Request) -> Response:
        given = self.read()
        return self.answer(test_clocks.create_test_clock(at=clock.now(), **given))

    def destroy(self, request: Request, id: str) -> Response:
        test_clocks.delete_test_clock(id, at=clock.now())
        return self.answer_deleted(id)

    def advance(self, request: Request, id: str) -> Response:
        given = self.read()
        advancing = test_clocks.start_advance(id, frozen_time=given["frozen_time"])
        transaction.on_commit(lambda: ring(advancing), robust=True)
        return self.answer(advancing)


def ring(advancing: TestClock) -> None:
    """Wake a worker; if the broker does not answer, beat's next look finds the clock."""
    advance_test_clock.delay(advancing.pk)


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    """Columns from parameters; an unset text is empty, an unset hash null."""
    fields: dict[str, Any] = {name: given[name] for name in COPIED if name in given}
    for name in ("description", "email", "name", "phone"):
        if name in given:
            fields[name] = given[name] or ""
    if "tax_exempt" in given:
        fields["tax_exempt"] = given["tax_exempt"] or Customer.TaxExempt.NONE
    if "preferred_locales" in given:
        fields["preferred_locales"] = given["preferred_locales"] or []
    settings = given.get("invoice_settings", {})
    if "footer" in settings:
        fields["invoice_footer"] = settings["footer"] or ""
    if "custom_fields" in settings:
        fields["invoice_custom_fields"] = settings["custom_fields"]
    return fields
