"""Creates alerts, and switches them on and off."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count

from alerts.kinds import KINDS
from alerts.models import Alert
from core.errors import InvalidRequest, NotFound, ResourceMissing
from customers import watch
from customers.models import Customer
from meters.models import Meter

MOST_PER_METER = 25  # of one customer, as Stripe allows


def create_alert(*, alert_type: str, at: datetime, **fields: Any) -> Alert:
    """Create an alert, which is active from now on. `fields` are columns; `customer` and `meter` are ids.

    Raises ResourceMissing, InvalidRequest. Locks: as `watch.hold`.
    """
    kind = KINDS[alert_type]
    with transaction.atomic():
        watch.hold()
        meter = _meter(fields.pop("meter", None), kind.name) if kind.has_meter else None
        customer = _customer(fields.pop("customer", None), kind.name)
        _check_dimensions(meter, fields, kind.name)
        if meter:
            _check_number(meter, customer, kind.name)
        alert = Alert.objects.create(
            alert_type=kind.name, meter=meter, customer=customer, created_at=at, activated_at=at, **fields
        )
        watch.settle_all()
        return alert


def activate_alert(alert_id: str, *, at: datetime) -> Alert:
    """Arm an alert that was inactive anew: it can fire again for everybody.

    Raises NotFound, InvalidRequest (active already). Locks: as `watch.hold`, the alert.
    """
    with transaction.atomic():
        alert = _lock(alert_id)
        if alert.status == Alert.Status.ACTIVE:
            raise InvalidRequest("The alert is already active.")
        alert.status, alert.activated_at = Alert.Status.ACTIVE, at
        alert.generation += 1
        alert.snoozed_until = None
        alert.save(update_fields=["status", "activated_at", "generation", "snoozed_until"])
        watch.settle_all()
        return alert


def deactivate_alert(alert_id: str) -> Alert:
    """Let an alert fire no more, until it is activated again.

    Raises NotFound, InvalidRequest (inactive already). Locks: as `watch.hold`, the alert.
    """
    with transaction.atomic():
        alert = _lock(alert_id)
        if alert.status == Alert.Status.INACTIVE:
            raise InvalidRequest("The alert is already inactive.")
        alert.status = Alert.Status.INACTIVE
        alert.save(update_fields=["status"])
        watch.settle_all()
        return alert


def archive_alert(alert_id: str, *, at: datetime) -> Alert:
    """Take an alert out of use for good; what it has told stays. Raises NotFound. Locks: as `watch.hold`, the alert."""
    with transaction.atomic():
        alert = _lock(alert_id)
        alert.status, alert.archived_at = Alert.Status.ARCHIVED, at
        alert.save(update_fields=["status", "archived_at"])
        watch.settle_all()
        return alert


def snooze_alert(alert_id: str, *, until: datetime) -> Alert:
    """Let an alert rest until then; what stands over its threshold at the end fires. A time that is past ends it.

    Raises NotFound. Locks the alert.
    """
    with transaction.atomic():
        alert = _lock(alert_id)
        alert.snoozed_until = until
        alert.save(update_fields=["snoozed_until"])
        return alert


def _lock(alert_id: str) -> Alert:
    watch.hold()
    alert = Alert.objects.listed().select_for_update(no_key=True).filter(pk=alert_id).first()
    if alert is None:
        raise NotFound("alert", alert_id, param="id")
    return alert


def _meter(meter_id: str | None, kind: str) -> Meter:
    meter = Meter.objects.listed().filter(pk=meter_id).first()
    if meter is None:
        raise ResourceMissing("meter", str(meter_id), param=f"{kind}[meter]")
    return meter


def _customer(customer_id: str | None, kind: str) -> Customer | None:
    if customer_id is None:
        return None
    param = f"{kind}[filters][0][customer]"
    customer = Customer.objects.live().filter(pk=customer_id).first()
    if customer is None:
        raise ResourceMissing("customer", customer_id, param=param)
    if customer.test_clock_id:
        raise InvalidRequest("Alerts do not work for customers on a test clock.", param=param)
    return customer


def _check_dimensions(meter: Meter | None, fields: Mapping[str, Any], kind: str) -> None:
    keys = meter.dimension_payload_keys if meter else []
    for key in fields.get("dimensions") or {}:
        if key not in keys:
            raise InvalidRequest(f"The meter has no dimension '{key}'.", param=f"{kind}[dimensions][{key}]")
    if (key := fields.get("group_by")) and key not in keys:
        raise InvalidRequest(f"The meter has no dimension '{key}'.", param=f"{kind}[group_by]")


def _check_number(meter: Meter, customer: Customer | None, kind: str) -> None:
    """At most 25 alerts that are not archived are about one customer and meter; those about all count for each."""
    rows = Alert.objects.listed().filter(meter=meter)
    general = rows.filter(customer=None).count()
    if customer:
        most = general + rows.filter(customer=customer).count()
    else:
        own = rows.exclude(customer=None).order_by().values("customer").annotate(n=Count("pk")).order_by("-n")
        most = general + (own[0]["n"] if own else 0)
    if most >= MOST_PER_METER:
        raise InvalidRequest(
            f"There can be at most {MOST_PER_METER} alerts for a meter and a customer; archive one first.",
            param=f"{kind}[meter]",
        )
