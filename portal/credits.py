"""What the pages of credits show: balances with how they have come down, grants, and the statement of one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from credits.consumers import Unit
from credits.models import AutoTopUp, CreditGrant, CreditTransaction, RecurringCreditGrant
from credits.scope import products_of
from customers.models import Customer
from invoices.balance_history import History, balance_history
from invoices.burn_down import BurnDown, burn_down
from invoices.models import Invoice
from meters.models import Meter
from portal import credit_words, scope
from portal.balance_chart import BalanceChart, draw_balance
from portal.credit_words import written, written_of
from portal.formats import hour_label, short_day
from portal.projection import Lot, Point, Projection, project
from subscriptions.periods import Period

DAY = timedelta(days=1)
LONGEST = 31 * DAY
Type = CreditTransaction.Type


@dataclass(frozen=True)
class Figure:
    """A live balance."""

    name: str
    amount: str


@dataclass(frozen=True)
class Row:
    """A day, for the table below the chart."""

    label: str
    used: str
    left: str


@dataclass(frozen=True)
class Mark:
    """A point of the chart: when, how much, and how much in words."""

    label: str
    left: Decimal
    words: str


@dataclass(frozen=True)
class Balance:
    """A live balance, how it came down, and when it will have run out."""

    name: str
    amount: str
    projection: Projection
    headline: str
    basis: str
    chart: BalanceChart | None
    rows: Sequence[Row]
    marks: Sequence[Mark]


@dataclass(frozen=True)
class GrantRow:
    grant: CreditGrant
    name: str
    state: str
    words: str
    pays_for: str
    time: str
    held: str
    amount: str
    used: str
    left: str


@dataclass(frozen=True)
class Step:
    """A transaction of a grant."""

    at: datetime
    words: str
    invoice: str
    line: str
    number: str
    amount: str
    left: str


def figures_of(customer: Customer, *, at: datetime) -> list[Figure]:
    """The live balances of a customer, by unit; `at` is real time."""
    if not scope.grants_of(customer).exists():
        return []
    found = burn_down(customer, at=at)
    meters = _meters(customer)
    return [Figure(_name(unit, meters), _written(unit, left, meters)) for unit, left in _left(found).items()]


def balances_of(customer: Customer, *, at: datetime, whole: bool = False) -> tuple[BurnDown, list[Balance]]:
    """The live balances with their charts: over the running period, or over the last days where `whole` says so."""
    history = balance_history(customer, at=at)
    meters = _meters(customer)
    units = sorted({unit for moment in history.moments for unit in moment.levels}, key=lambda unit: (not unit[0], unit))
    return history.now, [_balance(history, unit, meters, whole=whole) for unit in units]


def grant_rows(customer: Customer, grants: Sequence[CreditGrant], found: BurnDown, *, at: datetime) -> list[GrantRow]:
    """Grants with what is left of each, live; `at` is the customer's time."""
    live = {each.grant.pk: each for each in found.grants}
    applied, products = scope.applied_of(customer, grants), products_of(grants)
    rows = []
    for grant in grants:
        state, each = grant.state(at), live.get(grant.pk)
        is_running = state in ("granted", "pending") and each is not None
        used = applied.get(grant.pk, Decimal(0)) + (each.used if each and is_running else Decimal(0))
        left = each.left if each and is_running else Decimal(0)
        rows.append(
            GrantRow(
                grant,
                credit_words.name_of(grant),
                "depleted" if is_running and not left else state,
                credit_words.STATES["depleted" if is_running and not left else state],
                credit_words.scope_of(grant, products),
                credit_words.end_of(grant, at),
                written_of(grant, each.held) if each and is_running and each.held else "",
                written_of(grant, grant.amount),
                written_of(grant, used),
                written_of(grant, left),
            )
        )
    return rows


def steps_of(customer: Customer, grant: CreditGrant, found: Iterable[CreditTransaction]) -> list[Step]:
    """Some transactions of a grant in words."""
    rows = list(found)
    numbers = scope.invoice_numbers(customer, rows)
    came_back = {row.created_at for row in rows if row.type == Type.CREDITS_APPLICATION_INVOICE_VOIDED}
    steps = []
    for row in rows:
        steps.append(
            Step(
                row.effective_at,
                credit_words.event_of(row, grant, came_back=row.created_at in came_back),
                row.invoice if row.invoice in numbers else "",
                row.invoice_line,
                numbers.get(row.invoice, ""),
                ("+" if row.is_credit else "\N{MINUS SIGN}") + written_of(grant, row.size),
                written_of(grant, row.ending_balance),
            )
        )
    return steps


def allowance_rows(allowances: Iterable[RecurringCreditGrant]) -> list[dict[str, Any]]:
    """What is granted again in every period, in words."""
    return [
        {
            "name": each.name or f"{each.category.capitalize()} credits",
            "amount": written(each.amount, each.currency, each.meter),
            "rhythm": credit_words.rhythm_of(each),
            "next_at": each.next_at,
            "rollover": credit_words.rollover_of(each),
        }
        for each in allowances
    ]


def top_up_rows(top_ups: Iterable[tuple[AutoTopUp, Invoice | None]]) -> list[dict[str, Any]]:
    """What buys credits, in words, with the invoice whose payment it waits for."""
    return [
        {
            "name": rule.name,
            "rule": credit_words.rule_of(rule),
            "invoice": invoice,
            "words": "Waits for a payment" if invoice else "On" if rule.enabled else "Off",
            "state": "open" if invoice else "granted" if rule.enabled else "",
            "failed": bool(rule.disabled_at and not invoice),
        }
        for rule, invoice in top_ups
    ]


def _balance(history: History, unit: Unit, meters: dict[str, Meter], *, whole: bool) -> Balance:
    points = [
        Point(moment.at, moment.levels[unit].left, moment.levels[unit].used)
        for moment in history.moments
        if unit in moment.levels
    ]
    found = project(points, _lots(history.now, unit))
    meter = meters.get(unit[1] or "")
    titles = [f"{hour_label(point.at)}: {_written(unit, point.left, meters)}" for point in points]
    period = _period(history, unit, points, whole=whole)
    chart = draw_balance(points, period, found, titles=titles, places=credit_words.places(unit[0]))
    return Balance(
        _name(unit, meters),
        _written(unit, points[-1].left, meters),
        found,
        credit_words.headline_of(found),
        credit_words.basis_of(found, unit[0], meter),
        chart,
        _rows(unit, [point for point in points if point.at >= period.start], meters),
        [Mark(hour_label(point.at), point.left, _written(unit, point.left, meters)) for point in points],
    )


def _lots(now: BurnDown, unit: Unit) -> list[Lot]:
    """What can be used now or later. What ends before the running period does pays for none of it."""
    running = _running(now, unit)
    lots = []
    for each in now.grants:
        grant = each.grant
        if (grant.currency, grant.meter_id) == unit and grant.state(now.at) != "expired":
            ends_first = running is not None and grant.has_expired(running.end) and grant.settles_at is None
            lots.append(Lot(each.left, grant.effective_at, grant.expires_at, not ends_first))
    return lots


def _running(now: BurnDown, unit: Unit) -> Period | None:
    """The period whose usage takes from a unit; of units of a meter that which ends first."""
    spend = now.spend.get(unit[0]) or next(iter(now.spend.values()), None)
    return spend.period if spend else None


def _rows(unit: Unit, points: Sequence[Point], meters: dict[str, Meter]) -> list[Row]:
    """Day by day, the latest first."""
    return [
        Row(
            f"{short_day(before.at)}, so far" if after is points[-1] else short_day(before.at),
            _written(unit, after.used - before.used, meters),
            _written(unit, after.left, meters),
        )
        for before, after in reversed(list(pairwise(points)))
    ]


def _period(history: History, unit: Unit, points: Sequence[Point], *, whole: bool) -> Period:
    """What the chart is over."""
    now, running = history.now.at, _running(history.now, unit)
    if whole or running is None or running.end <= now:
        return Period(min(points[0].at, now - DAY), now)
    return Period(max(running.start, points[0].at, now - LONGEST), min(running.end, now + LONGEST))


def _left(found: BurnDown) -> dict[Unit, Decimal]:
    left: dict[Unit, Decimal] = {}
    for each in sorted(found.grants, key=lambda each: (not each.grant.currency, each.grant.currency)):
        unit = (each.grant.currency, each.grant.meter_id)
        left[unit] = left.get(unit, Decimal(0)) + each.live(found.at)
    return left


def _meters(customer: Customer) -> dict[str, Meter]:
    """The meters in units of which there are grants."""
    return {grant.meter.pk: grant.meter for grant in scope.grants_of(customer).exclude(meter=None) if grant.meter}


def _name(unit: Unit, meters: dict[str, Meter]) -> str:
    return unit[0].upper() or meters[unit[1] or ""].display_name


def _written(unit: Unit, value: Decimal, meters: dict[str, Meter]) -> str:
    return written(value, unit[0], meters.get(unit[1] or ""))
