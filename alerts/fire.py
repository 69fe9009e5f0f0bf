"""Writes down that an alert has fired, once, and tells of it in the same transaction."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from django.db import connection

from alerts import tell
from alerts.asks import Ask, Reading
from alerts.models import Alert, AlertTriggered
from core.ids import new_ids

# Who comes second, in this transaction or in another, inserts nothing; so does who has seen the alert before it was
# switched off. In the order of the key, or two that fire the same would wait for each other.
FIRE = """
INSERT INTO alerts_alerttriggered (id, alert_id, generation, customer_id, period_start, period_end, "group",
                                   threshold, value, why, is_test, in_inbox, created_at, seen_by)
SELECT given.id, given.alert, given.generation, given.customer, given.period_start, given.period_end, given."group",
       given.threshold, given.value, given.why, false, given.in_inbox, %s, ''
FROM jsonb_to_recordset(%s::jsonb) AS given(id text, alert text, generation integer, customer text,
    period_start timestamptz, period_end timestamptz, "group" text, threshold numeric, value numeric, why jsonb,
    in_inbox boolean)
JOIN alerts_alert AS a ON a.id = given.alert AND a.generation = given.generation AND a.status = 'active'
ORDER BY given.alert, given.customer, given.period_start, given."group"
ON CONFLICT DO NOTHING
RETURNING id
"""


class Crossing(NamedTuple):
    """A value that has come to the threshold of an alert."""

    ask: Ask
    reading: Reading


def fire(crossings: Sequence[Crossing], at: datetime) -> list[AlertTriggered]:
    """Let each of these fire that has not; returns those that did. Idempotent."""
    if not crossings:
        return []
    given = [_given(id, one) for id, one in zip(new_ids("alrtt", len(crossings)), crossings, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(FIRE, [at, orjson.dumps(given, default=str).decode()])
        ids = [id for (id,) in cursor.fetchall()]
    if not ids:
        return []
    fired = list(
        AlertTriggered.objects.filter(pk__any_of=ids)
        .select_related("alert__meter", "alert__customer", "customer")
        .order_by("pk")
    )
    tell.tell(fired, at=at)
    return fired


def try_out(alert: Alert, *, at: datetime) -> AlertTriggered:
    """Tell of an alert as if it had fired, marked as a test; it can still fire."""
    row = AlertTriggered.objects.create(
        alert=alert,
        generation=alert.generation,
        customer=alert.customer,
        threshold=alert.threshold,
        value=alert.threshold,
        why={"test": True},
        is_test=True,
        in_inbox=Alert.Channel.INBOX in alert.channels,
        created_at=at,
    )
    tell.tell([row], at=at)
    return row


def _given(id: str, one: Crossing) -> dict[str, Any]:
    alert, key = one.ask.alert, one.ask.key
    return {
        "id": id,
        "alert": alert.pk,
        "generation": alert.generation,
        "customer": one.ask.customer.id,
        "period_start": key.start if key else None,
        "period_end": key.end if key else None,
        "group": one.reading.group,
        "threshold": alert.threshold,
        "value": Decimal(one.reading.value),
        "why": dict(one.reading.why()),
        "in_inbox": Alert.Channel.INBOX in alert.channels,
    }
