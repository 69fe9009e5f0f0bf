"""Every address of the API with every kind of key."""

from functools import cache
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver

from api.keys import Rights, create_api_key
from api.permissions import permissions, served
from api.views import unknown_url
from core import clock
from tests.test_openapi import patterns

pytestmark = pytest.mark.django_db

# Who adds an address adds its permission here, and so knows what restricted keys may do with it.
KNOWN = {
    "customers:read", "customers:write", "test_clocks:read", "test_clocks:write",
    "meters:read", "meters:write", "meter_events:read", "meter_events:write", "usage:read",
    "quarantined_events:read", "quarantined_events:write", "usage_imports:read", "usage_imports:write", "events:read",
    "alerts:read", "alerts:write",
    "products:read", "products:write", "prices:read", "prices:write",
    "coupons:read", "coupons:write", "promotion_codes:read", "promotion_codes:write",
    "tax_rates:read", "tax_rates:write",
    "subscriptions:read", "subscriptions:write", "subscription_items:read", "subscription_items:write",
    "subscription_schedules:read", "subscription_schedules:write",
    "invoices:read", "invoices:write", "credit_notes:read", "credit_notes:write",
    "invoiceitems:read", "invoiceitems:write",
    "credit_grants:read", "credit_grants:write", "credit_balance_transactions:read", "credit_balance_summary:read",
    "credit_holds:read", "credit_holds:write",
    "late_usages:read", "late_usages:write",
    "recurring_credit_grants:read", "recurring_credit_grants:write", "auto_top_ups:read", "auto_top_ups:write",
    "portal_sessions:write",
    "webhook_endpoints:read", "webhook_endpoints:write", "event_destinations:read", "event_destinations:write",
}  # fmt: skip
ROUTES = sorted(served(get_resolver().url_patterns), key=str)


def test_what_there_is() -> None:
    assert set(permissions()) == KNOWN
    needed = {(method, path): permission for method, path, permission in ROUTES}
    assert len(needed) == len(ROUTES) > 30
    for call, permission in (
        (("post", "/v1/billing/meter_events"), "meter_events:write"),
        (("get", "/v1/billing/meters/<str:id>/event_summaries"), "usage:read"),
        (("get", "/v1/billing/meters/<str:id>"), "meters:read"),
        (("post", "/v1/billing/meters/<str:id>/deactivate"), "meters:write"),
        (("post", "/v1/invoices/create_preview"), "invoices:read"),
        (("get", "/v1/invoices/<str:id>/lines"), "invoices:read"),
        (("delete", "/v1/customers/<str:id>"), "customers:write"),
    ):
        assert needed[call] == permission


def test_nothing_of_the_api_is_served_otherwise() -> None:
    """No key can make keys either: there is no address for them."""
    for entry in patterns(get_resolver().url_patterns):
        address = str(entry.pattern).lstrip("^")
        if address.startswith("v"):
            assert hasattr(getattr(entry.callback, "cls", None), "permission_of") or entry.callback is unknown_url
            assert "key" not in address


@pytest.fixture
def answer() -> Any:
    """Calls an address with a key of the given permissions, of None for no key, or of a text for that."""

    @cache
    def header(allowed: Any) -> dict[str, str]:
        if allowed is None:
            return {}
        if isinstance(allowed, str):
            return {"Authorization": f"Bearer {allowed}"}
        return {"Authorization": f"Bearer {create_api_key('x', clock.now(), rights=Rights(sorted(allowed)))[1]}"}

    client = Client(raise_request_exception=False)

    def call(method: str, path: str, allowed: Any) -> Any:
        return getattr(client, method)(
            path.replace("<str:id>", "nothing_1").replace("<str:line>", "nothing_2"), headers=header(allowed)
        )

    return call


EVERY = frozenset(KNOWN)
SESSIONS_ONLY = ("post", "/v2/billing/meter_event_stream", "meter_events:write")  # no key, only a session's token
SECRET: frozenset[str] = frozenset()


def test_the_stream_takes_no_key(answer: Any) -> None:
    method, path, permission = SESSIONS_ONLY
    for allowed in (SECRET, EVERY, frozenset({permission})):
        assert answer(method, path, allowed).status_code == 401


@pytest.mark.parametrize(("method", "path", "permission"), [route for route in ROUTES if route != SESSIONS_ONLY])
def test_each_kind_of_key(answer: Any, method: str, path: str, permission: str | None) -> None:
    publishable = "pk_test_" + "0" * 49
    assert answer(method, path, None).status_code == 401
    assert answer(method, path, publishable).json()["error"]["code"] == "secret_key_required"
    assert answer(method, path, SECRET).status_code in (200, 400, 404)
    if permission is None:
        assert answer(method, path, EVERY).status_code == 403
        return
    assert answer(method, path, frozenset({permission})).status_code in (200, 400, 404)
    refused = answer(method, path, EVERY - {permission})
    assert refused.status_code == 403
    error = refused.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"].endswith(f" {permission}.")
