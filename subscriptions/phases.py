"""When each phase of a schedule begins and ends, what holds in it, and which item of a subscription it continues.

Pure. Phases tile time: each begins where the one before it ends.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.errors import BillingError, InvalidRequest, ParameterMissing, ParametersExclusive
from subscriptions.periods import Anchor, Cadence, Period, boundary, days_in_month_of

MOST_PHASES = 10  # current and future ones, as Stripe allows


@dataclass(frozen=True)
class Asked:
    """The times of one phase as asked for: at most one of `end_date`, `duration` and `iterations` says how long it is.

    `cadence` is that of its first price: an iteration is one of its periods.
    """

    cadence: Cadence
    start_date: datetime | None = None
    end_date: datetime | None = None
    duration: Cadence | None = None
    iterations: int | None = None


def spans(asked: Sequence[Asked], *, start: datetime, day: int | None = None, skipped: int = 0) -> list[Period]:
    """When the phases hold, the first from `start` on.

    `day` is the wanted day of month where it is not that of `start`; a month that is too short for it does not move the
    phases after it. `skipped` phases were named before these. Raises ParameterMissing, ParametersExclusive,
    InvalidRequest.
    """
    if not asked:
        raise ParameterMissing("phases")
    if len(asked) > MOST_PHASES:
        raise InvalidRequest(f"A schedule can have at most {MOST_PHASES} current and future phases.", param="phases")
    found: list[Period] = []
    for number, phase in enumerate(asked, skipped):
        with within(f"phases[{number}]"):
            found.append(_span(phase, found[-1].end if found else start, day or start.day))
    return found


def holding(phases: Sequence[Period], at: datetime) -> int | None:
    """The number of the phase that holds at an instant; None before the first and after the last."""
    return next((number for number, phase in enumerate(phases) if at in phase), None)


def effective(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What holds in a phase: its own settings, and the schedule's defaults where it says nothing.

    Of `invoice_settings` each setting for itself.
    """
    own = {name: value for name, value in settings.items() if value is not None}
    found = {**defaults, **own}
    if "invoice_settings" in found:
        found["invoice_settings"] = {**defaults.get("invoice_settings", {}), **own.get("invoice_settings", {})}
    return found


@dataclass(frozen=True)
class Standing:
    """An item of a subscription or of a phase, as far as it tells which continues which."""

    price: str
    is_metered: bool
    id: str | None = None


def continued(current: Sequence[Standing], wanted: Sequence[Standing]) -> list[str | None]:
    """For each wanted item the id of the one that it continues, None where it is new.

    Items at the same price are the same. Of the rest a metered one continues a metered one, and a licensed one a
    licensed one, in their order: so a phase that swaps a price keeps the item.
    """
    left = list(current)
    found: list[str | None] = [None] * len(wanted)
    for same in (lambda one, other: one.price == other.price, lambda one, other: one.is_metered == other.is_metered):
        for number, item in enumerate(wanted):
            if found[number] is not None:
                continue
            match = next((one for one in left if same(one, item)), None)
            if match is not None:
                left.remove(match)
                found[number] = match.id
    return found


@contextmanager
def within(parent: str) -> Iterator[None]:
    """Let what is refused inside name its parameter as one of `parent`."""
    try:
        yield
    except BillingError as error:
        if error.param is not None:
            error.param = nested(parent, error.param)
        raise


def nested(parent: str, param: str) -> str:
    """`items[0][price]` in `phases[1]` is `phases[1][items][0][price]`."""
    name, bracket, rest = param.partition("[")
    return f"{parent}[{name}]{bracket}{rest}"


def _span(phase: Asked, start: datetime, day: int) -> Period:
    if phase.start_date is not None and phase.start_date != start:
        raise InvalidRequest(
            f"A phase must begin where the one before it ends, at {int(start.timestamp())}.", param="start_date"
        )
    given = [name for name in ("end_date", "duration", "iterations") if getattr(phase, name) is not None]
    if len(given) > 1:
        raise ParametersExclusive(f"You may only specify one of these parameters: {', '.join(given)}.", param=given[-1])
    end = phase.end_date or _end(phase, start, day)
    if end <= start:
        raise InvalidRequest(f"A phase must end after it begins, at {int(start.timestamp())}.", param="end_date")
    return Period(start, end)


def _end(phase: Asked, start: datetime, day: int) -> datetime:
    """The end of a phase that says how long it is; one that does not lasts one period of its first price."""
    fits = start.day == min(day, days_in_month_of(start))
    anchor = Anchor(start, day if fits else None)
    try:
        if phase.duration is not None:
            return boundary(anchor, phase.duration, 1)
        return boundary(anchor, phase.cadence, phase.iterations or 1)
    except OverflowError:
        raise InvalidRequest("The phase is too long.", param="duration" if phase.duration else "iterations") from None
