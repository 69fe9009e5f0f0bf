from api.urls import route
from webhooks.views import ThinEventView

urlpatterns = [
    route("v2/core/events", ThinEventView, get="list"),
    route("v2/core/events/<str:id>", ThinEventView, get="retrieve"),
]
