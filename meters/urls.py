from api.urls import resource_routes, route
from meters.bulk import MeterEventBatchView, MeterEventSessionView, MeterEventStreamView
from meters.quarantine_views import QuarantinedEventView
from meters.v2 import V2MeterEventView
from meters.views import MeterEventView, MeterView

urlpatterns = [
    *resource_routes(MeterView, "billing/meters", actions={"deactivate": "deactivate", "reactivate": "reactivate"}),
    route("v1/billing/meters/<str:id>/event_summaries", MeterView, get="event_summaries"),
    *resource_routes(MeterEventView, "billing/meter_events", only=("create",)),
    route("v2/billing/meter_events", V2MeterEventView, post="create"),
    route("v2/billing/meter_event_session", MeterEventSessionView, post="create"),
    route("v2/billing/meter_event_stream", MeterEventStreamView, post="create"),
    route("v2/billing/meter_event_batch", MeterEventBatchView, post="create"),
    *resource_routes(
        QuarantinedEventView,
        "billing/quarantined_events",
        actions={"replay": "replay", "dismiss": "dismiss"},
    ),
]
