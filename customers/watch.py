"""Whose usage is evaluated as it comes, and who has to be evaluated again (docs/decisions/0037).

Usage of a watched customer is shown to the observers (`meters/observers.py`) in the transaction that stores it; usage
of the others is stored without a question more.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from django.db import connection
from django.db.models import QuerySet

from core.sql import CHANGES_CHANNEL
from customers.models import Customer
from customers.watch_models import Watch, WatchMark

Wanted = Callable[[], QuerySet[Customer]]
_wanted: list[Wanted] = []

# Taken alone by who changes whose usage is wanted, together by who makes or changes a customer: each sees the other.
_GATE = "%s(2002872931, 1)"
_PLAN_AGAIN = 1000  # rows after which the planner is told


def wanted_by(wanted: Wanted) -> None:
    """Let an upper app say which customers it wants watched; called from `AppConfig.ready`."""
    _wanted.append(wanted)


def hold() -> None:
    """Let no customer be made or changed by another transaction until this one ends, and nobody else want others."""
    _sql(f"SELECT {_GATE % 'pg_advisory_xact_lock'}")


def settle_all() -> None:
    """Watch all whom anybody wants watched, and nobody else. Locks: as `hold`."""
    hold()
    made, gone = _settle(Customer.objects.all())
    if made or gone:
        # Who keeps in memory who is watched reads it again; until then ingestion finds out by itself.
        _sql("SELECT pg_notify(%s, %s)", [CHANGES_CHANNEL, Watch._meta.db_table])
    if made + gone > _PLAN_AGAIN:
        _sql(f"ANALYZE {Watch._meta.db_table}")


def settle(customer_id: str) -> None:
    """The same for one customer, who was made or changed in this transaction."""
    _sql(f"SELECT {_GATE % 'pg_advisory_xact_lock_shared'}")
    _settle(Customer.objects.filter(pk=customer_id))


def _settle(among: QuerySet[Customer]) -> tuple[int, int]:
    """How many rows were made, and how many removed."""
    wanted = Customer.objects.none()
    for of_one in _wanted:
        wanted = wanted | of_one()
    ids = among.order_by().values("pk")
    new = among.filter(pk__in=wanted.order_by().values("pk"), watch=None).order_by("ref")
    rows = [Watch(customer_ref=ref, customer_id=id) for id, ref in new.values_list("pk", "ref")]
    Watch.objects.bulk_create(rows, ignore_conflicts=True)
    left = Watch.objects.filter(customer__in=ids).exclude(customer__in=wanted.order_by().values("pk"))
    gone, _ = left.delete()
    return len(rows), gone


def lock(customer_refs: Collection[int]) -> set[int]:
    """Those of these customers that are watched; until the transaction ends nobody else evaluates them.

    Taken last, behind the usage that is to be evaluated: so that who comes second sees what the first has stored.
    """
    rows = Watch.objects.select_for_update().filter(pk__in=list(customer_refs)).order_by("pk")
    return set(rows.values_list("pk", flat=True))


def touch(customer_ids: Collection[str], *, at: datetime) -> None:
    """Have these customers, as far as they are watched, evaluated soon: a balance or an invoice of theirs has changed.

    Waits for nobody, whatever the caller has locked.
    """
    refs = Watch.objects.filter(customer__in=list(customer_ids)).values_list("pk", flat=True)
    mark(list(refs), at=at)


def mark(customer_refs: Sequence[int], *, at: datetime, of_usage: bool = False) -> None:
    """Have these evaluated by the next sweep; `of_usage`: as if their usage came then."""
    WatchMark.objects.bulk_create(
        WatchMark(customer_ref=ref, of_usage=of_usage, marked_at=at) for ref in sorted(customer_refs)
    )


def _sql(sql: str, params: Sequence[str] = ()) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
