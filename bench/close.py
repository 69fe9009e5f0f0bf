"""How many subscriptions are closed in a second: invoices, lines, numbers and next periods, beside the floor.

The floor is a COPY of the very rows that the closing has made into the same tables (with their foreign keys, indexes
and triggers) of a database like it. The days of usage are made by SQL straight into the rollup, as many as the events
of a month leave; the events themselves are not read, because every period begins at midnight.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db import connection

from bench.goals import Goal, told
from billing_project.embedded.postgres import Postgres
from core.copying import copy_models, next_keys
from customers.models import Customer
from invoices.models import Invoice
from meters.lifecycle import create_meter
from pricing.models import Price
from pricing.prices import PriceSpec, Recurring, TierSpec, create_price
from pricing.products import create_product
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem

T = TypeVar("T")
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
ITEMS, CHUNK = 3, 5000
TIERS = [(1000, "0", "900"), (5000, "0.8", None), (20_000, "0.5", "200"), (None, "0.25", None)]
USAGE = """
INSERT INTO meters_usageday (customer_ref, meter_ref, day, n, total, vmax, vmin)
SELECT c.ref, m.ref, d::date, 5, v, v, v
FROM customers_customer AS c, meters_meter AS m, generate_series('2026-01-01'::date, '2026-01-31', '1 day') AS d,
     LATERAL (SELECT floor(random() * 600)::integer + (c.ref + m.ref) * 0 AS v) AS used
WHERE c.id > %s
ORDER BY 1, 2, 3
"""

CHECK = """
SELECT count(*), count(DISTINCT number),
       (SELECT count(*) FROM subscriptions_itemperiod WHERE closed_at IS NULL AND bills_at <= '2026-02-01'
            AND (SELECT count(*) FROM invoices_invoice) > 1000)
FROM invoices_invoice WHERE status IN ('open', 'paid')
"""

# Of a range of invoices; as drafts, for the lines of others are frozen.
INVOICE = ", ".join(field.column for field in Invoice._meta.local_concrete_fields)
_DRAFT = {"status": "'draft'", "number": "NULL", "finalized_at": "NULL", "paid_at": "NULL", "ending_balance": "NULL"}
ROWS = {
    "invoices_invoice": "SELECT {} FROM invoices_invoice WHERE id".format(
        ", ".join(_DRAFT.get(field.column, field.column) for field in Invoice._meta.local_concrete_fields)
    ),
    "invoices_invoiceline": "SELECT * FROM invoices_invoiceline WHERE invoice_id",
}


@dataclass(frozen=True)
class Run:
    """What some processes have done: `seconds` from the first to the last, the largest one's memory."""

    invoices: int
    seconds: float
    megabytes: float

    @property
    def per_second(self) -> float:
        return self.invoices / self.seconds


def run(postgres: Postgres, *, sizes: Sequence[int]) -> bool:
    """Whether the goals are met. Every figure is of a database that is made anew from the same filled one."""
    prices = _prices()
    goals: list[Goal] = []
    have, rates = 0, {}
    for size in sizes:
        began = time.perf_counter()
        _fill(prices, size - have)
        have = size
        print(f"\n{size:,} subscriptions, made in {time.perf_counter() - began:.0f} s", flush=True)
        loop = _naive(postgres)
        with tempfile.TemporaryDirectory(dir=os.environ["APP_HOME"]) as directory:
            one = _closed(postgres, 1, Path(directory))
            floor = _floor(postgres, Path(directory), one.invoices)
        two = _closed(postgres, 2)
        rates[size] = one.per_second
        _tell("COPY of the same rows (floor)", floor, floor)
        _tell("one worker", one, floor)
        _tell("two workers", two, floor)
        _tell("a loop over subscriptions by the ORM", loop, floor)
        goals = _goals(one, two, floor, loop)
    if len(sizes) > 1:
        first, last = rates[sizes[0]], rates[sizes[-1]]
        grown = f"{first:,.0f}/s at {sizes[0]:,}, {last:,.0f}/s at {sizes[-1]:,}"
        goals.append(Goal("", "growth stays linear (at least 80 % of the speed)", grown, last >= 0.8 * first))
    return told(goals)


def batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk


def _goals(one: Run, two: Run, floor: Run, loop: Run) -> list[Goal]:
    share, shared = one.per_second / floor.per_second, two.per_second / floor.per_second
    most, times = max(one.megabytes, two.megabytes), one.per_second / loop.per_second
    return [
        Goal("P9", "one worker, of the floor (>= 25 %)", f"{share:.0%}", share >= 0.25),
        Goal("P9", "two workers, of the floor (>= 45 %)", f"{shared:.0%}", shared >= 0.45),
        Goal("P9", "memory of a worker (<= 200 MB)", f"{most:.0f} MB", most <= 200),
        Goal("P9", "times the loop by the ORM (>= 30)", f"{times:.0f}", times >= 30),
    ]


def _tell(what: str, run: Run, floor: Run) -> None:
    print(
        f"{what:40}{run.invoices:>9,} in {run.seconds:7.1f} s {run.per_second:>9,.0f}/s"
        f" {run.per_second / floor.per_second:>6.0%} {run.megabytes:>6.0f} MB",
        flush=True,
    )


def _prices() -> list[Price]:
    made = []
    for number in range(ITEMS):
        meter = create_meter(display_name=f"Meter {number}", event_name=f"meter_{number}", formula="sum", at=START)
        product = create_product(name=f"Product {number}", unit_label="unit", at=START)
        spec = PriceSpec(
            currency="usd",
            billing_scheme="tiered",
            tiers_mode="volume" if number == ITEMS - 1 else "graduated",
            tiers=[
                TierSpec(None if end is None else Decimal(end), Decimal(each), None if flat is None else Decimal(flat))
                for end, each, flat in TIERS
            ],
            recurring=Recurring("month", 1, "metered", meter.pk),
        )
        made.append(create_price(product.pk, spec=spec, at=START))
    return made


def _fill(prices: Sequence[Price], count: int) -> None:
    newest = Customer.objects.order_by("-pk").values_list("pk", flat=True).first() or ""
    known = Customer.objects.count()
    for chunk in batched(range(known, known + count), CHUNK):
        refs = _numbers("customers_customer_ref_seq", len(chunk))
        customers = [
            Customer(ref=ref, name=f"Customer {n}", invoice_prefix=f"C{n}", currency="usd", created_at=START)
            for n, ref in zip(chunk, refs, strict=True)
        ]
        subscriptions = [
            Subscription(
                customer=customer, currency="usd", billing_cycle_anchor=START, start_date=START, created_at=START
            )
            for customer in customers
        ]
        items = [
            SubscriptionItem(subscription=subscription, price=price, created_at=START)
            for subscription in subscriptions
            for price in prices
        ]
        periods = [
            ItemPeriod(pk=key, item=item, price=item.price, starts_at=START, ends_at=END, bills_at=END)
            for key, item in zip(next_keys(ItemPeriod, len(items)), items, strict=True)
        ]
        for model, rows in (
            (Customer, customers), (Subscription, subscriptions), (SubscriptionItem, items), (ItemPeriod, periods)
        ):  # fmt: skip
            copy_models(model, rows)
    with connection.cursor() as cursor:
        cursor.execute(USAGE, [newest])
        cursor.execute("VACUUM ANALYZE")


def _numbers(sequence: str, count: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(%s) FROM generate_series(1, %s)", [sequence, count])
        return [number for (number,) in cursor.fetchall()]


@contextmanager
def _another_database(postgres: Postgres) -> Iterator[str]:
    """The URL of a database like the filled one, for the time of a measurement."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    filled = settings.DATABASES["default"]["NAME"]
    with psycopg.connect(postgres.url(user="postgres", database="postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE closing TEMPLATE {filled} OWNER countinghouse")
        admin.execute("CHECKPOINT")
        try:
            yield postgres.url(database="closing")
        finally:
            admin.execute("DROP DATABASE closing WITH (FORCE)")


def _work(url: str, what: str, workers: int = 1) -> Run:
    """Let some processes do the work at the same time; what it takes them to start is not counted."""
    environment = os.environ | {"DATABASE_URL": url, "INVOICE_GRACE_SECONDS": "0"}
    command = [sys.executable, "-m", "bench.close_worker", what]
    started = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    began = time.perf_counter()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [json.loads(process.communicate()[0]) for process in started]
    seconds = time.perf_counter() - began
    return Run(sum(one["done"] for one in told), seconds, max(one["megabytes"] for one in told))


def _naive(postgres: Postgres) -> Run:
    with _another_database(postgres) as url:
        return _work(url, "naive")


def _closed(postgres: Postgres, workers: int, keep: Path | None = None) -> Run:
    """Close everything; the rows that it made are kept in files if a directory is given."""
    with _another_database(postgres) as url:
        run = _work(url, "sweep", workers)
        with psycopg.connect(url) as database:
            found = database.execute(CHECK).fetchone()
            assert found == (run.invoices, run.invoices, 0), f"{found} of {run.invoices}"
            if keep:
                _keep(database, keep)
        return run


def _keep(database: "psycopg.Connection[Any]", directory: Path) -> None:
    ids = [id for (id,) in database.execute("SELECT id FROM invoices_invoice ORDER BY id").fetchall()]
    for number, chunk in enumerate(batched(ids, 1000)):
        for table, select in ROWS.items():
            statement = f"COPY ({select} BETWEEN '{chunk[0]}' AND '{chunk[-1]}' ORDER BY id) TO STDOUT"
            with (directory / f"{number:06}.{table}").open("wb") as file, database.cursor().copy(statement) as copy:
                for data in copy:
                    file.write(data)


def _floor(postgres: Postgres, directory: Path, invoices: int) -> Run:
    chunks = sorted({path.stem for path in directory.iterdir()})
    with _another_database(postgres) as url, psycopg.connect(url) as database:
        began = time.perf_counter()
        for chunk in chunks:
            for table in ROWS:
                columns = f" ({INVOICE})" if table == "invoices_invoice" else ""
                with database.cursor().copy(f"COPY {table}{columns} FROM STDIN") as copy:
                    copy.write((directory / f"{chunk}.{table}").read_bytes())
            database.commit()
        return Run(invoices, time.perf_counter() - began, 0)
