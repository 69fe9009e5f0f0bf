"""Keys and limits as programs with the official client meet them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from api import limits
from api.keys import Rights, create_api_key, revoke_api_key
from core import clock
from tests.wire.client import Wire, client_of, refused


def with_rights(wire: Wire, *permissions: str, rate_limit: int | None = None, **options: Any) -> Wire:
    secret = create_api_key("wire", clock.now(), rights=Rights(permissions, rate_limit=rate_limit))[1]
    return Wire(client_of(wire.url, secret, **options), wire.url, secret)


def test_a_restricted_key(wire: Wire) -> None:
    meter, customer = wire.meter(), wire.customer()
    sender = with_rights(wire, "meter_events:write")
    assert sender.send(meter, customer, "5").event_name == meter.event_name
    for call, permission in (
        (sender.v1.customers.list, "customers:read"),
        (lambda: sender.v1.customers.create({"name": "x"}), "customers:write"),
        (lambda: sender.v1.billing.meters.retrieve(meter.id), "meters:read"),
    ):
        error = refused(stripe.PermissionError, call, status=403)
        assert permission in error.user_message
        assert error.json_body["error"]["type"] == "invalid_request_error"


def test_what_is_read_is_not_expanded_into_more(wire: Wire) -> None:
    customer = wire.customer()
    subscription = wire.subscribe(customer, wire.price(wire.meter()))
    reader = with_rights(wire, "subscriptions:read")
    assert reader.v1.subscriptions.retrieve(subscription.id).customer == customer.id
    error = refused(
        stripe.PermissionError,
        lambda: reader.v1.subscriptions.retrieve(subscription.id, {"expand": ["customer"]}),
        status=403,
    )
    assert "customers:read" in error.user_message
    both = with_rights(wire, "subscriptions:read", "customers:read")
    assert both.v1.subscriptions.retrieve(subscription.id, {"expand": ["customer"]}).customer.name == "Ada"


def test_keys_that_have_ended(wire: Wire) -> None:
    at = clock.now()
    expired = create_api_key("x", at, expires_at=at)[1]
    row, revoked = create_api_key("x", at)
    revoke_api_key(row, at)
    for secret, code, message in (
        (expired, "api_key_expired", "Expired API Key provided."),
        (revoked, None, "Invalid API Key provided."),
    ):
        error = refused(stripe.AuthenticationError, client_of(wire.url, secret).v1.customers.list, status=401)
        assert (error.json_body["error"].get("code"), error.user_message) == (code, message)


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(limits, "BUCKETS", limits.Buckets())
    return


@pytest.mark.usefixtures("buckets")
def test_a_limit_is_told(wire: Wire) -> None:
    slow = with_rights(wire, rate_limit=1)
    for _ in range(2):
        slow.v1.customers.list()
    error = refused(stripe.RateLimitError, slow.v1.customers.list, status=429)
    assert error.json_body["error"]["code"] == "rate_limit"  # the client leaves its own `code` empty here
    assert (error.headers["stripe-should-retry"], error.headers["retry-after"]) == ("true", "1")


@pytest.mark.usefixtures("buckets")
def test_every_event_arrives_far_above_the_limit(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty senders at once, where eight a second are allowed; the client's own back-off does the rest."""
    waits: list[int] = []
    take = limits.Buckets.take

    def taken(*args: Any) -> int:
        waits.append(take(*args))
        return waits[-1]

    monkeypatch.setattr(limits.Buckets, "take", taken)
    meter, customer, limit = wire.meter(), wire.customer(), 8
    sender = with_rights(wire, "meter_events:write", rate_limit=limit, max_network_retries=10)
    start = int(time.time()) - 1
    with ThreadPoolExecutor(40) as pool:
        sent = list(pool.map(lambda n: sender.send(meter, customer, "1", identifier=f"e{n}").identifier, range(40)))
    assert sent == [f"e{n}" for n in range(40)]
    assert sum(wait > 0 for wait in waits) >= 10
    first = start - start % 60
    bounds = {"customer": customer.id, "start_time": first, "end_time": first + 180}
    [summary] = wire.v1.billing.meters.event_summaries.list(meter.id, bounds)
    assert summary.aggregated_value == 40
