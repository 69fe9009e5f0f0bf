"""Which auto top-ups have to be looked at: those of customers whose balance can have moved since they last were.

A mark is what usage has come to in the time for which usage is still taken in, the newest transaction of the credits,
and the holds. It is not the balance, but new usage moves it; no event is read. What moves a balance in other ways
(prices, discounts, levels, the boundary of a period) is noticed within the hour.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

TAKEN_IN = timedelta(days=36)  # usage can be 35 days old
_MARKS = """
    SELECT id, mark
    FROM (
        SELECT t.id, t.customer_id AS customer, t.mark AS kept, concat_ws(
            ' ', to_char(%(at)s, 'YYYYMMDDHH24'), used.n, used.total, used.highest, used.lowest, newest.id, held.n,
            held.newest
        ) AS mark
        FROM credits_autotopup t
        JOIN customers_customer c ON c.id = t.customer_id
        LEFT JOIN LATERAL (
            SELECT sum(d.n) AS n, sum(d.total) AS total, max(d.vmax) AS highest, min(d.vmin) AS lowest
            FROM meters_meter m
            JOIN meters_usageday d ON d.customer_ref = c.ref AND d.meter_ref = m.ref AND d.day >= %(since)s::date
        ) AS used ON true
        LEFT JOIN LATERAL (
            SELECT x.id FROM credits_credittransaction x
            WHERE x.customer_id = c.id ORDER BY x.created_at DESC, x.id DESC LIMIT 1
        ) AS newest ON true
        LEFT JOIN LATERAL (
            SELECT count(*) AS n, max(h.id) AS newest FROM credits_credithold h
            WHERE h.customer_id = c.id AND h.status = 'approved'
        ) AS held ON true
        WHERE t.enabled AND t.deleted_at IS NULL AND {only} AND NOT EXISTS (
            SELECT FROM credits_topup p WHERE p.auto_top_up_id = t.id AND p.status = 'awaiting_payment'
        )
    ) AS marks {which}
"""


def marks_of(auto_top_up_ids: Sequence[str], at: datetime) -> dict[str, str]:
    """The mark of each of these that watches a balance."""
    sql = _MARKS.format(only="t.id = ANY(%(ids)s)", which="")
    return dict(_read(sql, at, ids=list(auto_top_up_ids)))


def moved(at: datetime, clock: str | None, limit: int) -> list[str]:
    """Auto top-ups, of customers on a test clock or of those in real time, whose mark is not the one they keep."""
    sql = _MARKS.format(
        only="c.test_clock_id IS NOT DISTINCT FROM %(clock)s::text",
        which="WHERE mark <> kept ORDER BY customer, id LIMIT %(limit)s",
    )
    return [id for id, _ in _read(sql, at, clock=clock, limit=limit)]


def _read(sql: str, at: datetime, **given: Any) -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"at": at, "since": at - TAKEN_IN, **given})
        return cursor.fetchall()
