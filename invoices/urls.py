from api.urls import resource_routes, route
from invoices.late_usage_views import LateUsageView
from invoices.views import InvoiceView, LineView

urlpatterns = [
    route("v1/invoices/create_preview", InvoiceView, post="create_preview"),
    *resource_routes(
        InvoiceView,
        "invoices",
        actions={
            "finalize": "finalize",
            "pay": "pay",
            "void": "void",
            "mark_uncollectible": "mark_uncollectible",
        },
    ),
    route("v1/invoices/<str:id>/lines", LineView, get="lines"),
    *resource_routes(LateUsageView, "billing/late_usages", actions={"bill": "bill", "waive": "waive"}),
    route("v1/billing/late_usages/<str:id>/events", LateUsageView, get="events"),
]
