"""What must hold for this installation to do its work; every call looks anew."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from core.models import Heartbeat

WORKER, DELIVERER = "worker", "webhooks"
OLDEST_HEARTBEAT = timedelta(seconds=30)


def database_problem(at: datetime) -> str | None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "the database does not answer"
    return None


def migrations_problem(at: datetime) -> str | None:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(missing)} migrations are not applied" if missing else None


def worker_problem(at: datetime) -> str | None:
    """Beat, broker and worker together: beat sends the heartbeat, a worker writes it."""
    return _silence(WORKER, at)


def deliverer_problem(at: datetime) -> str | None:
    """Who sends webhooks and mail."""
    return _silence(DELIVERER, at)


def _silence(name: str, at: datetime) -> str | None:
    beat = Heartbeat.objects.filter(name=name).first()
    if beat is None:
        return "no heartbeat yet"
    age = at - beat.beat_at
    return f"last heartbeat {age.total_seconds():.0f} s ago" if age >= OLDEST_HEARTBEAT else None


CHECKS: dict[str, Callable[[datetime], str | None]] = {
    "database": database_problem,
    "migrations": migrations_problem,
    "worker": worker_problem,
    "webhooks": deliverer_problem,
}


def problems(at: datetime) -> dict[str, str | None]:
    """Every check by name, with None where all is well. Without a database the others cannot be known."""
    found: dict[str, str | None] = {}
    for name, check in CHECKS.items():
        if found.get("database"):
            found[name] = "unknown"
            continue
        try:
            found[name] = check(at)
        except DatabaseError as error:
            found[name] = str(error).splitlines()[0]
    return found
