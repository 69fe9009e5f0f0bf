"""Links and browser sessions: how long they open the portal, and what ends them."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.core import signing
from django.test import Client
from django.urls import reverse

from core import clock
from core.errors import ResourceMissing
from customers.lifecycle import delete_customer
from portal.access import COOKIE
from portal.models import PortalSession
from portal.sessions import (
    BROWSING,
    InvalidUrl,
    browser_token,
    create_session,
    forget_sessions,
    revoke_session,
    session_of,
    session_of_browser,
)
from portal.tests.scenes import enter
from tests import make
from tests.make import JAN

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
LINK = timedelta(seconds=settings.PORTAL_LINK_SECONDS)


def test_a_link_opens_until_it_expires():
    session = create_session(make.customer().pk, at=JAN)

    assert session_of(session.token, JAN + LINK - SECOND) == session
    assert session_of(session.token, JAN + LINK) is None


def test_a_lifetime_can_be_chosen():
    session = create_session(make.customer().pk, at=JAN, lifetime=timedelta(minutes=5))

    assert session.expires_at == JAN + timedelta(minutes=5)


def test_a_browser_stays_an_hour_from_the_opening():
    session = create_session(make.customer().pk, at=JAN)
    opened = JAN + LINK - SECOND
    token = browser_token(session, opened)

    assert session_of_browser(token, opened + BROWSING - SECOND) == session
    assert session_of_browser(token, opened + BROWSING) is None


def test_times_are_real_also_on_a_test_clock():
    clock_ = make.clock()
    session = create_session(make.customer(on=clock_).pk, at=JAN)
    make.move(clock_, JAN + timedelta(days=300))

    assert session_of(session.token, JAN + SECOND) == session


def test_what_was_not_signed_here_opens_nothing():
    session = create_session(make.customer().pk, at=JAN)
    body, _, signature = session.token.rpartition(":")
    other = create_session(make.customer().pk, at=JAN)
    tokens = [
        "",
        session.pk,
        body + ":",
        f"{body}:{signature[:-1]}",
        f"{other.pk}:{signature}",
        session.token + "x",
        "\x00" + session.token,
        signing.Signer(salt="another").sign(session.pk),
        signing.Signer(key="another key", salt="portal.link").sign(session.pk),
        signing.Signer(salt="portal.link").sign("bps_0000000000000000000000"),
        browser_token(session, JAN),
    ]

    assert [session_of(token, JAN) for token in tokens] == [None] * len(tokens)
    assert [session_of_browser(token, JAN) for token in [*tokens[:-1], session.token]] == [None] * len(tokens)


def test_a_revoked_session_ends_link_and_browser():
    session = create_session(make.customer().pk, at=JAN)
    token = browser_token(session, JAN)
    revoke_session(session.pk, at=JAN)
    revoke_session(session.pk, at=JAN + SECOND)

    assert session_of(session.token, JAN) is None
    assert session_of_browser(token, JAN) is None
    assert PortalSession.objects.get().revoked_at == JAN


def test_a_deleted_customer_ends_its_sessions():
    customer = make.customer()
    session = create_session(customer.pk, at=JAN)
    token = browser_token(session, JAN)
    delete_customer(customer.pk, at=JAN)

    assert session_of(session.token, JAN) is None
    assert session_of_browser(token, JAN) is None
    with pytest.raises(ResourceMissing):
        create_session(customer.pk, at=JAN)


@pytest.mark.parametrize("customer_id", ["cus_nobody", "", "cus_\x00"])
def test_an_unknown_customer_gets_no_session(customer_id):
    with pytest.raises(ResourceMissing):
        create_session(customer_id, at=JAN)


@pytest.mark.parametrize("url", ["https://app.example/billing?a=1#b", "http://localhost:3000", "https://[::1]/x"])
def test_return_urls(url):
    assert create_session(make.customer().pk, at=JAN, return_url=url).return_url == url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)//https://a",
        "data:text/html,x",
        "ftp://example.com",
        "//example.com",
        "/account",
        "example.com",
        "https://",
        "https:///path",
        "https://good.example@evil.example/",
        "https://[broken",
        "https://exa mple.com",
        "https://example.com/\nx",
        " https://example.com",
        "https://example.com/\u202e",
    ],
)
def test_a_return_url_leads_to_a_web_page(url):
    with pytest.raises(InvalidUrl):
        create_session(make.customer().pk, at=JAN, return_url=url)


def test_old_sessions_are_forgotten():
    customer = make.customer()
    old = create_session(customer.pk, at=JAN)
    kept = create_session(customer.pk, at=JAN + timedelta(days=2))

    assert forget_sessions(old.expires_at + timedelta(days=30)) == 1
    assert PortalSession.objects.get() == kept


def test_the_cookie_is_signed_and_kept_from_scripts_and_other_sites():
    session = create_session(make.customer().pk, at=clock.now())
    answer = Client().get(session.url(""), secure=True)

    cookie = answer.cookies[COOKIE]
    assert (answer.status_code, answer["Location"]) == (302, "/portal/")
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/portal", True, "Lax")
    assert (cookie["secure"], cookie["max-age"]) == (True, 3600)
    assert answer["Cache-Control"] == "no-store"


def test_a_link_can_be_opened_again():
    session = create_session(make.customer().pk, at=clock.now())

    assert [Client().get(session.url("")).status_code for _ in range(2)] == [302, 302]


@pytest.mark.parametrize("age", [LINK, LINK + BROWSING])
def test_an_expired_link_says_how_to_get_a_new_one(age):
    session = create_session(make.customer().pk, at=clock.now() - age)
    client = Client()
    answer = client.get(session.url(""))

    assert answer.status_code == 403
    assert "To get a new link" in answer.content.decode()
    assert COOKIE not in answer.cookies
    assert client.get("/portal/").status_code == 403


def test_signing_out_ends_the_session_and_its_link():
    session = create_session(make.customer().pk, at=clock.now())
    client = Client(enforce_csrf_checks=True)
    client.get(session.url(""))
    assert client.post("/portal/sign-out").status_code == 403  # without the form's token
    assert client.get("/portal/").status_code == 200
    stolen = client.cookies[COOKIE].value

    token = client.cookies["csrftoken"].value
    answer = client.post("/portal/sign-out", {"csrfmiddlewaretoken": token})

    assert answer.status_code == 200
    assert client.get("/portal/").status_code == 403
    assert client.get(session.url("")).status_code == 403
    assert Client(headers={"cookie": f"{COOKIE}={stolen}"}).get("/portal/").status_code == 403
    assert Client().post("/portal/sign-out").status_code == 200


def test_the_link_begins_with_the_public_address(settings, rf):
    session = create_session(make.customer().pk, at=JAN)
    path = reverse("portal:open", args=[session.token])

    assert session.url(rf.get("/")) == f"http://testserver{path}"
    assert session.url("https://a.example") == f"https://a.example{path}"
    settings.PUBLIC_URL = "https://billing.example"
    assert session.url(rf.get("/")) == f"https://billing.example{path}"


def test_the_way_back_is_shown():
    client = enter(make.customer(), return_url='https://app.example/?a="><b>')

    page = client.get("/portal/").content.decode()

    assert 'href="https://app.example/?a=&quot;&gt;&lt;b&gt;"' in page
    assert "Return to app.example" in page
