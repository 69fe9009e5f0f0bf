"""The epoch that is current, for tests that begin others."""

from collections.abc import Iterator
from pathlib import Path

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
    run(
        "UPDATE meters_ingestepoch SET measured_at = NULL, oldest = NULL, newest = NULL, archived_at = NULL,"
        " archive_path = NULL, archive_sha256 = NULL, archive_rows = NULL, detached_at = NULL, dropped_at = NULL"
    )
    run("SELECT meters_make_partition(%s)", number)
    for table in partitions():
        may_truncate(table)
    run("TRUNCATE meters_meterevent")
    for table in partitions() - before:
        run(f"DROP TABLE {table}")
    run(f"DROP TABLE IF EXISTS meters_meterevent_{number}_detached")
    run("DELETE FROM meters_ingestepoch WHERE epoch > %s", number)
    epochs.forget()


@pytest.fixture
def archive_dir(tmp_path: Path, settings) -> Path:
    settings.ARCHIVE_DIR = tmp_path / "archive"
    return settings.ARCHIVE_DIR
