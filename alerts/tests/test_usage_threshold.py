from decimal import Decimal

import pytest
from django.core import mail

from alerts.lifecycle import activate_alert, archive_alert, create_alert, deactivate_alert
from alerts.models import AlertTriggered
from alerts.tests.making import fired, send, usage_alert
from core import clock
from core.errors import InvalidRequest, ResourceMissing
from core.mail import send_due_mail
from customers.lifecycle import delete_customer, update_customer
from customers.models import Watch
from meters.ingest import Outcome, Record, ingest
from tests import make
from webhooks.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return make.customer(at=clock.now())


@pytest.fixture
def meter():
    return make.meter(at=clock.now())


def test_it_fires_with_the_batch_that_comes_to_the_threshold(ada, meter):
    alert = usage_alert(meter, 10, customer=ada)

    seen = []
    for value in ("4", "5.5", "0.5", "7"):
        send(ada, value, meter=meter)
        seen.append(fired(alert))

    assert seen == [[], [], [(ada.pk, Decimal(10))], [(ada.pk, Decimal(10))]]


def test_usage_from_before_counts_but_does_not_fire_by_itself(ada, meter):
    send(ada, "100", meter=meter)
    alert = usage_alert(meter, 10, customer=ada)
    assert fired(alert) == []
    send(ada, "1", meter=meter)
    assert fired(alert) == [(ada.pk, Decimal(101))]


def test_why_it_fired(ada, meter):
    alert = usage_alert(meter, 10, customer=ada)
    send(ada, "4", meter=meter)
    send(ada, "5", "6", meter=meter)
    (row,) = AlertTriggered.objects.all()
    assert (row.threshold, row.value, row.period_start, row.generation) == (10, 15, None, 1)
    why = row.why
    assert (why["meter"], why["value_before"], why["events"], why["new_events"]) == (meter.pk, "4", 3, 2)
    assert len(why["identifiers"]) == 2
    assert alert.triggered.get() == row


def test_an_alert_about_everybody_fires_once_for_each(meter):
    alert = usage_alert(meter, 10)
    customers = [make.customer(at=clock.now()) for _ in range(3)]
    for customer in customers[:2]:
        send(customer, "11", meter=meter)
        send(customer, "11", meter=meter)
    assert fired(alert) == [(customer.pk, Decimal(11)) for customer in customers[:2]]


def test_an_alert_by_metadata_follows_it(meter):
    alert = usage_alert(meter, 1, metadata_key="plan", metadata_value="pro")
    pro, basic = make.customer(metadata={"plan": "pro"}), make.customer(metadata={"plan": "basic"})
    assert set(Watch.objects.values_list("customer", flat=True)) == {pro.pk}
    send(pro, "1", meter=meter)
    send(basic, "1", meter=meter)
    assert fired(alert) == [(pro.pk, Decimal(1))]
    update_customer(basic.pk, changes={}, metadata={"plan": "pro"}, at=clock.now())
    send(basic, "1", meter=meter)
    assert fired(alert) == [(pro.pk, Decimal(1)), (basic.pk, Decimal(2))]


def test_another_meter_and_another_customer_do_not_matter(ada, meter):
    other, bob = make.meter("calls", at=clock.now()), make.customer()
    usage_alert(meter, 1, customer=ada)
    send(ada, "5", meter=other)
    send(bob, "5", meter=meter)
    assert fired() == []


@pytest.mark.parametrize(
    ("formula", "values", "at_threshold"),
    [
        ("count", ["9", "9", "9", "9"], 3),
        ("max", ["1", "2", "5", "3"], 3),
        ("last", ["1", "2", "3", "1"], 3),
        ("unique", ["1", "1", "2", "3"], 4),
        ("average", ["1", "1", "10", "1"], 3),
    ],
)
def test_every_formula(ada, formula, values, at_threshold):
    meter = make.meter(formula=formula, at=clock.now())
    usage_alert(meter, 3, customer=ada)
    after = []
    for value in values:
        send(ada, value, meter=meter)
        after.append(len(fired()))
    assert after == [0] * (at_threshold - 1) + [1] * (len(values) - at_threshold + 1)


def test_events_that_the_filters_leave_out_do_not_count(ada):
    meter = make.meter(filters=[{"key": "model", "in_values": ["big"]}], at=clock.now())
    usage_alert(meter, 2, customer=ada)
    send(ada, "5", meter=meter, model="small")
    assert fired() == []
    send(ada, "2", meter=meter, model="big")
    assert fired() == [(ada.pk, Decimal(2))]


def test_by_the_value_of_a_dimension(ada):
    meter = make.meter(dimension_payload_keys=["model"], at=clock.now())
    big = usage_alert(meter, 5, dimensions={"model": "big"})
    each = usage_alert(meter, 5, group_by="model")
    send(ada, "4", meter=meter, model="big")
    send(ada, "5", meter=meter, model="small")
    assert (fired(big), fired(each)) == ([], [(ada.pk, Decimal(5))])
    send(ada, "1", meter=meter, model="big")
    send(ada, "9", meter=meter, model="big")
    assert fired(big) == [(ada.pk, Decimal(5))]
    assert list(each.triggered.order_by("pk").values_list("group", flat=True)) == ["small", "big"]


def test_per_period_it_fires_once_in_each(ada, meter):
    """Without a subscription the period is the calendar month."""
    alert = usage_alert(meter, 10, customer=ada, recurrence="per_period", at=make.utc(2026, 1, 1))
    for month, day, value in ((1, 20, "6"), (1, 31, "6"), (2, 1, "9"), (2, 2, "1"), (2, 3, "50")):
        send(ada, value, meter=meter, at=make.utc(2026, month, day))
    assert fired(alert) == [(ada.pk, Decimal(12)), (ada.pk, Decimal(10))]
    assert [row.period_start for row in alert.triggered.order_by("pk")] == [make.utc(2026, 1, 1), make.utc(2026, 2, 1)]


def test_per_period_follows_the_subscription(ada, meter):
    make.subscribe(ada, make.price(meter=meter, unit="1"), at=make.utc(2026, 1, 15))
    alert = usage_alert(meter, 10, customer=ada, recurrence="per_period", at=make.utc(2026, 1, 1))
    send(ada, "9", meter=meter, at=make.utc(2026, 1, 14))
    send(ada, "9", meter=meter, at=make.utc(2026, 1, 20))
    assert fired(alert) == []
    send(ada, "1", meter=meter, at=make.utc(2026, 2, 14))
    (row,) = alert.triggered.all()
    assert (row.value, row.period_start, row.period_end) == (10, make.utc(2026, 1, 15), make.utc(2026, 2, 15))


def test_activated_again_it_can_fire_again(ada, meter):
    alert = usage_alert(meter, 1, customer=ada)
    send(ada, "1", meter=meter)
    deactivate_alert(alert.pk)
    send(ada, "1", meter=meter)
    assert not Watch.objects.exists()
    activate_alert(alert.pk, at=clock.now())
    assert len(fired(alert)) == 1
    send(ada, "1", meter=meter)
    send(ada, "1", meter=meter)
    assert fired(alert) == [(ada.pk, Decimal(1)), (ada.pk, Decimal(3))]


def test_archived_or_deleted_nobody_is_watched(ada, meter):
    alert = usage_alert(meter, 1)
    assert Watch.objects.count() == 1
    delete_customer(ada.pk, at=clock.now())
    assert Watch.objects.count() == 0
    bob = make.customer()
    assert Watch.objects.get().customer_id == bob.pk
    archive_alert(alert.pk, at=clock.now())
    assert Watch.objects.count() == 0
    send(bob, "5", meter=meter)
    assert fired() == []


def test_what_is_told(ada, meter, settings):
    alert = usage_alert(meter, 10, customer=ada, title="Ten <thousand>")
    send(ada, "12.5", meter=meter)

    (event,) = Event.objects.filter(type="billing.alert.triggered")
    told = event.data["object"]
    assert (told["object"], told["customer"], told["value"]) == ("billing.alert_triggered", ada.pk, 12)
    assert told["alert"]["id"] == alert.pk
    assert told["alert"]["usage_threshold"]["gte"] == 10
    send_due_mail()
    (message,) = mail.outbox
    assert (message.to, message.subject) == (["ops@example.com"], "Ten <thousand> – Ada")
    assert "Usage of Tokens came to 12.5; the threshold is 10." in message.body
    assert "Ten &lt;thousand&gt;" in message.alternatives[0][0]


def test_only_the_channels_that_it_has(ada, meter):
    alert = usage_alert(meter, 1, customer=ada, channels=["inbox"])
    send(ada, "1", meter=meter)
    assert alert.triggered.get().in_inbox
    assert not Event.objects.filter(type="billing.alert.triggered").exists()
    assert send_due_mail() == 0


def test_a_duplicate_is_no_usage(ada, meter):
    once = Record(meter.event_name, {"stripe_customer_id": ada.pk, "value": "9"}, "one")
    ingest([once], at=clock.now())
    usage_alert(meter, 5, customer=ada)
    (again,) = ingest([once], at=clock.now())
    assert again.outcome is Outcome.DUPLICATE
    assert fired() == []
    send(ada, "0", meter=meter)
    assert fired() == [(ada.pk, Decimal(9))]


def test_refusals(ada, meter):
    on_clock = make.customer(on=make.clock())
    for given, param in (
        ({"customer": on_clock}, "usage_threshold[filters][0][customer]"),
        ({"dimensions": {"model": "big"}}, "usage_threshold[dimensions][model]"),
        ({"group_by": "model"}, "usage_threshold[group_by]"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            usage_alert(meter, 1, **given)
        assert refused.value.param == param
    with pytest.raises(ResourceMissing):
        create_alert(
            alert_type="usage_threshold", title="x", recurrence="one_time", threshold=1, meter="mtr_0", at=clock.now()
        )


def test_a_customer_on_a_test_clock_is_not_watched(meter):
    usage_alert(meter, 1)
    on_clock = make.customer(on=make.clock())
    make.event(on_clock, meter.event_name, "5", at=make.JAN)
    assert fired() == []
    assert not Watch.objects.exists()


def test_25_for_a_meter_and_a_customer(ada, meter):
    for _ in range(24):
        usage_alert(meter, 1, customer=ada)
    usage_alert(meter, 1)
    with pytest.raises(InvalidRequest):
        usage_alert(meter, 1, customer=ada)
    with pytest.raises(InvalidRequest):
        usage_alert(meter, 1)
    usage_alert(meter, 1, customer=make.customer())
    usage_alert(make.meter("calls", at=clock.now()), 1, customer=ada)
