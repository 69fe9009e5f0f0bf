"""Who gets to see a page: a browser with a session's cookie, and of everything only what is its customer's."""

from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from csp.decorators import csp
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.generic import View

from core import clock
from customers.models import Customer
from meters.archived_events import EventsArchived
from portal.models import PortalSession
from portal.sessions import session_of_browser

COOKIE = "countinghouse_portal"
COOKIE_PATH = "/portal"

# Stricter than the rest of the product: no script at all, and styles from our own files only.
POLICY = {
    "default-src": ["'self'"],
    "script-src": ["'none'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "connect-src": ["'none'"],
    "object-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
}


class PortalRequest(HttpRequest):
    """A request that has been let in; every query of its page starts from `customer`."""

    customer: Customer
    portal_session: PortalSession


@method_decorator(csp(POLICY), name="dispatch")
class PortalView(View):
    """Anything under /portal/: what it answers is kept by nobody."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = self.answer(request, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        response["Referrer-Policy"] = "same-origin"
        response["X-Robots-Tag"] = "noindex"
        return response

    def answer(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return super().dispatch(request, *args, **kwargs)


class CustomerPage(PortalView):
    """A page of the customer whose session the browser has.

    What is not the customer's answers 404, always with the same body. A subclass names its template and says in
    `context` what the template shows.
    """

    http_method_names = ["get", "head"]
    template_name: ClassVar[str]
    tab: ClassVar[str] = ""

    request: PortalRequest
    real_time: datetime  # read once a request
    at: datetime  # the same in the customer's time, which a test clock may tell

    def context(self, **ids: str) -> dict[str, Any]:
        raise NotImplementedError

    def answer(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.real_time = clock.now()
        session = session_of_browser(request.COOKIES.get(COOKIE, ""), self.real_time)
        if session is None:
            return refuse(request)
        self.request.portal_session = session
        self.request.customer = session.customer
        self.at = session.customer.now(self.real_time)
        try:
            return super().answer(request, *args, **kwargs)
        except Http404:
            return render(request, "portal/not_found.html", self._frame() | {"tab": ""}, status=404)
        except EventsArchived:
            return render(request, "portal/archived.html", self._frame(), status=503)

    def get(self, request: HttpRequest, **ids: str) -> HttpResponse:
        return render(request, self.template_name, self._frame() | self.context(**ids))

    def _frame(self) -> dict[str, Any]:
        session = self.request.portal_session
        return {
            "customer": self.request.customer,
            "return_url": session.return_url,
            "return_host": urlsplit(session.return_url).hostname or "",
            "tab": self.tab,
            "as_of": self.at,
        }


def refuse(request: HttpRequest) -> HttpResponse:
    """The answer to a browser that has no session, or no longer."""
    return render(request, "portal/expired.html", status=403)
