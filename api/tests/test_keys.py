import base64
import string
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test.utils import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from api import keys
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
    keys.note_use(row, at)
    row.refresh_from_db()
    assert row.last_used_at == at
    with django_assert_num_queries(0):
        keys.note_use(row, at + timedelta(seconds=59))
    keys.note_use(row, at + timedelta(seconds=60))
    row.refresh_from_db()
    assert row.last_used_at == at + timedelta(seconds=60)


@pytest.mark.django_db
def test_a_changed_secret_key_ends_keys_unless_it_falls_back(settings: Any) -> None:
    row, secret = keys.create_api_key("billing", clock.now())
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    assert keys.find_api_key(secret) is None
    settings.SECRET_KEY_FALLBACKS = [old]
    assert keys.find_api_key(secret) == row


@pytest.mark.django_db
def test_the_command_prints_only_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_api_key", "--name", "ci")
    printed = capsys.readouterr().out
    assert printed == printed.strip() + "\n"
    found = keys.find_api_key(printed.strip())
    assert found is not None
    assert found.name == "ci"


@pytest.mark.django_db
def test_usable_keys() -> None:
    at = clock.now()
    good, _ = keys.create_api_key("good", at, expires_at=at + timedelta(1))
    keys.create_api_key("expired", at, expires_at=at)
    keys.revoke_api_key(keys.create_api_key("revoked", at)[0], at)
    assert list(ApiKey.objects.usable(at)) == [good]
    assert str(good) == f"good ({good.hint})"
