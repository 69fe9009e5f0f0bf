"""Which subscriptions with billing thresholds have to be looked at: those whose usage has moved since they last were.

A mark is the last of the slices that are not billed, and how much their meters have counted since the day on which
these begin. It is not the usage, but new usage moves it; it costs a few rows of the daily rollup, and no event is read.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from meters.aggregations import AGGREGATIONS

# Levels add up while nothing is sent, so these are looked at once an hour anyhow.
_LEVELS = sorted(formula for formula, aggregation in AGGREGATIONS.items() if aggregation.held)
_MARKS = """
    SELECT id, mark
    FROM (
        SELECT s.id, s.customer_id AS customer, s.threshold_mark AS kept, concat_ws(
            ' ', max(p.id), sum(used.n), sum(used.total), max(used.highest), min(used.lowest),
            CASE WHEN bool_or(m.formula = ANY(%(levels)s)) THEN to_char(%(at)s, 'YYYYMMDDHH24') END
        ) AS mark
        FROM subscriptions_subscription s
        JOIN customers_customer c ON c.id = s.customer_id
        JOIN subscriptions_subscriptionitem i ON i.subscription_id = s.id
        JOIN subscriptions_itemperiod p ON p.item_id = i.id AND p.closed_at IS NULL AND p.kind = 'regular'
        JOIN pricing_price r ON r.id = p.price_id
        JOIN meters_meter m ON m.id = r.meter_id
        LEFT JOIN LATERAL (
            SELECT sum(d.n) AS n, sum(d.total) AS total, max(d.vmax) AS highest, min(d.vmin) AS lowest
            FROM meters_usageday d
            WHERE d.customer_ref = c.ref AND d.meter_ref = m.ref AND d.day >= (p.starts_at AT TIME ZONE 'UTC')::date
        ) AS used ON true
        WHERE s.threshold_mark IS NOT NULL AND s.parked_at IS NULL AND s.pause_collection IS NULL AND {only}
        GROUP BY s.id
    ) AS marks {which}
"""


def marks_of(subscription_ids: Sequence[str], at: datetime) -> dict[str, str]:
    """The mark of each of these that has thresholds, and slices of usage to hold against them."""
    sql = _MARKS.format(only="s.id = ANY(%(ids)s)", which="")
    return dict(_read(sql, at, ids=list(subscription_ids)))


def moved(at: datetime, clock: str | None, limit: int) -> list[str]:
    """Subscriptions, of customers on a test clock or of those in real time, whose mark is not the one they keep."""
    sql = _MARKS.format(
        only="c.test_clock_id IS NOT DISTINCT FROM %(clock)s::text",
        which="WHERE mark <> kept ORDER BY customer, id LIMIT %(limit)s",
    )
    return [id for id, _ in _read(sql, at, clock=clock, limit=limit)]


def _read(sql: str, at: datetime, **given: Any) -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"at": at, "levels": _LEVELS, **given})
        return cursor.fetchall()
