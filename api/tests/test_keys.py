import base64
import string
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test.utils import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from api import keys
from api.callers import Caller
from api.models import ApiKey
from core import clock

pytestmark = pytest.mark.urls("api.tests.widgets")
PATH = "/v1/widgets"


def call(client: Any, header: str | None) -> Any:
    return client.get(PATH, headers={} if header is None else {"Authorization": header})


@pytest.mark.django_db
def test_a_key_is_shown_once_and_not_kept() -> None:
    row, secret = keys.create_api_key("billing", clock.now())
    assert secret.startswith("sk_test_")
    assert len(secret) == 8 + 43 + 6
    assert row.hint == f"sk_test_...{secret[-4:]}"
    kept = " ".join(str(value) for value in ApiKey.objects.values_list().get())
    assert secret[8:-6] not in kept
    assert keys.find_api_key(secret) == row


@pytest.mark.django_db
def test_bearer_and_basic(client: Any) -> None:
    _, secret = keys.create_api_key("billing", clock.now())
    assert call(client, f"Bearer {secret}").status_code == 200
    assert call(client, f"bearer  {secret} ").status_code == 200
    basic = base64.b64encode(f"{secret}:".encode()).decode()
    assert call(client, f"Basic {basic}").status_code == 200


@pytest.mark.django_db
def test_refused_keys(client: Any) -> None:
    at = clock.now()
    expired = keys.create_api_key("old", at, expires_at=at - timedelta(seconds=1))[1]
    row, revoked = keys.create_api_key("revoked", at)
    assert keys.revoke_api_key(row, at).revoked_at == at
    assert keys.revoke_api_key(row, at + timedelta(1)).revoked_at == at
    with override_settings(LIVEMODE=True):
        live = keys.create_api_key("live", at)[1]
    for header, code, message in (
        (None, None, "You did not provide an API key."),
        ("", None, "You did not provide an API key."),
        ("Bearer", None, "Invalid API Key provided."),
        ("Bearer nonsense", None, "Invalid API Key provided."),
        (f"Bearer {revoked}", None, "Invalid API Key provided."),
        (f"Bearer {expired}", "api_key_expired", "Expired API Key provided."),
        (f"Bearer {live}", "livemode_mismatch", "A live mode key was used"),
        ("Bearer pk_test_x", "secret_key_required", "This needs a secret API key"),
        ("Digest x", None, "Invalid Authorization header."),
        ("Basic %%%", None, "Invalid Authorization header."),
        ("Basic /w==", None, "Invalid Authorization header."),
        ("Bearer " + "x" * 1000, None, "Invalid Authorization header."),
    ):
        answer = call(client, header)
        error = answer.json()["error"]
        assert answer.status_code == 401, header
        assert answer["WWW-Authenticate"] == 'Bearer realm="Countinghouse"'
        assert error["type"] == "invalid_request_error"
        assert error.get("code") == code
        assert error["message"].startswith(message)
        assert answer["Request-Id"].startswith("req_")


@settings(max_examples=100, deadline=None)
@given(st.integers(8, 56), st.sampled_from(string.ascii_letters + string.digits))
def test_one_wrong_character_costs_no_query(place: int, char: str) -> None:
    body = "sk_test_" + "A" * 43
    secret = body + keys.checksum(body)
    assert keys.is_well_formed(secret)
    wrong = secret[:place] + char + secret[place + 1 :]
    # Not marked for the database: a query would fail.
    assert wrong == secret or keys.find_api_key(wrong) is None


@pytest.mark.django_db
def test_use_is_noted_once_a_minute(django_assert_num_queries: Any) -> None:
    at = clock.now()
    row, _ = keys.create_api_key("billing", at)
    keys.note_use(row.pk, at)
    row.refresh_from_db()
    assert row.last_used_at == at
    with django_assert_num_queries(0):
        keys.note_use(row.pk, at + timedelta(seconds=59))
    keys.note_use(row.pk, at + timedelta(seconds=60))
    row.refresh_from_db()
    assert row.last_used_at == at + timedelta(seconds=60)


@pytest.mark.django_db
def test_the_first_process_of_a_minute_notes_the_use() -> None:
    at = clock.now()
    row, _ = keys.create_api_key("billing", at)
    ApiKey.objects.filter(pk=row.pk).update(last_used_at=at - timedelta(seconds=59))  # by another process
    keys.note_use(row.pk, at)
    row.refresh_from_db()
    assert row.last_used_at == at - timedelta(seconds=59)


@pytest.mark.django_db
def test_a_changed_secret_key_ends_keys_unless_it_falls_back(settings: Any) -> None:
    row, secret = keys.create_api_key("billing", clock.now())
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    assert keys.find_api_key(secret) is None
    settings.SECRET_KEY_FALLBACKS = [old]
    assert keys.find_api_key(secret) == row


RIGHTS = keys.Rights(["widgets:write", "widgets:read"], [ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")], 7)


@pytest.mark.django_db
def test_the_rights_of_a_key_are_kept() -> None:
    at = clock.now()
    row, secret = keys.create_api_key("billing", at, rights=RIGHTS, note="for the importer", created_by="ada")
    assert secret.startswith("rk_test_")
    found = keys.find_api_key(secret)
    assert found == row
    assert found.caller() == Caller(
        key_id=row.pk,
        kind="restricted",
        permissions=frozenset({"widgets:read", "widgets:write"}),
        networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")),
        rate=7,
    )
    assert (found.note, found.created_by) == ("for the importer", "ada")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rights", "param"),
    [
        (keys.Rights(["widgets:fly"]), "permissions"),
        (keys.Rights(["keys:write"]), "permissions"),
        (keys.Rights(rate_limit=0), "rate_limit"),
    ],
)
def test_rights_that_there_are_not(rights: keys.Rights, param: str) -> None:
    with pytest.raises(keys.InvalidKey) as refused:
        keys.create_api_key("x", clock.now(), rights=rights)
    assert refused.value.param == param
    assert not ApiKey.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"kind": "public"}, "api_key_is_restricted_if_it_has_permissions"),
        ({"kind": "restricted"}, "api_key_is_restricted_if_it_has_permissions"),
        ({"permissions": ["widgets:read"]}, "api_key_is_restricted_if_it_has_permissions"),
        ({"rate_limit": 0}, "api_key_rate_limit_is_positive"),
    ],
)
def test_the_database_holds_the_rules(changes: dict[str, Any], rule: str) -> None:
    row, _ = keys.create_api_key("x", clock.now())
    with pytest.raises(IntegrityError, match=rule):
        ApiKey.objects.filter(pk=row.pk).update(**changes)


@pytest.mark.django_db
def test_a_rolled_key_works_until_the_overlap_is_over() -> None:
    at = clock.now()
    old, old_secret = keys.create_api_key("billing", at, rights=RIGHTS, note="n")
    new, secret = keys.roll_api_key(old, at, timedelta(days=7), created_by="ada")

    assert old.expires_at == at + timedelta(days=7)
    assert replace(new.caller(), key_id=old.pk, expires_at=old.expires_at) == old.caller()
    assert (new.name, new.note, new.created_by, new.replaces) == ("billing", "n", "ada", old)
    assert new.expires_at is None
    assert keys.find_api_key(secret) == new
    assert keys.find_api_key(old_secret) == old
    assert secret[:8] == old_secret[:8]


@pytest.mark.django_db
def test_a_key_that_ends_is_followed_by_one_that_lasts_as_long() -> None:
    at, day = clock.now(), timedelta(days=1)
    old, _ = keys.create_api_key("billing", at, expires_at=at + 10 * day)
    new, _ = keys.roll_api_key(old, at + 9 * day, 7 * day)
    assert old.expires_at == at + 10 * day  # not later than it would have been
    assert new.expires_at == at + 19 * day
    last, _ = keys.roll_api_key(new, at + 9 * day, timedelta(0))
    assert not new.is_usable(at + 9 * day)
    assert last.is_usable(at + 9 * day)


@pytest.mark.django_db
def test_what_cannot_be_rolled() -> None:
    at = clock.now()
    key, _ = keys.create_api_key("billing", at)
    for overlap in (timedelta(days=7, seconds=1), timedelta(seconds=-1)):
        with pytest.raises(keys.InvalidKey):
            keys.roll_api_key(key, at, overlap)
    keys.roll_api_key(key, at, timedelta(hours=1))
    with pytest.raises(keys.KeyNotUsable, match="rolled already"):
        keys.roll_api_key(key, at, timedelta(hours=1))
    ended = keys.revoke_api_key(keys.create_api_key("revoked", at)[0], at)
    with pytest.raises(keys.KeyNotUsable, match="has ended"):
        keys.roll_api_key(ended, at, timedelta(0))
    assert ApiKey.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_of_two_rolls_at_once_one_is_made() -> None:
    at = clock.now()
    key, _ = keys.create_api_key("billing", at)

    def roll(_: int) -> bool:
        try:
            keys.roll_api_key(ApiKey.objects.get(pk=key.pk), at, timedelta(hours=1))
        except keys.KeyNotUsable:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(roll, range(4))) == [False, False, False, True]
    assert ApiKey.objects.count() == 2


@pytest.mark.django_db
def test_usable_keys() -> None:
    at = clock.now()
    good, _ = keys.create_api_key("good", at, expires_at=at + timedelta(1))
    keys.create_api_key("expired", at, expires_at=at)
    keys.revoke_api_key(keys.create_api_key("revoked", at)[0], at)
    assert list(ApiKey.objects.usable(at)) == [good]
    assert str(good) == f"good ({good.hint})"
