"""Months of events in tests that can be archived, and what it looks like when they are."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import duckdb

from core import clock
from meters import archive, epochs
from meters.ingest import Outcome, Record, ingest
from meters.models import IngestEpoch
from meters.tests.rotation import begin, run
from tests.make import JAN

NOW = JAN + timedelta(days=20)
MONTHS = epochs.KEPT_MONTHS_AT_LEAST + 1


def after(number: int, months: int) -> int:
    for _ in range(months):
        number = epochs.month_after(number)
    return number


def send(records: Sequence[Record]) -> None:
    assert {result.outcome for result in ingest(records, at=NOW)} <= {Outcome.STORED}


def age(epoch: int, months: int = MONTHS) -> None:
    """Months pass since `epoch` was current, so that it is old enough."""
    for number in range(1, months + 1):
        (current, started_at) = run("SELECT epoch, started_at FROM meters_ingestepoch ORDER BY epoch DESC LIMIT 1")[0]
        if (following := after(epoch, number)) > current:
            started_at = max(started_at, clock.now())
            begin(following, started_at=started_at + timedelta(days=31))


def wait_until_known(epoch: int) -> None:
    """As if every process had read the log since."""
    run("UPDATE meters_ingestepoch SET archived_at = archived_at - interval '1 hour' WHERE epoch = %s", epoch)
    epochs.forget()


def steps(epoch: int) -> Iterator[str]:
    """Archive an epoch; stops after each of the three steps."""
    yield archive.archive(epoch)
    wait_until_known(epoch)
    yield archive.archive(epoch)
    yield archive.archive(epoch)


def archived(epoch: int) -> IngestEpoch:
    """An epoch of which only the file is left."""
    list(steps(epoch))
    made = IngestEpoch.objects.get(epoch=epoch)
    assert made.dropped_at
    return made


def spoil(path: Path, change: str) -> None:
    """Put another file in the place of one: the result of a SELECT of `events`."""
    other = path.with_suffix(".other")
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet('{path}')")
        engine.execute(f"COPY ({change}) TO '{other}' (FORMAT parquet)")
    other.replace(path)
