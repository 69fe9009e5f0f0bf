from api.urls import resource_routes, route
from invoices.auto_top_up_views import AutoTopUpView
from invoices.credit_note_views import CreditNoteLineView, CreditNoteView
from invoices.item_views import InvoiceItemView
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
            "send": "send",
            "add_lines": "add_lines",
            "update_lines": "update_lines",
            "remove_lines": "remove_lines",
        },
    ),
    *resource_routes(InvoiceItemView, "invoiceitems"),
    route("v1/invoices/<str:id>/lines", LineView, get="lines"),
    route("v1/credit_notes/preview", CreditNoteView, get="preview"),
    route("v1/credit_notes/preview/lines", CreditNoteLineView, get="preview_lines"),
    *resource_routes(CreditNoteView, "credit_notes", actions={"void": "void"}),
    route("v1/credit_notes/<str:id>/lines", CreditNoteLineView, get="lines"),
    route("v1/invoices/<str:id>/lines/<str:line>", LineView, post="update"),
    *resource_routes(LateUsageView, "billing/late_usages", actions={"bill": "bill", "waive": "waive"}),
    route("v1/billing/late_usages/<str:id>/events", LateUsageView, get="events"),
    *resource_routes(AutoTopUpView, "billing/auto_top_ups"),
    route("v1/billing/auto_top_ups/<str:id>/top_ups", AutoTopUpView, get="top_ups"),
]
