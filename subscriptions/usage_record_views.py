"""Usage records of a subscription item over HTTP."""

from rest_framework.request import Request
from rest_framework.response import Response

from api import resources
from api.lists import page_of
from api.resources import Resource, register
from api.views import ResourceView
from core import clock
from meters.models import MeterEvent
from subscriptions.models import ItemPeriod
from subscriptions.usage_record_serializers import CreateUsageRecord, UsageRecordObject, UsageRecordSummaryObject
from subscriptions.usage_records import item_with_records, periods_of, record_usage, summarize, summary_id

# Records are only ever created, and summaries only computed: no address names one.
USAGE_RECORD = register(
    Resource(
        name="usage_record",
        kind="usage record",
        path="/v1/subscription_items",
        model=MeterEvent,
        serializer=UsageRecordObject,
    )
)
SUMMARY = register(
    Resource(
        name="usage_record_summary",
        kind="usage record summary",
        path="/v1/subscription_items",
        model=ItemPeriod,
        serializer=UsageRecordSummaryObject,
        expandable={"invoice": "invoice"},
    )
)


class UsageRecordView(ResourceView):
    resource = USAGE_RECORD
    params = {"create": CreateUsageRecord}
    answers = {"list": SUMMARY}

    def create(self, request: Request, id: str) -> Response:
        given = self.read()
        timestamp = None if given["timestamp"] == "now" else given["timestamp"]
        record = record_usage(
            id, quantity=given["quantity"], timestamp=timestamp, action=given["action"], at=clock.now()
        )
        return self.answer(record)

    def list(self, request: Request, id: str) -> Response:  # type: ignore[override]
        item = item_with_records(id)
        periods = [{"id": summary_id(period), "period": period} for period in periods_of(item)]
        found = page_of(periods, self.read(), kind=SUMMARY.kind)
        summaries = summarize(item, [row["period"] for row in found.rows])
        return self.answer_objects(resources.render(SUMMARY, summaries), has_more=found.has_more)
