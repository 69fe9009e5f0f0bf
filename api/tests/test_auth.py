"""The whole way into a view: kinds of keys, permissions, addresses, limits, and what a wrong key learns."""

import random
import time
from datetime import timedelta
from ipaddress import ip_network
from statistics import median
from typing import Any

import pytest

from api import keys, limits
from api.auth import find_caller, refuse_malformed
from api.errors import Unauthenticated
from api.keys import Rights, create_api_key, revoke_api_key, roll_api_key
from api.models import ApiKey
from api.tests.conftest import Caller
from core import clock

pytestmark = [pytest.mark.urls("api.tests.widgets"), pytest.mark.django_db]
INVALID = {"type": "invalid_request_error", "message": "Invalid API Key provided."}


def caller(*permissions: str, **rights: Any) -> Caller:
    return Caller(create_api_key("x", clock.now(), rights=Rights(permissions, **rights))[1])


def refusal(answer: Any) -> str:
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error.keys() == {"type", "message"}
    return error["message"]


def test_reading_and_writing_are_apart() -> None:
    reader, writer = caller("widgets:read"), caller("widgets:write")
    assert reader.get("/v1/widgets").status_code == 200
    assert refusal(reader.post("/v1/widgets", name="x")).endswith("needed here: widgets:write.")
    assert writer.post("/v1/widgets", name="x").status_code == 200
    assert refusal(writer.get("/v1/widgets")).endswith("needed here: widgets:read.")
    assert reader.client.head("/v1/widgets", headers=reader.headers).status_code == 200


def test_what_is_refused_is_not_carried_out() -> None:
    reader = caller("widgets:read")
    before = ApiKey.objects.count()
    refusal(reader.post("/v1/widgets", name="x", headers={"Idempotency-Key": "k"}))
    assert ApiKey.objects.count() == before


def test_a_view_that_asks_for_nothing_is_closed() -> None:
    every = caller("widgets:read", "widgets:write", "parts:read")
    assert "it needs a secret key" in refusal(every.get("/v2/widgets"))
    assert "it needs a secret key" in refusal(every.client.put("/v1/widgets", headers=every.headers))
    assert caller().get("/v2/widgets").status_code == 200


def test_what_is_expanded_has_to_be_allowed() -> None:
    row, _ = create_api_key("owner", clock.now())
    create_api_key(row.pk, clock.now())
    for permissions, expand, status in (
        (["parts:read"], [], 200),
        (["parts:read"], ["data.owner"], 403),
        (["parts:read"], ["data.owner.owner"], 403),
        (["parts:read", "widgets:read"], ["data.owner"], 200),
        ([], ["data.owner"], 200),
    ):
        answer = caller(*permissions).get(f"/v1/widgets/{row.pk}/parts", expand=expand)
        assert answer.status_code == status, (permissions, expand)


def test_networks_and_proxies(settings: Any) -> None:
    local = caller(networks=[ip_network("127.0.0.0/8")])
    remote = caller(networks=[ip_network("192.0.2.0/24")])
    told = {"X-Forwarded-For": "10.0.0.1, 192.0.2.9"}
    assert local.get("/v1/widgets", headers=told).status_code == 200
    assert refusal(remote.get("/v1/widgets", headers=told)) == "This API key may not be used from this IP address."
    settings.TRUSTED_PROXIES = 1
    assert remote.get("/v1/widgets", headers=told).status_code == 200
    refusal(local.get("/v1/widgets", headers=told))
    refusal(local.get("/v1/widgets"))


def test_too_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUCKETS", limits.Buckets())
    monkeypatch.setattr(limits.time, "monotonic_ns", lambda: 0)
    slow = caller(rate_limit=1)
    headers = {"Idempotency-Key": "k"}
    assert [slow.post("/v1/widgets", name="x", headers=headers).status_code for _ in range(3)] == [200, 200, 429]
    answer = slow.post("/v1/widgets", name="x", headers=headers)
    assert answer.json()["error"] == {
        "type": "invalid_request_error",
        "code": "rate_limit",
        "message": "Request rate limit exceeded: this API key may make 1 calls a second.",
    }
    assert (answer["Stripe-Should-Retry"], answer["Retry-After"]) == ("true", "1")
    assert caller().get("/v1/widgets").status_code == 200


def test_a_roll_refuses_nobody_and_a_revocation_acts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at = clock.now()
    old, old_secret = create_api_key("x", at)
    new, secret = roll_api_key(old, at, timedelta(hours=1))
    for one in (old_secret, secret):
        assert Caller(one).get("/v1/widgets").status_code == 200
    later = at + timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert Caller(old_secret).get("/v1/widgets").json()["error"]["code"] == "api_key_expired"
    assert Caller(secret).get("/v1/widgets").status_code == 200
    revoke_api_key(new, later)
    assert Caller(secret).get("/v1/widgets").json()["error"] == INVALID


def spoiled(secret: str, place: int) -> str:
    """With another character at `place`, from 0."""
    return secret[:place] + ("a" if secret[place] != "a" else "b") + secret[place + 1 :]


def test_a_wrong_key_does_not_learn_which_part_is_wrong(django_assert_num_queries: Any) -> None:
    _, secret = create_api_key("x", clock.now())
    for wrong in (spoiled(secret, 0), spoiled(secret, 8), spoiled(secret, 56), secret[:-1], secret + "0", "", "é"):
        with django_assert_num_queries(0), pytest.raises(Unauthenticated) as refused:
            refuse_malformed(wrong)
        assert (refused.value.code, refused.value.message) == (None, INVALID["message"])
    unknown = "sk_test_" + "A" * 43
    with django_assert_num_queries(1), pytest.raises(Unauthenticated) as refused:
        find_caller(unknown + keys.checksum(unknown))
    assert (refused.value.code, refused.value.message) == (None, INVALID["message"])


def test_a_wrong_digit_takes_as_long_to_refuse_wherever_it_is() -> None:
    body = "sk_test_" + "A" * 43
    first, last = spoiled(body + keys.checksum(body), 8), spoiled(body + keys.checksum(body), 56)
    taken: dict[str, list[int]] = {first: [], last: []}
    for wrong in random.Random(1).choices((first, last), k=10_000):
        began = time.perf_counter_ns()
        with pytest.raises(Unauthenticated):
            refuse_malformed(wrong)
        taken[wrong].append(time.perf_counter_ns() - began)
    difference = abs(median(taken[first]) - median(taken[last]))
    assert difference < 0.2 * median(taken[last])
