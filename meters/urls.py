from api.urls import resource_routes, route
from meters.v2 import MeterEventV2View
from meters.views import MeterEventView, MeterView

urlpatterns = [
    *resource_routes(MeterView, "billing/meters", actions={"deactivate": "deactivate", "reactivate": "reactivate"}),
    route("v1/billing/meters/<str:id>/event_summaries", MeterView, get="event_summaries"),
    *resource_routes(MeterEventView, "billing/meter_events", only=("create",)),
    route("v2/billing/meter_events", MeterEventV2View, post="create"),
]
