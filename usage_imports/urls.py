from api.urls import resource_routes, route
from usage_imports.views import UsageImportView

urlpatterns = [
    *resource_routes(
        UsageImportView,
        "billing/usage_imports",
        actions={"content": "content", "complete": "complete", "cancel": "cancel"},
    ),
    route("v1/billing/usage_imports/<str:id>/errors", UsageImportView, get="errors"),
]
