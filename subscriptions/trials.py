"""Free trials: how long one lasts, how it begins on a running subscription, and what follows it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.errors import InvalidRequest, NotSupported, ParametersExclusive
from subscriptions.biller import biller
from subscriptions.cancel import end
from subscriptions.interrupt import NONE, NOW, begin, in_advance, interrupt
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.parts import LONGEST_TRIAL
from subscriptions.slices import Kind, end_slice
from webhooks.events import record

Missing = Subscription.MissingPaymentMethod


@dataclass(frozen=True)
class Trial:
    """A trial as asked for: to a time, until "now", or for some days; none of them leaves it as it is.

    `missing_payment_method` is what follows it where there is no way to pay.
    """

    end: datetime | str | None = None
    days: int | None = None
    missing_payment_method: str | None = None


def first_trial_end(trial: Trial, *, at: datetime, start: datetime) -> datetime | None:
    """When the trial of a new subscription ends; None where it has none.

    Raises ParametersExclusive, InvalidRequest; NotSupported for one that begins in the past.
    """
    if trial.end is not None and trial.days is not None:
        raise ParametersExclusive(
            "You may only specify one of these parameters: trial_end, trial_period_days.", param="trial_period_days"
        )
    if start < at and (trial.days is not None or isinstance(trial.end, datetime)):
        raise NotSupported("A trial of a backdated subscription is not supported yet.", param="backdate_start_date")
    if trial.days is not None:
        if trial.days > LONGEST_TRIAL.days:
            raise InvalidRequest(f"A trial can last at most {LONGEST_TRIAL.days} days.", param="trial_period_days")
        return at + timedelta(days=trial.days)
    return None if trial.end in (None, NOW) else _checked(trial.end, at=at, anchor=at)


def first_trial(trial: Trial, at: datetime, until: datetime | None) -> dict[str, Any]:
    """What a new subscription says of its trial, from `at` until its end, and of what follows it."""
    wish = trial.missing_payment_method or Missing.CREATE_INVOICE
    if until is None:
        return {"missing_payment_method": wish}
    return {
        "missing_payment_method": wish,
        "status": Subscription.Status.TRIALING,
        "trial_start": at,
        "trial_end": until,
    }


def change_trial(subscription: Subscription, trial: Trial, *, at: datetime, prorate: bool = True) -> None:
    """Give a running subscription a trial, move the end of the one it is in, or end it now.

    The anchor moves to the end of the trial. What a new trial interrupts is invoiced at once, and so is what begins
    with a trial that is ended. The caller holds the lock. Raises InvalidRequest.
    """
    if trial.missing_payment_method is not None:
        subscription.missing_payment_method = trial.missing_payment_method
        subscription.save(update_fields=["missing_payment_method"])
    if trial.end is None or (trial.end == NOW and not subscription.is_trialing):
        return
    if trial.end == NOW:
        _end_now(subscription, at)
        return
    until = _checked(trial.end, at=at, anchor=max(at, subscription.billing_cycle_anchor))
    if subscription.is_trialing:
        _move_end(subscription, until)
    elif subscription.is_active:
        _add(subscription, until, at=at, prorate=prorate)
    else:
        raise InvalidRequest(
            f"A subscription that is {subscription.status} cannot be given a trial.", param="trial_end"
        )


def follow_trial(subscription: Subscription, *, at: datetime) -> None:
    """If a trial is over by `at`, let the subscription be active, or what it is to be without a way to pay.

    The caller holds the lock, has closed the periods of the trial, and opens those that follow.
    """
    wish = what_follows(subscription, at)
    if wish is None:
        return
    if wish == Missing.CANCEL:
        biller().bill_end(subscription, at=at, invoice_now=False)
        end(subscription, at=at)
        return
    paused = wish == Missing.PAUSE
    subscription.status = Subscription.Status.PAUSED if paused else Subscription.Status.ACTIVE
    subscription.paused_at = at if paused else None
    subscription.save(update_fields=["status", "paused_at"])
    if paused:
        record("customer.subscription.paused", "subscription", subscription, at=at)


def what_follows(subscription: Subscription, at: datetime) -> str | None:
    """What becomes of a subscription whose trial is over by `at`; None for one in no trial, or that ends with it."""
    if not subscription.is_trialing or subscription.trial_end is None or at < subscription.trial_end:
        return None
    if subscription.cancel_at is not None and subscription.cancel_at <= at:
        return None
    return Missing.CREATE_INVOICE if has_payment_method(subscription) else subscription.missing_payment_method


def has_payment_method(subscription: Subscription) -> bool:
    """Whether there is a way to pay what follows a trial: an invoice that is sent needs none, and nothing else can be
    collected yet."""
    return subscription.is_sent


def _checked(until: datetime | str | None, *, at: datetime, anchor: datetime) -> datetime:
    assert isinstance(until, datetime), "the only word there is has been seen to"
    if until <= at:
        raise InvalidRequest("trial_end must be in the future, or now.", param="trial_end")
    if until - anchor > LONGEST_TRIAL:
        raise InvalidRequest(
            f"trial_end cannot be more than {LONGEST_TRIAL.days} days after the billing cycle anchor.",
            param="trial_end",
        )
    return until


def _end_now(subscription: Subscription, at: datetime) -> None:
    _set_end(subscription, at)
    parts = ItemPeriod.objects.unbilled().filter(item__subscription=subscription, kind=Kind.TRIAL)
    parts.filter(is_cut=True).update(closed_at=at, outcome=ItemPeriod.Outcome.FREE)
    interrupt(subscription, at=at, credit_from=NONE)
    follow_trial(subscription, at=at)
    if subscription.has_ended:
        record("customer.subscription.deleted", "subscription", subscription, at=at)
    else:
        opened = begin(subscription, at=at)
    if subscription.is_active:
        biller().invoice_now(subscription, at=at, slices=in_advance(opened))


def _move_end(subscription: Subscription, until: datetime) -> None:
    if subscription.cancel_at_period_end:
        subscription.cancel_at = until
    _set_end(subscription, until)
    ends_at = min(until, subscription.cancel_at) if subscription.cancel_at else until
    parts = ItemPeriod.objects.unbilled().filter(item__subscription=subscription, kind=Kind.TRIAL)
    parts.filter(is_cut=True).update(bills_at=ends_at)
    for period in parts.open():
        end_slice(period, ends_at)


def _add(subscription: Subscription, until: datetime, *, at: datetime, prorate: bool) -> None:
    interrupt(subscription, at=at, credit_from=NOW if prorate else NONE)
    subscription.status = Subscription.Status.TRIALING
    if subscription.is_flexible or subscription.trial_start is None:
        subscription.trial_start = at
    _set_end(subscription, until)
    opened = begin(subscription, at=at)
    biller().invoice_now(subscription, at=at, slices=opened if not subscription.is_flexible else in_advance(opened))


def _set_end(subscription: Subscription, until: datetime) -> None:
    """The anchor goes with the end of a trial, to whatever day that is."""
    subscription.trial_end = subscription.billing_cycle_anchor = until
    subscription.anchor_day = None
    subscription.save(
        update_fields=["status", "trial_start", "trial_end", "billing_cycle_anchor", "anchor_day", "cancel_at"]
    )
