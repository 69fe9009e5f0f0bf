"""Events are written with what they tell, once and for good."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from meters.resources import METER
from tests.make import JAN
from webhooks.events import record_thin_event
from webhooks.models import ThinEvent

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
