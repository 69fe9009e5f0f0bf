"""What every test needs: a PostgreSQL, and a database in which the tests may empty the tables again."""

import os
import shutil
from pathlib import Path

import pytest

from billing_project import home
from billing_project.embedded.postgres import Postgres

pytest_plugins = ["tests.stack"]
POSTGRES = pytest.StashKey[Postgres]()

FORBID_TRUNCATE = """
    SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE NOT t.tgisinternal AND t.tgname LIKE '%\\_no\\_truncate'
"""


def owns_servers(config: pytest.Config) -> bool:
    """Only the one process that the others belong to starts and stops things."""
    return not hasattr(config, "workerinput") and not (config.option.help or config.option.version)


def pytest_configure(config: pytest.Config) -> None:
    if owns_servers(config) and not os.environ.get("TEST_DATABASE_URL"):
        config.stash[POSTGRES] = Postgres(home.postgres_dir(), fast=True)
        config.stash[POSTGRES].start()


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    if postgres := config.stash.get(POSTGRES, None):
        postgres.stop()
        if postgres.socket_dir != postgres.data:
            shutil.rmtree(postgres.socket_dir, ignore_errors=True)
    shutil.rmtree(Path(os.environ["COUNTINGHOUSE_TEST_RUN"]), ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: "object") -> None:
    """Tests in transactions of their own are cleaned up by TRUNCATE, which history forbids elsewhere."""
    from django.db import connection

    with django_db_blocker.unblock(), connection.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(FORBID_TRUNCATE)
        for table, trigger in cursor.fetchall():
            cursor.execute(f'ALTER TABLE "{table}" DISABLE TRIGGER "{trigger}"')
            cursor.execute(f'GRANT TRUNCATE ON "{table}" TO CURRENT_USER')
