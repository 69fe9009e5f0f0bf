"""Holds: sets credits aside before they are used, and settles that with the real usage or not at all.

What a customer has is read under its lock, so that of any number of holds at once no two are given the same credits.
Usage that is sent without a hold is stored whatever is left: it has happened.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from api.metadata import merge
from core.errors import BillingError, InvalidRequest, NotFound, ResourceMissing
from core.money import is_currency, plain
from credits.available import Held
from credits.consumers import OpenUsage, Standing, consumers
from credits.models import CreditHold
from credits.scope import check_prices
from customers.locks import lock_customer, lock_live_customer
from customers.models import Customer
from meters.ingest import Accepted, Record, ingest
from meters.models import Meter

LONGEST = timedelta(days=7)
Status, Reason = CreditHold.Status, CreditHold.Reason


class HoldNotOpen(InvalidRequest):
    """The hold is past the state in which this can be done."""

    code = "billing_credit_hold_not_open"


@dataclass(frozen=True)
class NewHold:
    """What is to be set aside: `amount` is whole minor units of `currency`, or a quantity of `meter` (its id).

    `prices`: money for their usage only. `spend_cap`: how much may stay uncovered by credits, in minor units.
    """

    amount: Decimal
    currency: str = ""
    meter: str | None = None
    prices: Sequence[str] = ()
    expires_in: timedelta = timedelta(minutes=15)
    spend_cap: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Capture:
    """What was used of a hold: events to be stored with it, or an amount of its currency or meter, as a note of usage
    that is told otherwise."""

    events: Sequence[Record] = ()
    amount: Decimal | None = None
    currency: str = ""
    meter: str | None = None

    @property
    def digest(self) -> str:
        """The same for the same capture."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


def create_hold(customer_id: str, new: NewHold, *, at: datetime) -> CreditHold:
    """Set credits aside, or say why not: one that is declined is stored too. `at` is real time.

    Raises ResourceMissing (customer, price, meter), InvalidRequest. Locks the customer.
    """
    _check(new)
    with transaction.atomic():
        customer = lock_live_customer(customer_id)
        usage = consumers().open_usage([customer], at=at)[customer.pk]
        return decide(customer, new, usage, at=customer.now(at))


def decide(customer: Customer, new: NewHold, usage: OpenUsage, *, at: datetime) -> CreditHold:
    """The same of what makes sense, with the usage of a customer as it was read under the lock; `at` is the customer's
    time."""
    hold = CreditHold(
        customer=customer,
        currency=new.currency,
        meter_id=new.meter,
        amount=new.amount,
        prices=list(new.prices),
        spend_cap=new.spend_cap,
        expires_at=at + new.expires_in,
        metadata=merge({}, new.metadata),
        created_at=at,
    )
    before, after = usage.standing(usage.holds), usage.standing([*usage.holds, _held(hold, hold.amount)])
    hold.decline_reason = _refusal(hold, before, after)
    hold.status = Status.DECLINED if hold.decline_reason else Status.APPROVED
    hold.standing = _kept(before if hold.decline_reason else after)
    hold.save(force_insert=True)
    return hold


def capture_hold(hold_id: str, capture: Capture, *, at: datetime) -> CreditHold:
    """Settle a hold with what was used, all of its events or none; more than was held is stored, and said.

    Raises NotFound; HoldNotOpen; what storing the first of the events that cannot be stored raises. Idempotent: the
    same capture again changes nothing. Locks the customer.
    """
    with transaction.atomic():
        hold = _lock(hold_id)
        if hold.status == Status.CAPTURED and hold.capture_digest == capture.digest:
            return hold
        now = hold.customer.now(at)
        _check_open(hold, now)
        _check_unit(hold, capture)
        stored = _store(hold, capture.events, at)
        hold.captured_events = len(stored)
        hold.captured_amount = _amount_of(hold, stored) if capture.events else capture.amount
        _settle(hold, Status.CAPTURED, now)
        standing = _standing(hold, at, noted=capture.amount)
        hold.is_exceeded = any(uncovered > hold.spend_cap for uncovered in standing.uncovered.values())
        hold.standing, hold.capture_digest = _kept(standing), capture.digest
        hold.save()
        return hold


def release_hold(hold_id: str, *, at: datetime) -> CreditHold:
    """Give back what was set aside. Raises NotFound, HoldNotOpen. Idempotent. Locks the customer."""
    with transaction.atomic():
        hold = _lock(hold_id)
        if hold.status == Status.RELEASED:
            return hold
        now = hold.customer.now(at)
        _check_open(hold, now)
        _settle(hold, Status.RELEASED, now)
        hold.standing = _kept(_standing(hold, at))
        hold.save()
        return hold


def expire_hold(hold_id: str, at: datetime) -> CreditHold | None:
    """Mark a hold whose time is over, which counts for nothing since; None where there is nothing to do. Idempotent.
    Locks the customer."""
    with transaction.atomic():
        hold = _lock(hold_id)
        at = hold.customer.now(at)
        if hold.status != Status.APPROVED or hold.is_held(at):
            return None
        _settle(hold, Status.EXPIRED, hold.expires_at)
        hold.save(update_fields=["status", "settled_at"])
        return hold


def _refusal(hold: CreditHold, before: Standing, after: Standing) -> str:
    """Why a hold is declined, or "": one that leaves no more uncovered than there was never is."""
    if hold.meter_id in after.unpriced:
        return Reason.NOT_PRICED
    for currency, uncovered in after.uncovered.items():
        if uncovered > hold.spend_cap and uncovered > before.uncovered.get(currency, 0):
            return Reason.INSUFFICIENT_CREDITS
    return ""


def _standing(hold: CreditHold, at: datetime, noted: Decimal | None = None) -> Standing:
    """How the customer stands without a hold that is settled, or with what was noted of it instead."""
    usage = consumers().open_usage([hold.customer], at=at)[hold.customer_id]
    own = _held(hold, hold.amount)
    holds = [
        replace(one, amount=one.amount - own.amount) if replace(one, amount=own.amount) == own else one
        for one in usage.holds
    ]
    return usage.standing([*holds, _held(hold, noted)] if noted else holds)


def _held(hold: CreditHold, amount: Decimal) -> Held:
    return Held(amount, hold.currency, hold.meter_id, tuple(hold.prices))


def _kept(standing: Standing) -> dict[str, Any]:
    return {
        "balances": [
            {"currency": currency, "meter": meter, "live": plain(left)}
            for (currency, meter), left in sorted(standing.balances.items(), key=lambda one: (not one[0][0], one[0]))
        ],
        "uncovered": dict(sorted(standing.uncovered.items())),
    }


def _settle(hold: CreditHold, status: str, at: datetime) -> None:
    hold.status, hold.settled_at = status, at


def _store(hold: CreditHold, events: Sequence[Record], at: datetime) -> list[Accepted]:
    """Store the events of a capture. Raises what the first that is refused says, with its place."""
    stored = []
    for number, result in enumerate(ingest(events, at=at)):
        if result.error:
            result.error.param = _within(number, result.error)
            raise result.error
        assert result.event is not None, "stored, or an error"
        if result.event.customer_id != hold.customer_id:
            raise InvalidRequest(
                f"The event is of another customer than the hold, {hold.customer_id}.", param=f"events[{number}]"
            )
        stored.append(result.event)
    return stored


def _within(number: int, error: BillingError) -> str:
    head, bracket, rest = (error.param or "").partition("[")
    return f"events[{number}]" + (f"[{head}]{bracket}{rest}" if head else "")


def _amount_of(hold: CreditHold, stored: Sequence[Accepted]) -> Decimal | None:
    """How much the events come to in the unit of the hold; None for money, which their invoice says."""
    if hold.meter_id is None:
        return None
    of_meter = [event for event in stored if event.meter.pk == hold.meter_id]
    return sum((Decimal(1) if event.meter.formula == "count" else event.value for event in of_meter), Decimal(0))


def _lock(hold_id: str) -> CreditHold:
    """Lock the customer, then the hold, and return it as it is now. Raises NotFound."""
    customer_id = CreditHold.objects.filter(pk=hold_id).values_list("customer_id", flat=True).first()
    if customer_id is None:
        raise NotFound("billing credit hold", hold_id, param="id")
    customer = lock_customer(customer_id)
    hold = CreditHold.objects.select_for_update(no_key=True).get(pk=hold_id)
    hold.customer = customer
    return hold


def _check_open(hold: CreditHold, at: datetime) -> None:
    """Raises HoldNotOpen."""
    if not hold.is_held(at):
        state = Status.EXPIRED if hold.status == Status.APPROVED else hold.status
        raise HoldNotOpen(f"The credit hold {hold.pk} is {state}; usage can be sent as meter events.")


def _check_unit(hold: CreditHold, capture: Capture) -> None:
    """Raises InvalidRequest."""
    if capture.amount is not None and (capture.currency, capture.meter) != (hold.currency, hold.meter_id):
        raise InvalidRequest("The amount is not in the unit of the hold.", param="amount")


def _check(new: NewHold) -> None:
    """Raises InvalidRequest, ResourceMissing."""
    if not timedelta(0) < new.expires_in <= LONGEST:
        raise InvalidRequest(f"A hold lasts at most {LONGEST.days} days.", param="expires_in")
    if new.meter is None:
        if not is_currency(new.currency):
            raise InvalidRequest(f"Invalid currency: {new.currency}.", param="amount[monetary][currency]")
        if new.prices:
            check_prices(new.prices, param="prices")
        return
    if new.prices:
        raise InvalidRequest("Units of a meter need no prices: every price of the meter counts.", param="prices")
    meter = _meter(new.meter)
    if meter.event_time_window or meter.formula not in ("sum", "count"):
        raise InvalidRequest(
            "Units can be held of a meter that counts or adds up, without an event_time_window.",
            param="amount[usage][meter]",
        )


def _meter(meter_id: str) -> Meter:
    meter = Meter.objects.filter(pk=meter_id).first()
    if meter is None:
        raise ResourceMissing("meter", meter_id, param="amount[usage][meter]")
    return meter
