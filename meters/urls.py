from api.urls import resource_routes, route
from meters.quarantine_views import QuarantinedEventView
from meters.views import AdjustmentView, MeterEventView, MeterView, UsageView, V2AdjustmentView

urlpatterns = [
    *resource_routes(MeterView, "billing/meters", actions={"deactivate": "deactivate", "reactivate": "reactivate"}),
    route("v1/billing/meters/<str:id>/event_summaries", MeterView, get="event_summaries"),
    *resource_routes(MeterEventView, "billing/meter_events", only=("create", "list")),
    *resource_routes(AdjustmentView, "billing/meter_event_adjustments", only=("create",)),
    route("v2/billing/meter_event_adjustments", V2AdjustmentView, post="create"),
    route("v1/billing/usage", UsageView, get="list"),
    *resource_routes(
        QuarantinedEventView,
        "billing/quarantined_events",
        actions={"replay": "replay", "dismiss": "dismiss"},
    ),
]
