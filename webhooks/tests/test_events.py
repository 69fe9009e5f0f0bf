"""Events are written with what they tell, once and for good."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from api.cause import Cause, caused_by
from api.middleware import API_VERSION
from customers.models import Customer
from meters.resources import METER
from tests import make
from tests.make import JAN
from webhooks.events import record, record_many, record_objects, record_thin_event, silence, telling
from webhooks.models import Event, ThinEvent

pytestmark = pytest.mark.django_db


def test_what_is_recorded():
    reason = {"type": "request", "request": {"id": "req_1", "idempotency_key": "k"}}
    about = record_thin_event("a.b", related=(METER, "mtr_1"), data={"n": 1}, reason=reason, at=JAN)
    bare = record_thin_event("a.c", at=JAN + timedelta(microseconds=1999))

    assert about.pk.startswith("evt_")
    assert about.related_object == {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"}
    assert (about.data, about.reason, about.created_at) == ({"n": 1}, reason, JAN)
    assert (bare.related_object, bare.data, bare.reason) == (None, None, None)
    assert bare.created_at == JAN + timedelta(milliseconds=1)


def test_history_stays():
    event = record_thin_event("a.b", at=JAN)
    for change in (lambda: ThinEvent.objects.update(type="x"), lambda: ThinEvent.objects.filter(pk=event.pk).delete()):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()


def test_a_related_object_is_whole():
    with pytest.raises(IntegrityError, match="thin_event_related_object_whole"), transaction.atomic():
        ThinEvent.objects.create(type="a", created_at=JAN, related_id="mtr_1")


def told(type="a.updated"):
    return list(Event.objects.filter(type=type).order_by("pk"))


def rename(customer, name="Grace"):
    Customer.objects.filter(pk=customer.pk).update(name=name)


def test_a_snapshot_is_what_the_database_holds():
    customer = make.customer()
    rename(customer)
    record("a.updated", "customer", customer, at=JAN)

    [event] = told()
    assert event.pk.startswith("evt_")
    assert (event.object_id, event.created_at, event.api_version) == (customer.pk, JAN, API_VERSION)
    assert event.data.keys() == {"object"}
    assert (event.data["object"]["id"], event.data["object"]["name"]) == (customer.pk, "Grace")


def test_the_cause():
    customer = make.customer()
    with caused_by(Cause("req_1", "key")):
        record("a.updated", "customer", customer, at=JAN)
    record("a.updated", "customer", customer, at=JAN)

    assert [(event.request_id, event.idempotency_key) for event in told()] == [("req_1", "key"), (None, None)]


def test_an_object_that_is_no_row():
    record_objects("a.updated", [{"object": "invoice", "total": 5}], at=JAN)
    [event] = told()
    assert (event.object_id, event.data) == ("", {"object": {"object": "invoice", "total": 5}})


def test_a_thousand_take_as_many_statements_as_two():
    customers = [make.customer() for _ in range(2)]
    with CaptureQueriesContext(connection) as few:
        record_many("a.updated", "customer", customers, at=JAN)
    more = Customer.objects.bulk_create(
        Customer(created_at=JAN, invoice_prefix=f"P{n}", name=str(n)) for n in range(1000)
    )
    with CaptureQueriesContext(connection) as many:
        record_many("a.updated", "customer", more, at=JAN)

    assert len(many) == len(few)
    assert [event.data["object"]["name"] for event in told()[2:]] == [str(n) for n in range(1000)]


def test_what_is_undone_was_never_told():
    customer = make.customer()
    with transaction.atomic():
        record("a.updated", "customer", customer, at=JAN)
        transaction.set_rollback(True)
    assert told() == []


def test_a_change_that_fails_is_not_told():
    customer = make.customer()
    with suppress(ZeroDivisionError), telling("a.updated", "customer", [customer.pk], at=JAN):
        rename(customer)
        raise ZeroDivisionError
    with telling("a.updated", "customer", [customer.pk], at=JAN):
        rename(customer, "Ada")

    assert [event.data["previous_attributes"] for event in told()] == [{"name": "Grace"}]


def test_telling_says_what_was_before():
    ada, same = make.customer(), make.customer()
    with telling("a.updated", "customer", [ada.pk, same.pk, ada.pk, "cus_none"], at=JAN):
        rename(ada)

    [event] = told()
    assert (event.object_id, event.data["object"]["name"]) == (ada.pk, "Grace")
    assert event.data["previous_attributes"] == {"name": "Ada"}


def test_one_event_of_a_change_however_many_tell_it():
    ada, other = make.customer(), make.customer()
    with telling("a.updated", "customer", [ada.pk], at=JAN):
        rename(ada, "one")
        with telling("a.updated", "customer", [ada.pk, other.pk], at=JAN):
            rename(ada, "two")
            rename(other, "three")
    with telling("a.updated", "customer", [ada.pk], at=JAN):
        rename(ada, "four")

    assert [(event.object_id, event.data["previous_attributes"]) for event in told()] == [
        (other.pk, {"name": "Ada"}),
        (ada.pk, {"name": "Ada"}),
        (ada.pk, {"name": "two"}),
    ]


def test_nothing_is_told_in_silence():
    customer = make.customer()
    with silence(), CaptureQueriesContext(connection) as queries:
        record("a.updated", "customer", customer, at=JAN)
        record_objects("a.updated", [{}], at=JAN)
        with telling("a.updated", "customer", [customer.pk], at=JAN):
            pass
    assert len(queries) == 0
    assert told() == []


def test_events_stay():
    record("a.updated", "customer", make.customer(), at=JAN)
    for change in (lambda: Event.objects.update(type="x"), lambda: Event.objects.all().delete()):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()
