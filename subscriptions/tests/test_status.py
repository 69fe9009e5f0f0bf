"""The status of a subscription moves along its edges only, whoever writes it."""

from datetime import timedelta
from itertools import product

import pytest
from django.db import IntegrityError, transaction

from subscriptions.models import Subscription
from tests import make
from tests.make import JAN

pytestmark = pytest.mark.django_db

Status = Subscription.Status
EDGES = {
    ("incomplete", "active"),  # its first invoice is paid
    ("incomplete", "incomplete_expired"),
    ("trialing", "active"),
    ("trialing", "paused"),  # no payment method at the end
    ("trialing", "canceled"),
    ("active", "trialing"),  # a trial is added
    ("active", "past_due"),
    ("active", "paused"),
    ("active", "canceled"),
    ("past_due", "active"),
    ("past_due", "unpaid"),
    ("past_due", "paused"),
    ("past_due", "canceled"),
    ("unpaid", "active"),
    ("unpaid", "paused"),
    ("unpaid", "canceled"),
    ("paused", "active"),
    ("paused", "canceled"),
}


def in_status(status: str) -> Subscription:
    row = make.subscribe(make.customer(), make.price(unit="100"))
    row.pk = f"sub_in_{status}"
    stand(row, status)
    row.save(force_insert=True)
    return row


def stand(row: Subscription, status: str) -> None:
    row.status = status
    row.ended_at = JAN if status in Subscription.ENDED else None
    row.paused_at = JAN if status == Status.PAUSED else None


@pytest.mark.parametrize("before", Status.values)
def test_each_edge_and_no_other(before: str) -> None:
    first = in_status(before)
    for after in Status.values:
        row = Subscription.objects.get(pk=first.pk)
        row.pk = f"sub_{before}_to_{after}"
        row.save(force_insert=True)
        stand(row, after)
        if after == before or (before, after) in EDGES:
            row.save()
        else:
            with pytest.raises(IntegrityError, match=f"from {before} to {after}"), transaction.atomic():
                row.save()


def test_the_table_speaks_of_every_status() -> None:
    assert {status for edge in EDGES for status in edge} == set(Status.values)
    ends = set(Status.values) - {before for before, _ in EDGES}
    assert ends == set(Subscription.ENDED)
    assert set(product(Subscription.PAUSABLE, [Status.PAUSED])) <= EDGES


def test_one_that_never_began_expires() -> None:
    from subscriptions.cancel import end

    row = in_status("incomplete")
    end(row, at=JAN + timedelta(hours=23))
    row.refresh_from_db()
    assert (row.status, row.ended_at) == ("incomplete_expired", JAN + timedelta(hours=23))
