"""A PostgreSQL that forces everything to disk, with the settings that a busy installation should have."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
import psycopg
from django.core.management import call_command

from billing_project import home
from billing_project.embedded.postgres import Postgres

SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "30min"}


@contextmanager
def running(directory: Path) -> Iterator[Postgres]:
    postgres = Postgres(home.postgres_dir())
    postgres.start()
    try:
        with psycopg.connect(postgres.url(user="postgres", database="postgres"), autocommit=True) as connection:
            for name, value in SETTINGS.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            connection.execute("GRANT pg_checkpoint TO countinghouse")
        postgres.stop()
        postgres.start()
        django.setup()
        call_command("migrate", verbosity=0)
        yield postgres
    finally:
        postgres.stop()
