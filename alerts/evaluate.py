"""Holds alerts against what their customers have used, and lets them fire."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from alerts.asks import Ask, Pair
from alerts.fire import Crossing, fire
from alerts.kinds import KINDS
from alerts.models import Alert, AlertTriggered


def evaluate(pairs: Sequence[Pair], at: datetime) -> list[AlertTriggered]:
    """Fire what has come to its threshold and has not fired yet; returns what fired.

    Idempotent. The caller holds the watches of the customers, and the transaction.
    """
    crossings: list[Crossing] = []
    by_kind: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_kind[pair.alert.alert_type].append(pair)
    for name, some in by_kind.items():
        kind = KINDS[name]
        asks = _not_fired(kind.ask(some, at))
        for ask, readings in zip(asks, kind.read(asks, at), strict=True):
            crossings += [
                Crossing(ask, reading) for reading in readings if kind.crosses(reading.value, ask.alert.threshold)
            ]
    return fire(crossings, at)


def _not_fired(asks: Sequence[Ask]) -> Sequence[Ask]:
    """Without those that have fired in their period; where groups fire apart, nothing can be said before reading."""
    keyed = [ask for ask in asks if ask.key and not ask.alert.group_by]
    if not keyed:
        return asks
    rows = AlertTriggered.objects.real().filter(
        alert__in={ask.alert.pk for ask in keyed},
        customer__any_of=list({ask.customer.id for ask in keyed}),
        period_start__gte=min(ask.key.start for ask in keyed if ask.key),
    )
    fired = set(rows.values_list("alert", "generation", "customer", "period_start"))
    return [ask for ask in asks if ask.alert.group_by or not ask.key or _key(ask) not in fired]


def _key(ask: Ask) -> tuple[str, int, str, datetime | None]:
    alert: Alert = ask.alert
    return alert.pk, alert.generation, ask.customer.id, ask.key.start if ask.key else None
