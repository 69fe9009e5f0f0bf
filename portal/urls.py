from django.urls import include, path, re_path, register_converter
from django.urls.converters import StringConverter

from api.urls import resource_routes
from portal import credit_pages, pages
from portal.views import SessionView


class IdConverter(StringConverter):
    """What an id can be; anything else is an unknown page without a query."""

    regex = "[0-9A-Za-z_]{1,64}"


register_converter(IdConverter, "id")

portal_pages = [
    path("", pages.Overview.as_view(), name="overview"),
    path("s/<str:token>", pages.OpenLink.as_view(), name="open"),
    path("sign-out", pages.SignOut.as_view(), name="sign_out"),
    path("usage", pages.UsagePage.as_view(), name="usage"),
    path("usage/<id:meter_id>", pages.UsagePage.as_view(), name="meter"),
    path("upcoming", pages.UpcomingPage.as_view(), name="upcoming"),
    path("credits", credit_pages.CreditsPage.as_view(), name="credits"),
    path("credits/<id:grant_id>", credit_pages.GrantPage.as_view(), name="grant"),
    path("alerts", credit_pages.AlertsPage.as_view(), name="alerts"),
    path("invoices", pages.InvoicesPage.as_view(), name="invoices"),
    path("invoices/<id:invoice_id>", pages.InvoicePage.as_view(), name="invoice"),
    path("invoices/<id:invoice_id>/lines/<id:line_id>", pages.LinePage.as_view(), name="line"),
    path("invoices/<id:invoice_id>/lines/<id:line_id>/late", pages.LateUsagePage.as_view(), name="late_usage"),
    path("invoices/<id:invoice_id>/lines/<id:line_id>/events", pages.EventsPage.as_view(), name="events"),
    re_path(r"^.*$", pages.UnknownPage.as_view(), name="unknown"),
]
urlpatterns = [
    *resource_routes(SessionView, "billing_portal/sessions", only=("create",)),
    path("portal/", include((portal_pages, "portal"))),
]
