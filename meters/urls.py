from django.urls import path

from api.urls import resource_routes
from meters.views import MeterEventView, MeterView

urlpatterns = [
    *resource_routes(
        MeterView, "billing/meters", actions={"deactivate": "deactivate", "reactivate": "reactivate"}
    ),
    path("v1/billing/meters/<str:id>/event_summaries", MeterView.as_view({"get": "event_summaries"})),
    *resource_routes(MeterEventView, "billing/meter_events"),
]
