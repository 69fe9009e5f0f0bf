"""Events that are stored past Django: those of watched customers are evaluated in the commit that stores them."""

import asyncio
from decimal import Decimal
from functools import partial

from alerts.lifecycle import archive_alert
from alerts.tests.making import fired, usage_alert
from customers.models import Customer, WatchMark
from meters.hot_path.app import HotPath
from meters.hot_path.threads import in_thread
from meters.models import MeterEvent
from meters.tests.hot_path.conftest import Installation, django_app, here  # noqa: F401
from tests import make


def test_it_has_fired_when_the_event_is_acknowledged(here: Installation) -> None:  # noqa: F811
    customer = Customer.objects.get(pk=here.customer)
    usage_alert(here.meter, 5, customer=customer)

    async def scenario(hot: HotPath) -> list[int]:
        after = []
        for value in ("2", "2", "2", "2"):
            assert (await here.post(hot, here.form(value))).status == 200
            after.append(len(await in_thread(fired)))
        return after

    assert here.run(scenario) == [0, 0, 1, 1]
    assert fired() == [(customer.pk, Decimal(6))]


def test_an_alert_made_a_moment_ago_counts_before_anybody_is_told(here: Installation) -> None:  # noqa: F811
    """What the process keeps in memory says that nobody watches; the statement that stores finds out."""
    customer = Customer.objects.get(pk=here.customer)

    async def scenario(hot: HotPath) -> None:
        hot._changed = lambda table: None  # type: ignore[method-assign]
        hot.catalogue.changed = lambda: None  # type: ignore[method-assign]
        assert (await here.post(hot, here.form("4"))).status == 200
        kept = hot.catalogue.owners.get(here.customer)
        assert kept is not None
        assert not kept.is_watched
        await in_thread(partial(usage_alert, here.meter, 5, customer=customer))
        assert (await here.post(hot, here.form("4"))).status == 200
        kept = hot.catalogue.owners.get(here.customer)
        assert kept is not None
        assert not kept.is_watched
        assert await in_thread(fired) == [(customer.pk, Decimal(8))]

    here.run(scenario)
    assert not WatchMark.objects.exists()


def test_many_at_once_of_watched_and_unwatched(here: Installation) -> None:  # noqa: F811
    customer, other = Customer.objects.get(pk=here.customer), make.customer()
    alerts = [usage_alert(here.meter, threshold, customer=customer) for threshold in (1, 20, 40, 41)]

    async def scenario(hot: HotPath) -> None:
        both = (customer.pk, other.pk)
        sent = [here.form(**{"payload[stripe_customer_id]": both[n % 2]}) for n in range(80)]
        answers = await asyncio.gather(*(here.post(hot, body) for body in sent))
        assert {answer.status for answer in answers} == {200}

    here.run(scenario)
    assert MeterEvent.objects.count() == 80
    assert [len(fired(alert)) for alert in alerts] == [1, 1, 1, 0]


def test_a_duplicate_is_told_apart_in_either_lane(here: Installation) -> None:  # noqa: F811
    customer = Customer.objects.get(pk=here.customer)

    async def scenario(hot: HotPath) -> list[int]:
        body = here.form("3", identifier="once")
        return [(await here.post(hot, body)).status for _ in range(2)]

    assert here.run(scenario) == [200, 400]
    alert = usage_alert(here.meter, 3, customer=customer)
    assert here.run(scenario) == [400, 400]
    assert fired() == []
    archive_alert(alert.pk, at=alert.created_at)
