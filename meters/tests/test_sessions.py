"""Tokens that stand for an API key for a while."""

from datetime import timedelta

import pytest

from api.errors import TemporarySessionExpired, Unauthenticated
from api.keys import create_api_key, revoke_api_key
from meters.sessions import LIFETIME, begin_session, caller_of_session
from tests.make import JAN

pytestmark = pytest.mark.django_db
MOMENT = timedelta(microseconds=1)


@pytest.fixture
def key():
    return create_api_key("test", JAN)[0]


def test_a_session_is_good_for_fifteen_minutes(key):
    session = begin_session(key.pk, at=JAN)
    assert session.expires_at - session.created == timedelta(minutes=15)
    assert caller_of_session(session.authentication_token, JAN + LIFETIME - MOMENT) == key.caller()
    with pytest.raises(TemporarySessionExpired):
        caller_of_session(session.authentication_token, JAN + LIFETIME)


def test_a_session_ends_with_its_key(key):
    token = begin_session(key.pk, at=JAN).authentication_token
    revoke_api_key(key, JAN + MOMENT)
    with pytest.raises(Unauthenticated, match="revoked"):
        caller_of_session(token, JAN + 2 * MOMENT)


def test_a_session_ends_when_its_key_expires():
    key, _ = create_api_key("short", JAN, expires_at=JAN + timedelta(minutes=1))
    token = begin_session(key.pk, at=JAN).authentication_token
    with pytest.raises(Unauthenticated):
        caller_of_session(token, JAN + timedelta(minutes=1))


def test_nobody_else_can_make_or_change_a_token(key):
    token = begin_session(key.pk, at=JAN).authentication_token
    id, owner, expiry, signature = token.split(".")
    other = create_api_key("other", JAN)[0]
    forged = [
        f"{id}.{other.pk}.{expiry}.{signature}",
        f"{id}.{owner}.{int(expiry) + 1}.{signature}",
        f"{id}.{owner}.{expiry}.{signature[:-1]}",
        f"{id}.{owner}.{expiry}.",
        f"{id}.{owner}.{expiry}",
        "mes_",
        "",
    ]
    for wrong in forged:
        with pytest.raises(Unauthenticated) as caught:
            caller_of_session(wrong, JAN)
        assert not isinstance(caught.value, TemporarySessionExpired)


def test_a_new_secret_of_the_installation_ends_sessions_unless_the_old_one_is_kept(key, settings):
    token, old = begin_session(key.pk, at=JAN).authentication_token, settings.SECRET_KEY
    settings.SECRET_KEY = "new" * 20
    with pytest.raises(Unauthenticated):
        caller_of_session(token, JAN)
    settings.SECRET_KEY_FALLBACKS = [old]
    assert caller_of_session(token, JAN) == key.caller()
