"""Creates meters, renames them, switches them off and on again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from core.errors import InvalidRequest, NotFound
from meters.aggregations import AGGREGATIONS
from meters.models import Meter
from webhooks.events import record, telling


def create_meter(
    *,
    display_name: str,
    event_name: str,
    formula: str,
    at: datetime,
    event_time_window: str | None = None,
    customer_key: str = "stripe_customer_id",
    value_key: str = "value",
    filters: Sequence[Mapping[str, Any]] = (),
    dimension_payload_keys: Sequence[str] = (),
    hidden: bool = False,
) -> Meter:
    """Create an active meter.

    Raises InvalidRequest when another active meter counts events of the same name, or its rules make no sense.
    """
    _check_rules(formula, event_time_window, dimension_payload_keys)
    meter = Meter(
        display_name=display_name,
        event_name=event_name,
        formula=formula,
        event_time_window=event_time_window or None,
        customer_key=customer_key,
        value_key=value_key,
        filters=[dict(condition) for condition in filters],
        dimension_payload_keys=list(dimension_payload_keys),
        hidden=hidden,
        created_at=at,
        updated_at=at,
    )
    with transaction.atomic():
        _save(meter)
        _tell("created", meter, at)
    meter.refresh_from_db(fields=["ref"])
    return meter


def rename_meter(meter_id: str, *, display_name: str, at: datetime) -> Meter:
    """Change the only thing that may change about a meter. Raises NotFound."""
    with transaction.atomic():
        meter = _locked(meter_id)
        meter.display_name, meter.updated_at = display_name, at
        with telling("billing.meter.updated", "billing.meter", [meter_id], at=at):
            meter.save(update_fields=["display_name", "updated_at"])
        return meter


def deactivate_meter(meter_id: str, *, at: datetime) -> Meter:
    """Stop a meter from taking events and new prices; usage already taken is still billed.

    Raises NotFound, InvalidRequest when it is inactive already.
    """
    with transaction.atomic():
        meter = _locked(meter_id)
        if meter.status == Meter.Status.INACTIVE:
            raise InvalidRequest("This meter is already inactive.")
        meter.status, meter.deactivated_at, meter.updated_at = Meter.Status.INACTIVE, at, at
        meter.save(update_fields=["status", "deactivated_at", "updated_at"])
        _tell("deactivated", meter, at)
        return meter


def reactivate_meter(meter_id: str, *, at: datetime) -> Meter:
    """Let a meter take events and new prices again.

    Raises NotFound; InvalidRequest when it is active, or another active meter has its event name.
    """
    with transaction.atomic():
        meter = _locked(meter_id)
        if meter.status == Meter.Status.ACTIVE:
            raise InvalidRequest("This meter is already active.")
        meter.status, meter.deactivated_at, meter.updated_at = Meter.Status.ACTIVE, None, at
        _save(meter)
        _tell("reactivated", meter, at)
        return meter


def _check_rules(formula: str, window: str | None, dimensions: Sequence[str]) -> None:
    if AGGREGATIONS[formula].looks_back and window:
        raise InvalidRequest(
            f"A meter with the formula {formula} has no window: its values hold until the next one.",
            param="event_time_window",
        )
    if len(set(dimensions)) < len(dimensions):
        raise InvalidRequest("A dimension is named twice.", param="dimension_payload_keys")


def _locked(meter_id: str) -> Meter:
    meter = Meter.objects.select_for_update(no_key=True).filter(pk=meter_id).first()
    if meter is None:
        raise NotFound("meter", meter_id)
    if meter.hidden:
        raise InvalidRequest("This meter belongs to a price with usage records, and stays as it is.")
    return meter


def _tell(what: str, meter: Meter, at: datetime) -> None:
    """Record what happened to a meter, unless it is one that only a price knows."""
    if not meter.hidden:
        record(f"billing.meter.{what}", "billing.meter", meter, at=at)


def _save(meter: Meter) -> None:
    try:
        with transaction.atomic():
            meter.save()
    except IntegrityError as error:
        if "meter_event_name_of_one_active_meter" in str(error):
            raise InvalidRequest(
                f"There is already an active meter with the event name {meter.event_name}.",
                param="event_name",
            ) from error
        raise
