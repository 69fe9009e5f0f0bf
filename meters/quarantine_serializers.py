"""Quarantined events on the wire. Stripe has none; these are ours."""

from api import objects, params
from api.params import ListParams, Params
from meters.quarantine_models import QuarantinedEvent


class ListQuarantinedEvents(ListParams):
    created = params.TimeRange()
    customer = params.String(max_length=200)
    event_name = params.String()
    identifier = params.String()
    reason = params.String(max_length=64)
    source = params.Choice(QuarantinedEvent.Source)  # type: ignore[assignment]  # the name of a parameter
    state = params.Choice(QuarantinedEvent.State)
    usage_import = params.String(max_length=64)


class DismissQuarantinedEvent(Params):
    note = params.String()


class ReasonObject(objects.Object):
    code = objects.Text(source="reason")
    message = objects.Text()
    param = objects.Text()


class ResolutionObject(objects.Object):
    by = objects.Text(source="resolved_by")
    note = objects.Text()
    outcome = objects.Text()
    resolved_at = objects.UnixTime()


class QuarantinedEventObject(objects.Object):
    """`customer` is what the payload says, where a meter of the event's name tells under which key.

    `escaped`: some text of it could not be stored as it was sent, so it cannot be replayed.
    """

    id = objects.Text()
    object = objects.Const("billing.quarantined_event")
    created = objects.UnixTime(source="received_at")
    customer = objects.Text(source="customer_text")
    escaped = objects.Boolean()
    event_name = objects.Text()
    identifier = objects.Text()
    livemode = objects.Livemode()
    meter = objects.ObjectId(source="meter_id")
    payload = objects.Json()
    position = objects.Integer()
    reason = ReasonObject(source="*")
    resolution = ResolutionObject(source="*")
    source = objects.Text()  # type: ignore[assignment]  # the name of a key
    state = objects.Text()
    times_seen = objects.Integer()
    timestamp = objects.UnixTime()
    usage_import = objects.Text()
