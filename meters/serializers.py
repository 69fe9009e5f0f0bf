"""Meters, events and summaries on the wire."""

from api import objects, params
from api.params import ListParams, Params
from meters.aggregations import AGGREGATIONS
from meters.models import Meter


class AggregationParams(Params):
    formula = params.Choice(AGGREGATIONS, required=True)


class CustomerMappingParams(Params):
    event_payload_key = params.String(required=True, max_length=100)
    type = params.Choice(["by_id"], required=True)


class ValueSettingsParams(Params):
    event_payload_key = params.String(required=True, max_length=100)


class CreateMeter(Params):
    display_name = params.String(required=True, max_length=250)
    event_name = params.String(required=True, max_length=100)
    default_aggregation = params.Hash(AggregationParams, required=True)
    event_time_window = params.Choice(Meter.Window)
    customer_mapping = params.Hash(CustomerMappingParams)
    value_settings = params.Hash(ValueSettingsParams)


class UpdateMeter(Params):
    display_name = params.String(max_length=250)


class ListMeters(ListParams):
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
    value_grouping_window = params.Choice(["day", "hour"])


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
    display_name = objects.Text()
    event_name = objects.Text()
    event_time_window = objects.Text()
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


class SummaryObject(objects.Object):
    id = objects.Text()
    object = objects.Const("billing.meter_event_summary")
    aggregated_value = objects.DecimalNumber()
    end_time = objects.UnixTime()
    livemode = objects.Livemode()
    meter = objects.Text()
    start_time = objects.UnixTime()
