"""What alerts on the usage of a meter look at: how much there is, how much more than usual, and since when none."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from alerts.asks import Ask, Pair, Reading
from alerts.models import Alert
from alerts.open_periods import month_of, open_periods
from core.money import plain
from meters.aggregations import AGGREGATIONS
from meters.usage import Usage, usage_by_dimensions
from meters.usage_many import Question, usage_many
from subscriptions.periods import Period

EVER = datetime(2000, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MOST_NAMED = 20  # events whose identifiers are kept


def ask_usage(pairs: Sequence[Pair], at: datetime) -> list[Ask]:
    """All usage there ever was, or that of the period that bills it; a month where none does.

    That the one-time alert looks at all of it is our reading of Stripe's.
    """
    periodic = [pair for pair in pairs if pair.alert.recurrence == Alert.Recurrence.PER_PERIOD]
    meters = {pair.alert.meter_id for pair in periodic if pair.alert.meter_id}
    found = open_periods({pair.customer.id for pair in periodic}, meters) if periodic else {}
    # To the end of tomorrow: an event may be timed a few minutes ahead, and whole days are read from the rollup.
    ever = Period(EVER, _midnight(at) + 2 * DAY)
    asks = []
    for pair in pairs:
        if pair.alert.recurrence == Alert.Recurrence.ONE_TIME:
            asks.append(Ask(pair, ever))
        else:
            period = found.get((pair.customer.id, pair.alert.meter_id or ""), month_of(at))
            asks.append(Ask(pair, period, period))
    return asks


def read_usage(asks: Sequence[Ask], at: datetime) -> list[list[Reading]]:
    used = _usage([(ask, ask.window) for ask in asks if not ask.alert.group_by])
    following = iter(used)
    return [_by_group(ask) if ask.alert.group_by else [_reading(ask, next(following))] for ask in asks]


def ask_growth(pairs: Sequence[Pair], at: datetime) -> list[Ask]:
    """Today (UTC)."""
    today = Period(_midnight(at), _midnight(at) + DAY)
    return [Ask(pair, today, today if pair.alert.recurrence == Alert.Recurrence.PER_PERIOD else None) for pair in pairs]


def read_growth(asks: Sequence[Ask], at: datetime) -> list[list[Reading]]:
    """Today so far in percent of a mean day of the window before; nothing to compare with is no growth."""
    windows = [Period(ask.window.start - (ask.alert.window or 7) * DAY, ask.window.start) for ask in asks]
    used = _usage([*((ask, ask.window) for ask in asks), *zip(asks, windows, strict=True)])
    return [
        _growth(ask, today, before)
        for ask, today, before in zip(asks, used[: len(asks)], used[len(asks) :], strict=True)
    ]


def _growth(ask: Ask, today: Usage, before: Usage) -> list[Reading]:
    meter, days = ask.alert.meter, ask.alert.window or 7
    assert meter is not None, "the kind has one"
    mean = before.quantity / days if AGGREGATIONS[meter.formula].adds_up else before.quantity
    if mean <= 0:
        return []
    percent = (today.quantity * 100 / mean).quantize(Decimal("0.01"))
    usual = plain(mean.quantize(Decimal("0.000001")).normalize())
    more = {"today": plain(today.quantity), "usual": usual, "days": days}
    return [Reading(percent, lambda: _why(ask, today) | more)]


def ask_silence(pairs: Sequence[Pair], at: datetime) -> list[Ask]:
    """Since the last usage, or since the alert or the customer is there. An alert that recurs does so after usage."""
    asks = []
    for pair, last in zip(pairs, _last_usage(pairs), strict=True):
        start = max(last, pair.alert.activated_at)
        if at - start >= timedelta(seconds=int(pair.alert.threshold * 3600)):
            key = Period(start, start) if pair.alert.recurrence == Alert.Recurrence.PER_PERIOD else None
            asks.append(Ask(pair, Period(start, at), key))
    return asks


def read_silence(asks: Sequence[Ask], at: datetime) -> list[list[Reading]]:
    return [[_silence(ask, at)] for ask in asks]


def _silence(ask: Ask, at: datetime) -> Reading:
    start = ask.window.start
    hours = Decimal((at - start) // timedelta(hours=1))
    return Reading(hours, lambda: _about(ask) | {"since": start.isoformat()})


_LAST = """
    SELECT greatest(
        (SELECT created_at FROM customers_customer AS c WHERE c.ref = asked.customer_ref),
        (SELECT max(timestamp) FROM meters_meterevent AS e
         WHERE e.customer_ref = asked.customer_ref AND e.meter_ref = asked.meter_ref),
        (SELECT max(day)::timestamp AT TIME ZONE 'UTC' FROM meters_usageday AS d
         WHERE d.customer_ref = asked.customer_ref AND d.meter_ref = asked.meter_ref)
    )
    FROM unnest(%s::bigint[], %s::integer[]) WITH ORDINALITY AS asked(customer_ref, meter_ref, place) ORDER BY place
"""


def _last_usage(pairs: Sequence[Pair]) -> list[datetime]:
    """When each customer's last event on the alert's meter happened; where it is archived, the day, and where there is
    none, when the customer was made."""
    with connection.cursor() as cursor:
        meters = [pair.alert.meter.ref if pair.alert.meter else 0 for pair in pairs]
        cursor.execute(_LAST, [[pair.customer.ref for pair in pairs], meters])
        return [last for (last,) in cursor.fetchall()]


def _usage(asked: Sequence[tuple[Ask, Period]]) -> list[Usage]:
    """What each has used in a time. Alerts that look at the same share a question."""
    questions: dict[Any, Question] = {}
    keys = []
    for ask, period in asked:
        meter, only = ask.alert.meter, {name: [value] for name, value in ask.alert.dimensions.items()}
        assert meter is not None, "the kind has one"
        key = (ask.customer.id, meter.pk, period.start, period.end, *sorted(ask.alert.dimensions.items()))
        keys.append(key)
        if key not in questions:
            questions[key] = Question(meter, ask.customer, period.start, period.end, only)
    found = dict(zip(questions, usage_many(list(questions.values())), strict=True))
    return [found[key] for key in keys]


def _by_group(ask: Ask) -> list[Reading]:
    """Each value of a dimension by itself."""
    meter, key = ask.alert.meter, ask.alert.group_by
    assert meter is not None, "the kind has one"
    only = {name: [value] for name, value in ask.alert.dimensions.items()}
    found = usage_by_dimensions(meter, ask.customer, part=(ask.window.start, ask.window.end), by=[key], only=only)
    return [
        Reading(one.quantity, lambda one=one: _about(ask) | {"events": one.events}, one.dimensions[key])  # type: ignore[misc]
        for one in found
    ]


def _reading(ask: Ask, used: Usage) -> Reading:
    return Reading(used.quantity, lambda: _why(ask, used))


def _why(ask: Ask, used: Usage) -> dict[str, Any]:
    """What it was that crossed: the events that have just come, and in which snapshot the value was read."""
    news = [entry.event for entry in ask.pair.news]
    why = _about(ask) | {
        "events": used.events,
        "snapshot": used.snapshot.token,
        "taken_at": used.snapshot.taken_at.isoformat(),
        "new_events": len(news),
        "identifiers": [event.identifier for event in news[:MOST_NAMED]],
    }
    meter = ask.alert.meter
    if meter and meter.formula in ("sum", "count") and not ask.alert.dimensions and not meter.event_time_window:
        # What came with this commit may lie outside of the window; then this is a little too low.
        new = sum((event.value for event in news), Decimal(0)) if meter.formula == "sum" else Decimal(len(news))
        why["value_before"] = plain(used.quantity - new)
    return why


def _about(ask: Ask) -> dict[str, Any]:
    meter = ask.alert.meter
    return {"meter": meter.pk, "event_name": meter.event_name} if meter else {}


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
