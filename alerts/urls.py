from alerts.views import AlertView
from api.urls import resource_routes, route

urlpatterns = [
    *resource_routes(
        AlertView,
        "billing/alerts",
        actions={
            "activate": "activate",
            "deactivate": "deactivate",
            "archive": "archive",
            "snooze": "snooze",
            "test": "try_out",
        },
    ),
    route("v1/billing/alerts/<str:id>/triggered", AlertView, get="triggered"),
]
