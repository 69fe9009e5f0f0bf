"""Meters, events and summaries on the wire."""

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ValidationError

from api import objects, params
from api.forms import as_hash
from api.params import ListParams, Params
from meters.aggregations import AGGREGATIONS
from meters.explorer import EventState
from meters.models import Meter


class AggregationParams(Params):
    formula = params.Choice(AGGREGATIONS, required=True)


class CustomerMappingParams(Params):
    event_payload_key = params.String(required=True, max_length=100)
    type = params.Choice(["by_id"], required=True)


class ValueSettingsParams(Params):
    event_payload_key = params.String(required=True, max_length=100)


class FilterParams(Params):
    """A condition on the payload; not of Stripe."""

    key = params.String(required=True, max_length=100)
    exists = params.Boolean()
    in_values = params.Array(params.String(max_length=500))
    not_in_values = params.Array(params.String(max_length=500))


class ValuesByKey(params.StringMap):
    """A hash from names to a string or a list of strings."""

    def to_internal_value(self, data: Any) -> dict[str, list[str]]:  # type: ignore[override]
        given = as_hash(data)
        if not isinstance(given, Mapping):
            raise ValidationError("Invalid hash")
        listed = params.Array(params.String(max_length=self.max_length))
        values = {key: [value] if isinstance(value, str) else value for key, value in given.items()}
        return {key: listed.run_validation(value) for key, value in values.items()}

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}


class CreateMeter(Params):
    display_name = params.String(required=True, max_length=250)
    event_name = params.String(required=True, max_length=100)
    default_aggregation = params.Hash(AggregationParams, required=True)
    event_time_window = params.Choice(Meter.Window)
    customer_mapping = params.Hash(CustomerMappingParams)
    value_settings = params.Hash(ValueSettingsParams)
    filters = params.Array(FilterParams, max_length=20)
    dimension_payload_keys = params.Array(params.String(max_length=100), max_length=20)


class UpdateMeter(Params):
    display_name = params.String(max_length=250)


class ListMeters(ListParams):
    hidden = params.Boolean(default=False)
    status = params.Choice(Meter.Status)


class CreateMeterEvent(Params):
    event_name = params.String(required=True, max_length=100)
    payload = params.StringMap(required=True)
    identifier = params.String(max_length=100)
    timestamp = params.UnixTime()


class ListSummaries(ListParams):
    customer = params.String(required=True)
    start_time = params.UnixTime(required=True)
    end_time = params.UnixTime(required=True)
    value_grouping_window = params.Choice(["day", "hour", "month"])
    dimension_group_by_keys = params.Array(params.String(max_length=100), max_length=20)
    dimension_filters = ValuesByKey()


class ListUsage(ListParams):
    customer = params.String(required=True)
    start_time = params.UnixTime(required=True)
    end_time = params.UnixTime(required=True)
    meters = params.Array(params.String())
    value_grouping_window = params.Choice(["day", "hour", "month"])
    dimension_group_by_keys = params.Array(params.String(max_length=100), max_length=20)
    dimension_filters = ValuesByKey()


class ListMeterEvents(ListParams):
    customer = params.String()
    meter = params.String()
    identifier = params.String(max_length=100)
    state = params.Choice(EventState)
    start_time = params.UnixTime()
    end_time = params.UnixTime()


class CancelParams(Params):
    identifier = params.String(required=True, max_length=100)
    any_time = params.Boolean(default=False)


class CreateAdjustment(Params):
    type = params.Choice(["cancel"], required=True)
    event_name = params.String(required=True, max_length=100)
    cancel = params.Hash(CancelParams, required=True)


class AggregationObject(objects.Object):
    formula = objects.Text()


class CustomerMappingObject(objects.Object):
    event_payload_key = objects.Text(source="customer_key")
    type = objects.Const("by_id")


class ValueSettingsObject(objects.Object):
    event_payload_key = objects.Text(source="value_key")


class StatusTransitionsObject(objects.Object):
    deactivated_at = objects.UnixTime()


class MeterObject(objects.Object):
    id = objects.Text()
    object = objects.Const("billing.meter")
    created = objects.UnixTime(source="created_at")
    customer_mapping = CustomerMappingObject(source="*")
    default_aggregation = AggregationObject(source="*")
    dimension_payload_keys = objects.Json()
    display_name = objects.Text()
    event_name = objects.Text()
    event_time_window = objects.Text()
    filters = objects.Json()
    livemode = objects.Livemode()
    status = objects.Text()
    status_transitions = StatusTransitionsObject(source="*")
    updated = objects.UnixTime(source="updated_at")
    value_settings = ValueSettingsObject(source="*")


class MeterEventObject(objects.Object):
    object = objects.Const("billing.meter_event")
    created = objects.UnixTime()
    event_name = objects.Text(source="meter.event_name")
    identifier = objects.Text()
    livemode = objects.Livemode()
    payload = objects.Json()
    timestamp = objects.UnixTime()


class ListedEventObject(objects.Object):
    """An event as it is found again; not of Stripe, whose events cannot be listed."""

    id = objects.Text()
    object = objects.Const("billing.meter_event")
    created = objects.UnixTime()
    customer = objects.Text()
    event_name = objects.Text()
    identifier = objects.Text()
    livemode = objects.Livemode()
    meter = objects.Text()
    payload = objects.Json()
    state = objects.Text()
    timestamp = objects.UnixTime()


class CancelObject(objects.Object):
    identifier = objects.Text()


class AdjustmentObject(objects.Object):
    object = objects.Const("billing.meter_event_adjustment")
    cancel = CancelObject(source="*")
    event_name = objects.Text()
    livemode = objects.Livemode()
    status = objects.Const("complete")
    type = objects.Const("cancel")


class V2AdjustmentObject(objects.Object):
    id = objects.Text()
    object = objects.Const("v2.billing.meter_event_adjustment")
    cancel = CancelObject(source="*")
    created = objects.RFC3339Time()
    event_name = objects.Text()
    livemode = objects.Livemode()
    status = objects.Const("complete")
    type = objects.Const("cancel")


class UsageObject(objects.Object):
    """What a customer has used of one meter, to the last decimal place."""

    id = objects.Text()
    object = objects.Const("billing.usage")
    customer = objects.Text()
    dimensions = objects.Json()
    end_time = objects.UnixTime()
    events = objects.Integer()
    livemode = objects.Livemode()
    meter = objects.Text()
    quantity = objects.DecimalString()
    start_time = objects.UnixTime()


class SummaryObject(objects.Object):
    id = objects.Text()
    object = objects.Const("billing.meter_event_summary")
    aggregated_value = objects.DecimalNumber()
    dimensions = objects.Json()
    end_time = objects.UnixTime()
    livemode = objects.Livemode()
    meter = objects.Text()
    start_time = objects.UnixTime()
