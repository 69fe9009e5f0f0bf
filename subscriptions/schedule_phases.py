"""Turns what a call says of phases into rows: checks prices and settings, and computes when each phase holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.errors import InvalidRequest, ParametersExclusive
from customers.models import Customer
from pricing.models import Price
from subscriptions.models import SchedulePhase, Subscription, cadence_of
from subscriptions.periods import Cadence, Period
from subscriptions.phases import Asked, effective, spans, within
from subscriptions.schedule_extras import DEFAULT_PERIOD, check_extras
from subscriptions.subscribe import ItemSpec, check_collection, common_currency, prices_of

Given = Mapping[str, Any]  # a phase as a call says it, its parameters checked one by one

KEPT = (
    "items",
    "add_invoice_items",
    "proration_behavior",
    "billing_cycle_anchor",
    "billing_thresholds",
    "collection_method",
    "default_tax_rates",
    "description",
    "discounts",
    "invoice_settings",
    "metadata",
    "trial",
)


@dataclass(frozen=True)
class Frame:
    """What the phases of one call stand in: whose they are, from when on, and what holds where they say nothing.

    `day` is the wanted day of month where it is not that of `start`. The first phase gets `position`; `skipped` phases
    were named before it.
    """

    customer: Customer
    start: datetime
    defaults: Mapping[str, Any]
    day: int | None = None
    position: int = 0
    skipped: int = 0


def make_phases(given: Sequence[Given], frame: Frame) -> list[SchedulePhase]:
    """The phases asked for, not stored.

    Raises ResourceMissing, InvalidRequest and its kin, which name the place in `phases`.
    """
    prices = []
    for number, phase in enumerate(given, frame.skipped):
        with within(f"phases[{number}]"):
            prices.append(prices_of([_item_spec(item) for item in phase["items"]]))
    times = [_asked(phase, found) for phase, found in zip(given, prices, strict=True)]
    holds = spans(times, start=frame.start, day=frame.day, skipped=frame.skipped)
    currency = None
    phases = []
    for number, (phase, found) in enumerate(zip(given, prices, strict=True)):
        with within(f"phases[{frame.skipped + number}]"):
            currency = _check_currency(frame.customer, found, phase.get("currency"), currency)
            made = _phase(phase, found, holds[number])
            check_extras(phase, currency)
            made.position, made.currency = frame.position + number, currency
            check_phase(made, frame.defaults)
            phases.append(made)
    return phases


def check_phase(phase: SchedulePhase, defaults: Mapping[str, Any]) -> None:
    """Raises ParameterMissing or InvalidRequest where what holds in a phase does not go together."""
    holds = effective(phase.own_settings, defaults)
    with within("invoice_settings"):
        check_collection(collection_in(holds), holds.get("invoice_settings", {}).get("days_until_due"))
    if phase.trial_end is not None and not phase.start_date <= phase.trial_end <= phase.end_date:
        raise InvalidRequest("The trial must end within its phase.", param="trial_end")


def as_given(phase: SchedulePhase) -> dict[str, Any]:
    """A phase as a call would say it."""
    kept = {name: getattr(phase, name) for name in KEPT if getattr(phase, name) is not None}
    trial = {} if phase.trial or phase.trial_end is None else {"trial_end": phase.trial_end}
    return {"start_date": phase.start_date, "end_date": phase.end_date, **kept, **trial}


def collection_in(holds: Mapping[str, Any]) -> str:
    """How invoices of a phase are collected: by themselves where nothing else is said, as at Stripe."""
    return str(holds.get("collection_method") or Subscription.CollectionMethod.CHARGE_AUTOMATICALLY)


def default_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of a schedule as they are kept: what is blank is as if it were not given."""
    kept = {name: value for name, value in given.items() if value is not None}
    if "invoice_settings" in kept:
        kept["invoice_settings"] = _without_none(kept["invoice_settings"])
    return kept


def _item_spec(item: Mapping[str, Any]) -> ItemSpec:
    return ItemSpec(item["price"], item.get("quantity"))


def _asked(phase: Given, prices: Sequence[Price]) -> Asked:
    duration = phase.get("duration")
    return Asked(
        cadence=cadence_of(prices[0]),
        start_date=phase.get("start_date"),
        end_date=phase.get("end_date"),
        duration=Cadence(duration["interval"], duration.get("interval_count", 1)) if duration else None,
        iterations=phase.get("iterations"),
    )


def _check_currency(customer: Customer, prices: Sequence[Price], wanted: str | None, before: str | None) -> str:
    if before is not None and prices[0].currency != before:
        raise InvalidRequest(
            f"All phases of a schedule must be in one currency; the first is in {before}.", param="items"
        )
    return common_currency(customer, prices, wanted)


def _phase(given: Given, prices: Sequence[Price], holds: Period) -> SchedulePhase:
    settings = given.get("invoice_settings")
    return SchedulePhase(
        start_date=holds.start,
        end_date=holds.end,
        items=[_item(item, price) for item, price in zip(given["items"], prices, strict=True)],
        add_invoice_items=[_added(item) for item in given.get("add_invoice_items", ())],
        proration_behavior=given.get("proration_behavior", SchedulePhase.ProrationBehavior.CREATE_PRORATIONS),
        billing_cycle_anchor=given.get("billing_cycle_anchor"),
        billing_thresholds=_blank(given, "billing_thresholds", {}),
        collection_method=given.get("collection_method"),
        default_tax_rates=_cleared(given, "default_tax_rates"),
        description=_blank(given, "description", ""),
        discounts=_cleared(given, "discounts"),
        invoice_settings=None if settings is None else _without_none(settings),
        metadata=dict(given.get("metadata") or {}),
        trial=given.get("trial", False),
        trial_end=_trial_end(given, holds),
    )


def _trial_end(given: Given, holds: Period) -> datetime | None:
    end: datetime | None = given.get("trial_end")
    if given.get("trial"):
        if end not in (None, holds.end):
            raise ParametersExclusive(
                "You may only specify one of these parameters: trial, trial_end.", param="trial_end"
            )
        return holds.end
    return end


def _item(given: Mapping[str, Any], price: Price) -> dict[str, Any]:
    quantity = None if price.is_metered else given.get("quantity", 1)
    return {
        "price": price.pk,
        "quantity": quantity,
        "billing_thresholds": given.get("billing_thresholds"),
        "discounts": list(given.get("discounts") or ()),
        "metadata": dict(given.get("metadata") or {}),
        "tax_rates": list(given.get("tax_rates") or ()),
    }


def _added(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "price": given["price"],
        "quantity": given.get("quantity", 1),
        "discountable": given.get("discountable", True),
        "discounts": list(given.get("discounts") or ()),
        "metadata": {name: text for name, text in (given.get("metadata") or {}).items() if text},
        "period": given.get("period", DEFAULT_PERIOD),
        "tax_rates": list(given.get("tax_rates") or ()),
    }


def _cleared(given: Given, name: str) -> list[Any] | None:
    """A list that was given; a blank one says that there are to be none, and is kept as such."""
    return list(given[name] or ()) if name in given else None


def _blank(given: Given, name: str, blank: Any) -> Any:
    """A setting that was given; a blank one is kept as `blank`, so that it outdoes the default."""
    return (blank if given[name] is None else given[name]) if name in given else None


def _without_none(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
