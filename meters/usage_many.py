"""The usage of many customers and meters at once, for the closing of many periods: the same answers as `usage`.

What is made of whole days and a few events at the edges comes from one statement for all that share a formula; what
needs more than that (levels, windows, values that carry over, usage of one item, archived events) is asked one by one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from meters import epochs
from meters.aggregations import AGGREGATIONS, Aggregation
from meters.event_sql import Snapshot
from meters.event_store import exact
from meters.models import Meter
from meters.rollups import NOT_CANCELLED, split
from meters.usage import Numbered, Usage, usage


@dataclass(frozen=True, slots=True)
class Question:
    """The usage of [start, end); the arguments of `usage`."""

    meter: Meter
    customer: Numbered
    start: datetime
    end: datetime
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)


def usage_many(questions: Sequence[Question]) -> list[Usage]:
    """The answer to each question, in their order; includes every event acknowledged before the call."""
    answers: list[Usage | None] = [None] * len(questions)
    together: dict[str, list[int]] = defaultdict(list)
    archived = bool(questions) and bool(
        epochs.places(min(one.start for one in questions), max(one.end for one in questions)).archived
    )
    for place, asked in enumerate(questions):
        if archived or not is_plain(asked):
            answers[place] = usage(
                asked.meter, asked.customer, start=asked.start, end=asked.end, only=asked.only or None
            )
        else:
            together[asked.meter.formula].append(place)
    for formula, places in together.items():
        for place, answer in zip(
            places, _aggregate(AGGREGATIONS[formula], [questions[n] for n in places]), strict=True
        ):
            answers[place] = answer
    return [answer for answer in answers if answer is not None]


def is_plain(asked: Question) -> bool:
    """Whether it is asked together with others."""
    aggregation = AGGREGATIONS[asked.meter.formula]
    return (
        aggregation.kept == "day"
        and not (aggregation.looks_back or aggregation.takes_latest or asked.only)
        and asked.meter.event_time_window is None
    )


def _aggregate(aggregation: Aggregation, questions: Sequence[Question]) -> list[Usage]:
    """One statement, and so one snapshot, for all: a row for each question that has any usage."""
    days: list[tuple[Any, ...]] = []
    edges: list[tuple[Any, ...]] = []
    for place, asked in enumerate(questions):
        who = (place, asked.customer.ref, asked.meter.ref)
        whole = split(asked.start, asked.end)
        if whole is None:
            edges.append((*who, asked.start, asked.end))
            continue
        days.append((*who, whole.start.date(), whole.end.date()))
        edges += [
            (*who, start, end) for start, end in ((asked.start, whole.start), (whole.end, asked.end)) if start < end
        ]
    sql = f"""
        WITH counted AS (
            SELECT asked.place, n, total, vmax, vmin
            FROM unnest(%s::int[], %s::int[], %s::int[], %s::date[], %s::date[])
                AS asked(place, customer_ref, meter_ref, first, last)
            CROSS JOIN LATERAL (
                SELECT n, total, vmax, vmin FROM meters_usageday AS d
                WHERE d.customer_ref = asked.customer_ref AND d.meter_ref = asked.meter_ref
                    AND d.day >= asked.first AND d.day < asked.last
            ) AS days
            UNION ALL
            SELECT asked.place, 1, value, value, value
            FROM unnest(%s::int[], %s::int[], %s::int[], %s::timestamptz[], %s::timestamptz[])
                AS asked(place, customer_ref, meter_ref, first, last)
            CROSS JOIN LATERAL (
                SELECT value FROM meters_meterevent
                WHERE customer_ref = asked.customer_ref AND meter_ref = asked.meter_ref
                    AND timestamp >= asked.first AND timestamp < asked.last AND {NOT_CANCELLED}
            ) AS events
        ), used AS (
            SELECT place, coalesce({aggregation.sql}, 0) AS quantity, coalesce({aggregation.per or 1}, 0) AS per,
                sum(n)::bigint AS events FROM counted GROUP BY place
        )
        SELECT place, quantity, per, events, pg_current_snapshot()::text, clock_timestamp()
        FROM (SELECT 1) AS always LEFT JOIN used ON true
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, [*_columns(days), *_columns(edges)])
        rows = cursor.fetchall()
    snapshot = Snapshot(rows[0][4], rows[0][5])
    nothing = Usage(Decimal(0), 0, snapshot)
    answers = [nothing] * len(questions)
    for place, quantity, per, events, _, __ in rows:
        if place is not None:
            answers[place] = Usage(exact(quantity, per, aggregation.per), events, snapshot)
    return answers


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[], [], [], [], []]
