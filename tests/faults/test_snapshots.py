"""Writers hold their transactions open across a finalization: the snapshot on the line names what the line counted.

A point in time cannot do that, since an event received before it may be committed after it (the control).
"""

import random
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from invoices.finalize import finalize_if_due
from invoices.models import InvoiceLine
from meters.models import MeterEvent
from meters.usage import events_of, usage
from tests import make
from tests.faults.accounts import FEB, HOUR, Account, catalog, with_draft
from tests.faults.steps import LONGEST_WAIT, Run
from tests.make import JAN

pytestmark = pytest.mark.django_db(transaction=True)
WRITERS = 6
DAY = timedelta(days=1)
Act = Callable[[], object]


class Abandoned(Exception):
    """The writer changes its mind."""


class Writer:
    """Sends events in one transaction that ends when it is told to, by COMMIT or by ROLLBACK.

    Each has a day of its own: an open transaction holds the rollup of the days it writes to.
    """

    def __init__(self, account: Account, values: list[str], *, commits: bool, day: int = 0) -> None:
        self.account, self.values, self.commits = account, values, commits
        self.at = FEB - HOUR - day * DAY
        self.inserted, self.end = threading.Event(), threading.Event()
        self.run = Run(self._write)

    def _write(self) -> None:
        with transaction.atomic():
            for value in self.values:
                make.event(self.account.customer, value=value, at=self.at)
            self.inserted.set()
            assert self.end.wait(LONGEST_WAIT)
            if not self.commits:
                raise Abandoned

    def begin(self) -> None:
        self.run.start()
        assert self.inserted.wait(LONGEST_WAIT), self.run.error

    def finish(self) -> None:
        self.end.set()
        self.run.finish()
        assert isinstance(self.run.error, Abandoned | None)


def finalize(account: Account) -> InvoiceLine:
    invoice = finalize_if_due(account.invoice(status="draft").pk, FEB + HOUR)
    assert invoice
    return invoice.lines.filter(meter__isnull=False).first()


@pytest.fixture
def account() -> Account:
    return with_draft(catalog())


def play(account: Account, seed: int) -> InvoiceLine:
    """Writers begin and end in random order, and the finalization comes in between somewhere."""
    chance = random.Random(seed)
    lines: list[InvoiceLine] = []
    acts: list[tuple[float, Act]] = [(chance.uniform(0.2, 0.8), lambda: lines.append(finalize(account)))]
    for day in range(WRITERS):
        values = [str(chance.randint(1, 99)) for _ in range(chance.randint(1, 3))]
        writer = Writer(account, values, commits=chance.random() < 0.8, day=day)
        begins, ends = sorted((chance.random(), chance.random()))
        acts += [(begins, writer.begin), (ends, writer.finish)]
    for _, act in sorted(acts, key=lambda timed: timed[0]):
        act()
    return lines[0]


def counted_by(line: InvoiceLine, account: Account) -> tuple[Decimal, int]:
    read = usage(line.meter, account.customer, start=JAN, end=FEB, as_of=line.snapshot)
    return read.quantity, read.events


def received_by(at: datetime, account: Account) -> tuple[Decimal, int]:
    """What a reader finds that only looks at times."""
    events = MeterEvent.objects.filter(customer_ref=account.customer.ref, timestamp__lt=FEB, received_at__lte=at)
    values = list(events.values_list("value", flat=True))
    return sum(values, Decimal(0)), len(values)


@pytest.mark.parametrize("seed", range(12))
def test_the_snapshot_names_the_events_that_were_counted(account: Account, seed: int) -> None:
    line = play(account, seed)

    assert counted_by(line, account) == (line.usage_quantity, line.usage_events)
    listed = events_of(line.meter, account.customer, start=JAN, end=FEB, as_of=line.snapshot)
    assert sum(event.value for event in listed) == line.usage_quantity
    now = usage(line.meter, account.customer, start=JAN, end=FEB)
    assert now.events >= line.usage_events


def test_control_a_reader_by_time_miscounts(account: Account) -> None:
    writer = Writer(account, ["50"], commits=True)
    writer.begin()
    line = finalize(account)
    writer.finish()

    assert counted_by(line, account) == (line.usage_quantity, line.usage_events)
    assert line.usage_read_at
    assert received_by(line.usage_read_at, account) == (line.usage_quantity + 50, line.usage_events + 1)


def test_a_wall_clock_set_back_between_event_and_reading_hides_nothing(account: Account) -> None:
    """The event then bears a later time than the reading that counts it."""
    make.event(account.customer, value="50", at=FEB - HOUR)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE meters_meterevent DISABLE TRIGGER meters_meterevent_append_only")
        cursor.execute("GRANT UPDATE ON meters_meterevent TO CURRENT_USER")
        cursor.execute("UPDATE meters_meterevent SET received_at = received_at + interval '10 seconds'")
        cursor.execute("REVOKE UPDATE ON meters_meterevent FROM CURRENT_USER")
        cursor.execute("ALTER TABLE meters_meterevent ENABLE TRIGGER meters_meterevent_append_only")

    line = finalize(account)

    assert counted_by(line, account) == (line.usage_quantity, line.usage_events)
