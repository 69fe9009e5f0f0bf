"""Late usage on the wire. Stripe has no such object."""

from api import objects, params
from api.params import ListParams, Params
from invoices.late_usage_models import LateUsage
from invoices.line_serializers import PeriodObject


class ListLateUsages(ListParams):
    created = params.TimeRange()
    customer = params.String()
    invoice = params.String(help_text="The invoice that has billed the period.")
    state = params.Choice(LateUsage.State)
    subscription = params.String()


class BillLateUsage(Params):
    separately = params.Boolean(
        default=False, help_text="By an invoice or a credit of its own, at once; else on the next invoice."
    )


class WaiveLateUsage(Params):
    reason = params.String(required=True, max_length=1000)


class BeforeObject(objects.Object):
    """The usage of the period as it was read before, and what it cost before discounts."""

    amount = objects.Integer(source="rated_before")
    events = objects.Integer(source="events_before")
    quantity_decimal = objects.DecimalString(source="quantity_before")


class AfterObject(objects.Object):
    """The same as it was read now."""

    amount = objects.Integer(source="rated_after")
    events = objects.Integer(source="events_after")
    quantity_decimal = objects.DecimalString(source="quantity_after")


class LateUsageObject(objects.Object):
    id = objects.Text()
    object = objects.Const("billing.late_usage")
    after = AfterObject(source="*")
    amount = objects.Integer()
    before = BeforeObject(source="*")
    created = objects.UnixTime(source="created_at")
    credit_amounts = objects.Json(help_text="What of it is given back in credits, by new grants.")
    credited_by = objects.Text()
    currency = objects.Text()
    customer = objects.ObjectId(source="customer_id")
    description = objects.Text()
    formula = objects.Text()
    invoice = objects.ObjectId(source="line.invoice_id")
    invoice_item = objects.ObjectId(source="invoice_item_id")
    invoice_line = objects.ObjectId(source="line_id")
    livemode = objects.Livemode()
    period = PeriodObject(source="line")
    reason = objects.Text()
    revision = objects.Integer()
    rule = objects.Text()
    settled_at = objects.UnixTime()
    settled_by = objects.Text()
    state = objects.Text()
    subscription = objects.ObjectId(source="subscription_id")
    subscription_item = objects.ObjectId(source="line.subscription_item_id")


class LateEventObject(objects.Object):
    """An event between the two readings: one that came late, or one that was cancelled."""

    id = objects.Text(source="identifier")
    object = objects.Const("billing.late_usage_event")
    cancelled = objects.Boolean()
    identifier = objects.Text()
    payload = objects.Json()
    received = objects.UnixTime(source="received_at")
    timestamp = objects.UnixTime()
    value = objects.DecimalString()
