"""Usage records and their summaries on the wire, as Stripe had them before 2025-03-31.basil."""

from api import objects, params
from api.params import Params
from subscriptions.usage_records import Action

MOST = 10**15 - 1  # what an event can carry


class CreateUsageRecord(Params):
    action = params.Choice(Action, default=Action.INCREMENT)
    quantity = params.Integer(required=True, minimum=0, maximum=MOST)
    timestamp = params.UnixTime(words=("now",), default="now")


class UsageRecordObject(objects.Object):
    id = objects.Text()
    object = objects.Const("usage_record")
    livemode = objects.Livemode()
    quantity = objects.Integer()
    subscription_item = objects.Text()
    timestamp = objects.UnixTime()


class SummaryPeriodObject(objects.Object):
    end = objects.UnixTime(source="ends_at")
    start = objects.UnixTime(source="starts_at")


class UsageRecordSummaryObject(objects.Object):
    id = objects.Text()
    object = objects.Const("usage_record_summary")
    invoice = objects.Text()
    livemode = objects.Livemode()
    period = SummaryPeriodObject()
    subscription_item = objects.Text()
    total_usage = objects.DecimalNumber()
