"""Alerts on the wire. `usage_threshold` is Stripe's; the other kinds, `channels` and what goes with them are ours."""

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError

from alerts.kinds import KINDS
from alerts.models import Alert
from api import objects, params
from api.params import ListParams, Params
from core.money import is_currency

MOST_EMAILS = 20
LONGEST_WINDOW = 90
LONGEST_SILENCE = 24 * 90


class FilterParams(Params):
    customer = params.String()
    key = params.String(max_length=40, help_text="With the type `metadata`.")
    type = params.Choice(["customer", "metadata"], required=True)
    value = params.String(max_length=500)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        wanted = ("customer",) if attrs["type"] == "customer" else ("key", "value")
        for name in ("customer", "key", "value"):
            if (name in attrs) != (name in wanted):
                word = "needs" if name in wanted else "does not take"
                raise ValidationError({name: f"A filter by {attrs['type']} {word} {name}."})
        return attrs


class KindParams(Params):
    """What every kind takes."""

    filters = params.Array(FilterParams, max_length=1)
    recurrence = params.Choice(Alert.Recurrence, required=True)


class UsageParams(KindParams):
    dimensions = params.StringMap()
    group_by = params.String(max_length=100)
    gte = params.Integer(required=True, minimum=1)
    meter = params.String(required=True)


class GrowthParams(KindParams):
    dimensions = params.StringMap()
    gte_percent = params.Integer(required=True, minimum=1, maximum=1_000_000)
    meter = params.String(required=True)
    window_days = params.Integer(minimum=1, maximum=LONGEST_WINDOW, default=7)


class SilenceParams(KindParams):
    gte_hours = params.Integer(required=True, minimum=1, maximum=LONGEST_SILENCE)
    meter = params.String(required=True)


class Currency(params.String):
    def to_internal_value(self, data: Any) -> str:
        code = super().to_internal_value(data).lower()
        if not is_currency(code):
            raise ValidationError("Invalid currency.")
        return code


class AmountParams(KindParams):
    currency = Currency(required=True)
    gte = params.Amount(required=True, minimum=1)


class CreditParams(KindParams):
    currency = Currency(required=True)
    lte = params.Amount(help_text="Minor units; one of `lte` and `lte_percent`.")
    lte_percent = params.Integer(minimum=0, maximum=100, help_text="Of what was granted.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("lte" in attrs) == ("lte_percent" in attrs):
            raise ValidationError({"lte": "Give one of lte and lte_percent."})
        return attrs


class CreateAlert(Params):
    alert_type = params.Choice(KINDS, required=True)
    channels = params.Array(params.Choice(Alert.Channel), max_length=3)
    credit_balance_threshold = params.Hash(CreditParams)
    emails = params.Array(params.String(max_length=512), max_length=MOST_EMAILS)
    invoice_total_threshold = params.Hash(AmountParams)
    no_usage = params.Hash(SilenceParams)
    spend_threshold = params.Hash(AmountParams)
    title = params.String(required=True, max_length=256)
    usage_growth = params.Hash(GrowthParams)
    usage_threshold = params.Hash(UsageParams)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        kind = attrs["alert_type"]
        if kind not in attrs:
            raise ValidationError({kind: [ErrorDetail("", code="required")]})
        for other in KINDS.keys() & attrs.keys() - {kind}:
            raise ValidationError({other: f"An alert of the type {kind} does not take {other}."})
        return attrs


class ListAlerts(ListParams):
    alert_type = params.Choice(KINDS)
    meter = params.String()


class SnoozeAlert(Params):
    until = params.UnixTime(required=True)


def columns_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a new alert as `create_alert` takes them."""
    kind = given["alert_type"]
    terms = given[kind]
    threshold, is_percent = next(
        (terms[name], "percent" in name)
        for name in ("gte", "lte", "gte_percent", "lte_percent", "gte_hours")
        if name in terms
    )
    chosen = (terms.get("filters") or [{}])[0]
    columns = {
        "title": given["title"],
        "alert_type": kind,
        "recurrence": terms["recurrence"],
        "threshold": threshold,
        "is_percent": is_percent,
        "currency": terms.get("currency", ""),
        "window": terms.get("window_days"),
        "dimensions": terms.get("dimensions") or {},
        "group_by": terms.get("group_by", ""),
        "customer": chosen.get("customer"),
        "metadata_key": chosen.get("key", ""),
        "metadata_value": chosen.get("value", ""),
        "channels": given.get("channels", [*Alert.Channel]),
        "emails": given.get("emails", []),
    }
    return columns | ({"meter": terms["meter"]} if "meter" in terms else {})


class Terms(objects.WireField):
    """What an alert of one kind compares with; null for alerts of the others."""

    schema_type = {"type": ["object", "null"]}

    def __init__(self, kind: str, *names: str, **kwargs: Any) -> None:
        self.kind, self.names = kind, names
        super().__init__(source="*", **kwargs)

    def to_representation(self, value: Alert) -> dict[str, Any] | None:
        if value.alert_type != self.kind:
            return None
        known = {
            "currency": value.currency,
            "filters": _filters(value),
            "gte": int(value.threshold),
            "gte_hours": int(value.threshold),
            "gte_percent": int(value.threshold),
            "lte": None if value.is_percent else int(value.threshold),
            "lte_percent": int(value.threshold) if value.is_percent else None,
            "meter": value.meter_id,
            "recurrence": value.recurrence,
            "window_days": value.window,
        }
        ours = {"dimensions": value.dimensions or None, "group_by": value.group_by or None}
        return {name: known[name] for name in self.names} | {name: kept for name, kept in ours.items() if kept}


class AlertObject(objects.Object):
    id = objects.Text()
    object = objects.Const("billing.alert")
    alert_type = objects.Text()
    channels = objects.Json()
    created = objects.UnixTime(source="created_at")
    credit_balance_threshold = Terms(
        "credit_balance_threshold", "currency", "filters", "lte", "lte_percent", "recurrence"
    )
    emails = objects.Json()
    invoice_total_threshold = Terms("invoice_total_threshold", "currency", "filters", "gte", "recurrence")
    livemode = objects.Livemode()
    no_usage = Terms("no_usage", "filters", "gte_hours", "meter", "recurrence")
    snoozed_until = objects.UnixTime()
    spend_threshold = Terms("spend_threshold", "currency", "filters", "gte", "recurrence")
    status = objects.Text()
    title = objects.Text()
    usage_growth = Terms("usage_growth", "filters", "gte_percent", "meter", "recurrence", "window_days")
    usage_threshold = Terms("usage_threshold", "filters", "gte", "meter", "recurrence")


class WholeNumber(objects.WireField):
    """Stripe's whole number; what is behind the point is in `value_decimal`."""

    schema_type = {"type": "integer"}

    def to_representation(self, value: Any) -> int:
        return int(value)


class AlertTriggeredObject(objects.Object):
    id = objects.Text()
    object = objects.Const("billing.alert_triggered")
    alert = AlertObject()
    created = objects.UnixTime(source="created_at")
    customer = objects.ObjectId(source="customer_id")
    group = objects.Text()
    livemode = objects.Livemode()
    period_end = objects.UnixTime()
    period_start = objects.UnixTime()
    test = objects.Boolean(source="is_test")
    threshold = objects.DecimalString()
    value = WholeNumber()
    value_decimal = objects.DecimalString(source="value")
    why = objects.Json()


class ListTriggered(ListParams):
    customer = params.String()


def _filters(alert: Alert) -> list[dict[str, Any]] | None:
    if alert.customer_id:
        return [{"customer": alert.customer_id, "type": "customer"}]
    if alert.metadata_key:
        return [
            {"customer": None, "key": alert.metadata_key, "type": "metadata", "value": alert.metadata_value},
        ]
    return None
