"""Events from before there were partitions keep everything about them, and are counted by the rollup."""

from importlib import import_module

import pytest
from django.db import connection

from meters import epochs, rollups
from meters.ingest import Outcome, Record, ingest
from meters.models import MeterEvent, UsageDay
from meters.usage import events_of, usage
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db
FEB = utc(2026, 2, 1)
OLD_TABLE = """
CREATE TABLE meters_meterevent_whole (ident uuid PRIMARY KEY, identifier varchar(100), customer_ref bigint,
    meter_ref integer, value numeric(38, 12), timestamp timestamptz, received_at timestamptz, txid xid8, payload jsonb);
INSERT INTO meters_meterevent_whole SELECT ident, identifier, customer_ref, meter_ref, value, timestamp,
    received_at - interval '40 days', '5', payload || jsonb_build_object('stripe_customer_id', %s, 'value', '5')
    FROM meters_meterevent;
"""


def test_moved_events_keep_everything():
    customer, meter = make.customer(), make.meter()
    sent = [
        Record("tokens", {"stripe_customer_id": customer.pk, "value": "5", "model": name}, name, JAN) for name in "abc"
    ]
    ingest(sent, at=JAN)
    before = list(MeterEvent.objects.order_by("ident").values_list("ident", "value", "timestamp", "identifier"))
    with connection.cursor() as cursor:
        cursor.execute(OLD_TABLE, [customer.pk])
        cursor.execute("TRUNCATE meters_meterevent, meters_usageday")
        for operation in import_module("meters.migrations.0004_move_events").Migration.operations:
            cursor.execute(operation.sql)

    assert list(MeterEvent.objects.order_by("ident").values_list("ident", "value", "timestamp", "identifier")) == before
    assert set(MeterEvent.objects.values_list("epoch", "txid")) == {(epochs.current(fresh=True).number, "5")}
    assert UsageDay.objects.get().n == 3
    assert list(rollups.differences()) == []
    assert usage(meter, customer, start=JAN, end=FEB).quantity == 15
    assert {event.payload["model"]: event.payload for event in events_of(meter, customer, start=JAN, end=FEB)} == {
        record.identifier: record.payload for record in sent
    }
    assert {result.outcome for result in ingest(sent, at=JAN)} == {Outcome.DUPLICATE}
