from api.urls import resource_routes, route
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
]
