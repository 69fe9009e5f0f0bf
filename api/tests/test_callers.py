"""What a caller may do, judged without the database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest

from api import limits
from api.callers import Caller, check
from api.errors import Forbidden, RateLimited, Unauthenticated
from core.errors import BillingError

AT = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HERE = ip_address("192.0.2.7")
SECRET = Caller(key_id="key_1", kind="secret")
RESTRICTED = Caller(key_id="key_2", kind="restricted", permissions=frozenset({"meter_events:write"}))
ANY = [SECRET, RESTRICTED]


def refused(caller: Caller, permission: str | None = "meter_events:write", address: object = HERE) -> BillingError:
    with pytest.raises(BillingError) as caught:
        check(caller, permission=permission, address=address, at=AT)
    return caught.value


def test_a_secret_key_may_do_everything() -> None:
    for permission in ("meter_events:write", "customers:write", None):
        check(SECRET, permission=permission, address=None, at=AT)


def test_a_restricted_key_may_do_what_is_listed() -> None:
    check(RESTRICTED, permission="meter_events:write", address=None, at=AT)
    for permission in ("meter_events:read", "customers:read", "meter_events"):
        error = refused(RESTRICTED, permission)
        assert isinstance(error, Forbidden)
        assert error.message.endswith(f"does not have the permission that is needed here: {permission}.")
    assert "it needs a secret key" in refused(RESTRICTED, None).message


@pytest.mark.parametrize("caller", ANY)
def test_a_key_ends(caller: Caller) -> None:
    check(replace(caller, expires_at=AT + SECOND), permission="meter_events:write", address=None, at=AT)
    expired = refused(replace(caller, expires_at=AT))
    assert isinstance(expired, Unauthenticated)
    assert (expired.code, expired.message) == ("api_key_expired", "Expired API Key provided.")
    both = refused(replace(caller, expires_at=AT, revoked_at=AT))
    assert isinstance(both, Unauthenticated)
    assert (both.code, both.message) == (None, "Invalid API Key provided.")


@pytest.mark.parametrize("caller", ANY)
def test_a_key_is_used_from_its_networks(caller: Caller) -> None:
    bound = replace(caller, networks=(ip_network("192.0.2.0/30"), ip_network("2001:db8::/64")))
    for address in ("192.0.2.3", "2001:db8::1"):
        check(bound, permission="meter_events:write", address=ip_address(address), at=AT)
    for address in ("192.0.2.4", "2001:db8:0:1::1", None):
        error = refused(bound, address=address and ip_address(address))
        assert isinstance(error, Forbidden)
        assert error.message == "This API key may not be used from this IP address."


def test_calls_are_counted_for_each_key(settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUCKETS", limits.Buckets())
    monkeypatch.setattr(limits.time, "monotonic_ns", lambda: 5)
    settings.RATE_LIMIT_PER_SECOND, settings.METERING_RATE_LIMIT_PER_SECOND, settings.WEB_WORKERS = 2, 0, 1
    other = replace(RESTRICTED, permissions=frozenset({"customers:read"}))
    for _ in range(4):
        check(SECRET, permission="customers:read", address=None, at=AT)
    error = refused(SECRET, "customers:read")
    assert isinstance(error, RateLimited)
    assert (error.code, error.should_retry, error.retry_after) == ("rate_limit", True, 1)
    # What is refused for want of a permission counts too: nobody may ask without end.
    for _ in range(4):
        assert isinstance(refused(other, "customers:write"), Forbidden)
    assert isinstance(refused(other, "customers:write"), RateLimited)
    for _ in range(50):
        check(SECRET, permission="meter_events:write", address=None, at=AT)
