from api.urls import resource_routes, route
from webhooks.endpoint_views import DestinationView, EndpointView
from webhooks.views import EventView, ThinEventView

DESTINATIONS = "v2/core/event_destinations"

urlpatterns = [
    route("v1/events", EventView, get="list"),
    route("v1/events/<str:id>", EventView, get="retrieve"),
    *resource_routes(EndpointView, "webhook_endpoints", actions={"roll_secret": "roll_secret"}),
    route("v2/core/events", ThinEventView, get="list"),
    route("v2/core/events/<str:id>", ThinEventView, get="retrieve"),
    route(DESTINATIONS, DestinationView, get="list", post="create"),
    route(f"{DESTINATIONS}/<str:id>", DestinationView, get="retrieve", post="update", delete="destroy"),
    route(f"{DESTINATIONS}/<str:id>/enable", DestinationView, post="enable"),
    route(f"{DESTINATIONS}/<str:id>/disable", DestinationView, post="disable"),
    route(f"{DESTINATIONS}/<str:id>/ping", DestinationView, post="ping"),
]
