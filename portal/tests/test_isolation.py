"""Nobody sees what is another's: every address of the portal, with own, other, mixed, deleted and unknown ids."""

import re
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

import portal
from credits.grants import NewGrant, create_grant
from customers.lifecycle import delete_customer
from invoices.models import Invoice
from portal.access import COOKIE
from portal.tests.scenes import DAY, FEB, GRACE, JAN, bill, enter, send, spread
from portal.urls import portal_pages
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)

UNKNOWN = {
    "meter_id": "mtr_0000000000000000000000",
    "invoice_id": "in_0000000000000000000000",
    "line_id": "il_0",
    "grant_id": "credgr_0",
}
OPEN_TO_ALL = {"open", "sign_out"}


def billed(event_name: str) -> dict[str, str]:
    """A customer with a meter and an invoice of its own; its ids."""
    clock = make.clock()
    customer = make.customer(on=clock)
    meter = make.meter(event_name)
    make.subscribe(customer, make.price(meter=meter, unit="2"), make.price(unit="500", product="Base"))
    spread(customer, event_name, values={1: "3"})
    invoices = [bill_or_first(customer, clock)]
    line = invoices[0].lines.get(meter=meter)
    grant = create_grant(customer.pk, NewGrant(Decimal(500), currency="usd", name="Prepaid"), at=FEB)
    return {
        "customer": customer,
        "meter_id": meter.pk,
        "invoice_id": invoices[0].pk,
        "line_id": line.pk,
        "grant_id": grant.pk,
    }


def bill_or_first(customer, clock) -> Invoice:
    make.move(clock, FEB + GRACE)
    return customer.invoices.finalized().get(billing_reason="subscription_cycle")


def routes() -> dict[str, list[str]]:
    """Name of each page and the ids its address takes."""
    return {
        pattern.name: re.findall(r"<id:(\w+)>", str(pattern.pattern))
        for pattern in portal_pages
        if pattern.name not in OPEN_TO_ALL | {"unknown", "late_usage"}  # for the latter see test_late_usage.py
    }


def addresses(name: str, ids: list[str], owners: list[dict[str, str]]) -> list[tuple[str, bool]]:
    """Each way to fill the ids of a route from the given owners; True where all of them are the first owner's."""
    found = []
    for chosen in product(owners, repeat=len(ids)):
        values = {id_: owner[id_] for id_, owner in zip(ids, chosen, strict=True)}
        found.append((reverse(f"portal:{name}", kwargs=values), all(owner is owners[0] for owner in chosen)))
    return found


def test_every_page_shows_what_is_own_and_nothing_else():
    mine, other = billed("own"), billed("other")
    deleted = billed("deleted")
    delete_customer(deleted["customer"].pk, at=FEB + DAY)
    client = enter(mine["customer"])
    bodies = set()
    for name, ids in routes().items():
        for address, is_own in addresses(name, ids, [mine, other, deleted, UNKNOWN]):
            answer = client.get(address)
            assert answer.status_code == (200 if is_own else 404), address
            if not is_own:
                bodies.add(answer.content)
            shown = answer.content.decode()
            foreign_ids = [other[name] for name in UNKNOWN if name != "line_id"]
            assert not any(foreign in shown for foreign in foreign_ids), address
    bodies.add(client.get("/portal/nonsense").content)
    assert len(bodies) == 1, "every refusal is the same"


def test_a_line_is_only_found_in_its_own_invoice():
    mine = billed("own")
    first = mine["customer"].invoices.get(billing_reason="subscription_create")
    client = enter(mine["customer"])

    assert client.get(f"/portal/invoices/{first.pk}/lines/{mine['line_id']}").status_code == 404
    assert client.get(f"/portal/invoices/{first.pk}/lines/{first.lines.get().pk}").status_code == 404  # not metered


def test_a_meter_that_no_subscription_prices_is_not_shown():
    mine = billed("own")
    internal = make.meter("internal")
    send(mine["customer"], "internal", at=FEB)
    client = enter(mine["customer"])

    assert client.get(f"/portal/usage/{internal.pk}").status_code == 404
    assert "Internal" not in client.get("/portal/usage").content.decode()


def test_a_draft_is_not_an_invoice_yet():
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(), unit="2"))
    make.move(clock, FEB)
    draft = customer.invoices.get()
    client = enter(customer)

    assert client.get(f"/portal/invoices/{draft.pk}").status_code == 404
    assert client.get(f"/portal/invoices/{draft.pk}/lines/{draft.lines.get().pk}").status_code == 404
    assert draft.pk not in client.get("/portal/invoices").content.decode()


def test_without_a_session_every_page_answers_the_same():
    mine = billed("own")
    for name, ids in routes().items():
        for address, _ in addresses(name, ids, [mine, UNKNOWN]):
            for client in (Client(), Client(headers={"cookie": f"{COOKIE}=nonsense"})):
                answer = client.get(address)
                assert answer.status_code == 403, address
                assert "This session has ended" in answer.content.decode()


def test_a_customer_deleted_meanwhile_is_shut_out():
    mine = billed("own")
    client = enter(mine["customer"])
    delete_customer(mine["customer"].pk, at=FEB + DAY)

    assert client.get(f"/portal/invoices/{mine['invoice_id']}").status_code == 403


@pytest.mark.parametrize("path", ["%00", "in_%00", "a'b", "../admin", "x" * 65, "in_1/lines/%00", "é"])
def test_odd_addresses_are_unknown(path):
    client = enter(make.customer())

    assert client.get(f"/portal/invoices/{path}").status_code == 404


@pytest.mark.parametrize("query", ["day=2026-02-01", "day=2025-12-31", "day=x", "day=", "day=2026-01-05%00"])
def test_a_day_outside_of_the_period_is_unknown(query):
    mine = billed("own")
    client = enter(mine["customer"])
    line = f"/portal/invoices/{mine['invoice_id']}/lines/{mine['line_id']}"

    assert client.get(f"{line}?{query}").status_code == 404
    assert client.get(f"{line}/events?{query}").status_code == 404
    assert client.get(f"{line}/events?hour=2026-02-01T00").status_code == 404


def test_pages_are_for_reading_and_kept_by_nobody():
    client = enter(make.customer())
    answer = client.get("/portal/")

    assert client.post("/portal/").status_code == 405
    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "same-origin"
    policy = answer["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


def test_queries_are_in_one_module_and_start_from_the_customer():
    root = Path(portal.__file__).parent
    for module in root.glob("*.py"):
        if module.name not in ("models.py", "sessions.py"):
            assert ".objects" not in module.read_text(), module.name


def test_one_customer_is_never_shown_with_anothers_events():
    clock = make.clock()
    mine, other = make.customer(on=clock), make.customer(on=clock, name="Eve")
    price = make.price(meter=make.meter(), unit="2")
    for customer in (mine, other):
        make.subscribe(customer, price)
    spread(mine, values={1: "3"})
    send(other, value="1000", at=JAN, identifier="of-the-other")
    invoice = bill(mine, clock)

    events = enter(mine).get(f"/portal/invoices/{invoice.pk}/lines/{invoice.lines.get().pk}/events").content.decode()

    assert "of-the-other" not in events
    assert "Events 1 to 1 of 1" in events
