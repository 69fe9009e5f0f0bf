"""What ingestion and the question about usage may cost, in statements, plans and bytes, which no load changes."""

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from customers.models import Customer
from meters import epochs, event_sql, event_writes
from meters.ingest import Record, ingest
from meters.models import Meter, UsageDay
from meters.tests import rotation
from meters.tests.rotation import run
from meters.usage import usage
from tests import make
from tests.make import JAN

pytestmark = pytest.mark.django_db
BATCH, CUSTOMERS = 1000, 20
DAY = timedelta(days=1)
MOST_BYTES = 900  # of log per event: rows, two indexes, and in a batch this small the rollup's rows
START, END = JAN + timedelta(hours=13, minutes=47), JAN + timedelta(days=31, hours=13, minutes=47)


@pytest.fixture
def meter(db: None) -> Meter:
    return make.meter("tokens")


@pytest.fixture
def customers(db: None) -> list[Customer]:
    return [make.customer() for _ in range(CUSTOMERS)]


def records(customers: list[Customer], count: int = BATCH) -> list[Record]:
    payload = {"value": "12345", "model": "large-2", "region": "eu-west-1"}
    return [
        Record(
            "tokens",
            payload | {"stripe_customer_id": customers[n % len(customers)].pk},
            str(uuid.uuid4()),
            JAN + timedelta(hours=n % 24),
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("count", [1, BATCH, 2 * BATCH])
def test_a_batch_is_two_readings_and_one_statement(meter: Meter, customers: list[Customer], count: int) -> None:
    given = records(customers, count)
    epochs.current()

    with CaptureQueriesContext(connection) as seen:
        ingest(given, at=JAN + DAY)

    statements = [query["sql"] for query in seen.captured_queries]
    batches = -(-count // event_writes.MOST)
    assert sum("INSERT" in sql for sql in statements) == batches
    assert len(statements) == 3 * batches


@pytest.mark.django_db(transaction=True)
def test_bytes_of_log_per_event(meter: Meter, customers: list[Customer]) -> None:
    ingest(records(customers), at=JAN + DAY)  # the rows of the rollup are there
    given = records(customers)
    run("SELECT pg_current_xact_id()")
    before = written()

    ingest(given, at=JAN + DAY)

    assert 200 < (written() - before) / BATCH < MOST_BYTES


def written() -> int:
    return int(run("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")[0][0])


@pytest.fixture
def used(meter: Meter, customers: list[Customer], epoch: int) -> Customer:
    """A customer with an event each hour. A second epoch has ended, too, which a reader of January can leave out."""
    payload = {"stripe_customer_id": customers[0].pk, "value": "1"}
    ingest([Record("tokens", payload, None, JAN + hour * timedelta(hours=1)) for hour in range(32 * 24)], at=END)
    rotation.begin(epochs.month_after(epoch))
    later = END + timedelta(days=40)
    ingest([Record("tokens", payload, None, later)], at=later)
    rotation.begin(epochs.month_after(epochs.month_after(epoch)))
    assert epochs.without_events_in(START, END) == [epochs.month_after(epoch)]
    run("SET LOCAL enable_seqscan = off")  # the tables are small
    run("SET LOCAL enable_bitmapscan = off")
    return customers[0]


def plan_of(meter: Meter, customer: Customer) -> list[dict]:
    """The nodes that read a table, of the one statement that answers."""
    with CaptureQueriesContext(connection) as seen:
        usage(meter, customer, start=START, end=END)
    (query,) = [query["sql"] for query in seen.captured_queries]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")
        (plan,) = cursor.fetchone()
    return list(readers((plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]))


def readers(node: dict) -> Iterator[dict]:
    if "Relation Name" in node:
        yield node
    for child in node.get("Plans", []):
        yield from readers(child)


def test_a_question_about_a_month_reads_the_rollup_and_of_events_indexes_only(meter: Meter, used: Customer) -> None:
    nodes = plan_of(meter, used)

    (days,) = [node for node in nodes if node["Relation Name"] == UsageDay._meta.db_table]
    assert days["Actual Rows"] == 30
    events = [node for node in nodes if node["Relation Name"].startswith("meters_meterevent")]
    assert {node["Node Type"] for node in events} == {"Index Only Scan"}
    assert sum(node["Actual Rows"] for node in events) == 10 + 14  # of the hours at each edge
    assert not any(node["Relation Name"].endswith(str(epochs.without_events_in(START, END)[0])) for node in events)


def test_control_a_column_that_the_index_lacks_is_seen_in_the_plan(
    meter: Meter, used: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "without_events_in", lambda start, end: [])
    matching = event_sql._matching

    def with_a_column(span: event_sql.Span) -> event_sql.Sql:
        sql, params = matching(span)
        return f"{sql} AND sent_key = 0", params

    monkeypatch.setattr(event_sql, "_matching", with_a_column)

    kinds = {n["Node Type"] for n in plan_of(meter, used) if n["Relation Name"].startswith("meters_meterevent")}

    assert "Index Scan" in kinds
