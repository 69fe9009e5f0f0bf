from api.urls import route
from webhooks.views import EventView, ThinEventView

urlpatterns = [
    route("v1/events", EventView, get="list"),
    route("v1/events/<str:id>", EventView, get="retrieve"),
    route("v2/core/events", ThinEventView, get="list"),
    route("v2/core/events/<str:id>", ThinEventView, get="retrieve"),
]
