"""The epoch that is current, for tests that begin others."""

from collections.abc import Iterator

import pytest

from meters import epochs
from meters.tests.rotation import may_truncate, partitions, run


@pytest.fixture
def epoch(db: None) -> Iterator[int]:
    """The number of the current epoch, for tests that are rolled back, new partitions included."""
    yield epochs.current(fresh=True).number
    epochs.forget()


@pytest.fixture
def real_epoch(transactional_db: None) -> Iterator[int]:
    """The same for tests that commit."""
    before, number = partitions(), epochs.current(fresh=True).number
    yield number
    new = partitions() - before
    for table in new:
        may_truncate(table)
    run("TRUNCATE meters_meterevent")
    for table in new:
        run(f"DROP TABLE {table}")
    run("DELETE FROM meters_ingestepoch WHERE epoch > %s", number)
    run("UPDATE meters_ingestepoch SET measured_at = NULL, oldest = NULL, newest = NULL")
    epochs.forget()
