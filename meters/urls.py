from api.urls import resource_routes, route
from meters.quarantine_views import QuarantinedEventView
from meters.views import MeterEventView, MeterView

urlpatterns = [
    *resource_routes(MeterView, "billing/meters", actions={"deactivate": "deactivate", "reactivate": "reactivate"}),
    route("v1/billing/meters/<str:id>/event_summaries", MeterView, get="event_summaries"),
    *resource_routes(MeterEventView, "billing/meter_events", only=("create",)),
    *resource_routes(
        QuarantinedEventView,
        "billing/quarantined_events",
        actions={"replay": "replay", "dismiss": "dismiss"},
    ),
]
