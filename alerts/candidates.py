"""Which alerts are about which customers: those that have not fired yet, where they fire once."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from alerts.asks import Pair
from alerts.kinds import KINDS
from alerts.models import Alert
from customers.aliases import Owner
from customers.models import Customer
from meters.models import Meter
from meters.records import Checked

# Two arms, each led by an index: alerts of one customer may be as many as customers, those of many are few. Of an alert
# on all usage there ever was the rollup says at once whether it can fire, and mostly it cannot. Step by step, as who
# plans it knows how little is left after each as badly as anybody.
_FIND = """
WITH who AS MATERIALIZED (
    SELECT c.id, c.ref, c.metadata, m.id AS meter, CASE WHEN m.event_time_window IS NULL THEN CASE m.formula
        WHEN 'sum' THEN used.total WHEN 'count' THEN used.n WHEN 'max' THEN used.vmax WHEN 'min' THEN used.vmin
    END END AS quantity
    FROM unnest(%(customers)s::bigint[], %(meters)s::integer[]) AS asked(customer_ref, meter_ref)
    JOIN customers_customer AS c ON c.ref = asked.customer_ref
    LEFT JOIN meters_meter AS m ON m.ref = asked.meter_ref
    CROSS JOIN LATERAL (
        SELECT sum(total) AS total, sum(n) AS n, max(vmax) AS vmax, min(vmin) AS vmin FROM meters_usageday AS d
        WHERE d.customer_ref = asked.customer_ref AND d.meter_ref = asked.meter_ref
    ) AS used
    WHERE c.deleted_at IS NULL AND c.test_clock_id IS NULL
),
about AS MATERIALIZED (
    SELECT a.id, a.generation, who.id AS customer, who.ref, a.recurrence = 'one_time' AND a.group_by = '' AS is_once
    FROM who JOIN alerts_alert AS a ON a.customer_id = who.id
    WHERE {on_duty}
    UNION
    SELECT a.id, a.generation, who.id, who.ref, a.recurrence = 'one_time' AND a.group_by = ''
    FROM who JOIN alerts_alert AS a ON a.customer_id IS NULL
    WHERE {on_duty} AND (a.metadata_key = '' OR who.metadata ->> a.metadata_key = a.metadata_value)
)
SELECT id, customer, ref FROM about WHERE NOT is_once OR NOT EXISTS (
    SELECT FROM alerts_alerttriggered AS t
    WHERE t.alert_id = about.id AND t.generation = about.generation AND t.customer_id = about.customer AND NOT t.is_test
)
ORDER BY 1, 2
"""
_ON_DUTY = """a.status = 'active' AND a.alert_type = ANY(%(kinds)s) AND (%(only)s::text IS NULL OR a.id = %(only)s)
    AND (a.snoozed_until IS NULL OR a.snoozed_until <= %(at)s)
    AND (a.meter_id IS NULL OR %(any_meter)s OR a.meter_id = who.meter)
    AND (a.meter_id <> who.meter OR a.alert_type <> 'usage_threshold' OR a.recurrence <> 'one_time' OR a.group_by <> ''
        OR a.dimensions <> '{{}}' OR a.threshold <= who.quantity) IS NOT FALSE"""
FIND = _FIND.format(on_duty=_ON_DUTY.replace("{{}}", "{}"))


def pairs_of_news(stored: Sequence[Checked], at: datetime) -> list[Pair]:
    """What new usage concerns."""
    news: dict[tuple[str, str], list[Checked]] = {}
    for entry in stored:
        news.setdefault((entry.customer_id, entry.meter.pk), []).append(entry)
    firsts = [entries[0].event for entries in news.values()]
    found = _found(
        [event.customer_ref for event in firsts],
        [event.meter_ref for event in firsts],
        at=at,
        kinds=[kind.name for kind in KINDS.values() if kind.by_usage],
    )
    meters = {entry.meter.pk: entry.meter for entry in stored}
    alerts = _alerts({alert for alert, _, __ in found}, meters)
    return [
        Pair(alerts[alert], Owner(customer, ref, None), news.get((customer, alerts[alert].meter_id or ""), ()))
        for alert, customer, ref in found
    ]


def pairs_of(
    customer_refs: Collection[int], at: datetime, *, kinds: Collection[str], only: Alert | None = None
) -> list[Pair]:
    """All that these kinds of alerts, or only one of these alerts, have to say of some customers."""
    refs = sorted(customer_refs)
    found = _found(refs, [None] * len(refs), at=at, kinds=kinds, only=only.pk if only else None, any_meter=True)
    alerts = _alerts({alert for alert, _, __ in found}, {})
    return [Pair(alerts[alert], Owner(customer, ref, None)) for alert, customer, ref in found]


def covered() -> QuerySet[Customer]:
    """The customers that any active alert is about."""
    return covered_by(Alert.objects.active())


def covered_by(alerts: QuerySet[Alert]) -> QuerySet[Customer]:
    """The customers that any of these alerts is about; none that lives on a test clock."""
    rows = Customer.objects.live().filter(test_clock=None)
    about = Q(pk__in=alerts.filter(customer__isnull=False).order_by().values("customer"))
    general = alerts.filter(customer=None).order_by()
    for key, value in general.values_list("metadata_key", "metadata_value").distinct():
        if not key:
            return rows
        about |= Q(metadata__contains={key: value})
    return rows.filter(about)


def kinds_where(**wanted: bool) -> list[str]:
    """The names of the kinds that have any of these marks."""
    return [kind.name for kind in KINDS.values() if any(getattr(kind, mark) for mark in wanted)]


def _found(
    customers: Sequence[int],
    meters: Sequence[int | None],
    *,
    at: datetime,
    kinds: Collection[str],
    only: str | None = None,
    any_meter: bool = False,
) -> list[tuple[str, str, int]]:
    given: dict[str, Any] = {"customers": customers, "meters": meters, "kinds": list(kinds), "at": at}
    with connection.cursor() as cursor:
        cursor.execute(FIND, given | {"only": only, "any_meter": any_meter})
        return cursor.fetchall()


def _alerts(ids: Collection[str], meters: Mapping[str, Meter]) -> dict[str, Alert]:
    """With their meters, which need not be read where the events have brought them."""
    if not ids:
        return {}
    rows = Alert.objects.filter(pk__any_of=sorted(ids))
    found = list(rows if meters else rows.select_related("meter"))
    for alert in found:
        if alert.meter_id and alert.meter_id in meters:
            alert.meter = meters[alert.meter_id]
    return {alert.pk: alert for alert in found}
