"""The pages of the portal: each finds what is the customer's, and hands it to its template."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from core import clock
from customers.models import Customer
from invoices.late_events import events_of
from invoices.models import InvoiceLine
from meters.aggregations import Aggregation
from meters.usage import WIDTH, UsageBucket, usage, usage_by
from portal import scope
from portal.access import COOKIE, COOKIE_PATH, CustomerPage, PortalView, refuse
from portal.breakdown import PAGE, LineUsage, adds_up
from portal.charts import draw
from portal.credits import figures_of
from portal.ranges import LONGEST_BY_HOUR, choose_range
from portal.sessions import BROWSING, browser_token, revoke_session, session_of, session_of_browser
from portal.standing import standings_of
from portal.upcoming import upcoming_of
from subscriptions.periods import Period

LATEST_INVOICES = 5
INVOICES_PER_PAGE = 20


class OpenLink(PortalView):
    """A session's link: lets the browser in, and takes the token out of its address bar."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        at = clock.now()
        session = session_of(token, at)
        if session is None:
            return refuse(request)
        response = redirect("portal:overview")
        response.set_cookie(
            COOKIE,
            browser_token(session, at),
            max_age=BROWSING,
            path=COOKIE_PATH,
            httponly=True,
            samesite="Lax",
            secure=request.is_secure(),
        )
        return response


class SignOut(PortalView):
    """Ends the session for good, its link included."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        at = clock.now()
        session = session_of_browser(request.COOKIES.get(COOKIE, ""), at)
        if session is not None:
            revoke_session(session.pk, at=at)
        response = render(request, "portal/signed_out.html")
        response.delete_cookie(COOKIE, path=COOKIE_PATH, samesite="Lax")
        return response


class Overview(CustomerPage):
    template_name = "portal/overview.html"
    tab = "overview"

    def context(self, **ids: str) -> dict[str, Any]:
        customer = self.request.customer
        meters = [
            (
                mine,
                usage(
                    mine.meter,
                    customer,
                    start=mine.current.start,
                    end=mine.until(mine.current, self.at),
                    only=mine.only,
                ),
            )
            for mine in scope.meters_of(customer)
            if mine.current
        ]
        return {
            "credits": figures_of(customer, at=self.real_time),
            "balance": customer.balance,
            "balance_size": abs(customer.balance),
            "currency": customer.currency,
            "subscriptions": standings_of(customer),
            "meters": meters,
            "upcoming": upcoming_of(customer, at=self.real_time),
            "invoices": scope.invoices_of(customer)[:LATEST_INVOICES],
        }


class UsagePage(CustomerPage):
    """One meter over a span of time; without a meter in the address the first."""

    template_name = "portal/usage.html"
    tab = "usage"

    def context(self, **ids: str) -> dict[str, Any]:
        meters = scope.meters_of(self.request.customer)
        if "meter_id" not in ids and not meters:
            return {"meters": []}
        mine = scope.meter_of(self.request.customer, ids["meter_id"]) if "meter_id" in ids else meters[0]
        given = self.request.GET
        chosen = choose_range(given.dict(), at=self.at, current=mine.current, previous=mine.previous)
        by = "hour" if given.get("by") == "hour" and chosen.allows_hours else "day"
        start, end = chosen.period.start, mine.until(chosen.period, self.at)
        customer, only = self.request.customer, mine.only
        total = usage(mine.meter, customer, start=start, end=end, only=only)
        buckets = usage_by(mine.meter, customer, start=start, end=end, bucket=by, as_of=total.snapshot, only=only)
        return {
            "meters": meters,
            "mine": mine,
            "aggregation": mine.aggregation,
            "chosen": chosen,
            "ranges": _ranges(mine, chosen.name),
            "by": by,
            "most_days_by_hour": LONGEST_BY_HOUR.days,
            "total": total,
            "rows": buckets,
            "chart": draw(buckets, chosen.period, bucket=by, what=mine.name),
        }


class UpcomingPage(CustomerPage):
    template_name = "portal/upcoming.html"
    tab = "upcoming"

    def context(self, **ids: str) -> dict[str, Any]:
        customer = self.request.customer
        upcoming = upcoming_of(customer, at=self.real_time)
        lines = [line for each in upcoming for line in each.lines]
        return {"upcoming": upcoming, "grants": scope.grants_on(customer, lines)}


class InvoicesPage(CustomerPage):
    template_name = "portal/invoices.html"
    tab = "invoices"

    def context(self, **ids: str) -> dict[str, Any]:
        pages = Paginator(scope.invoices_of(self.request.customer), INVOICES_PER_PAGE)
        return {"page": pages.get_page(self.request.GET.get("page"))}


class InvoicePage(CustomerPage):
    template_name = "portal/invoice.html"
    tab = "invoices"

    def context(self, **ids: str) -> dict[str, Any]:
        customer = self.request.customer
        invoice = scope.invoice_of(customer, ids["invoice_id"])
        lines = scope.lines_of(invoice)
        return {
            "invoice": invoice,
            "lines": lines,
            "grants": scope.grants_on(customer, lines),
            "credit_notes": invoice.credit_notes.order_by("sequence"),
        }


class LinePage(CustomerPage):
    """A metered line by days, or by hours (of one day, or of all), in the line's own snapshot."""

    template_name = "portal/line.html"
    tab = "invoices"

    def context(self, **ids: str) -> dict[str, Any]:
        line = scope.metered_line_of(self.request.customer, ids["invoice_id"], ids["line_id"])
        used = LineUsage(line, self.request.customer)
        day = _part(self.request.GET.get("day"), "day", used.period)
        allows_hours = used.period.length <= LONGEST_BY_HOUR
        by = "hour" if day or (self.request.GET.get("by") == "hour" and allows_hours) else "day"
        rows = used.buckets(by, day)
        shown = day or used.period
        return {
            "invoice": line.invoice,
            "line": line,
            "used": used,
            "day": day,
            "by": by,
            "allows_hours": allows_hours,
            "rows": rows,
            "check": _check(rows, used.total(day), used.aggregation),
            "chart": draw(rows, shown, bucket=by, what=used.meter.display_name),
            **_split(line, self.request.customer),
        }


class LateUsagePage(CustomerPage):
    """What a line bills of a period that was billed before: both readings, and the events between them."""

    template_name = "portal/late_usage.html"
    tab = "invoices"

    def context(self, **ids: str) -> dict[str, Any]:
        late = scope.late_usage_of(self.request.customer, ids["invoice_id"], ids["line_id"])
        found = events_of(late, limit=PAGE + 1)
        return {
            "invoice": scope.invoice_of(self.request.customer, ids["invoice_id"]),
            "late": late,
            "events": found[:PAGE],
            "more": len(found) > PAGE,
        }


class EventsPage(CustomerPage):
    """The events of a metered line, of all of it or of one day or hour, a page at a time."""

    template_name = "portal/events.html"
    tab = "invoices"

    def context(self, **ids: str) -> dict[str, Any]:
        line = scope.metered_line_of(self.request.customer, ids["invoice_id"], ids["line_id"])
        used = LineUsage(line, self.request.customer)
        given = self.request.GET
        day, hour = (_part(given.get(bucket), bucket, used.period) for bucket in ("day", "hour"))
        number = given.get("page", "1")
        page = used.page(int(number) if number.isdecimal() and len(number) < 10 else 1, hour or day)
        return {
            "invoice": line.invoice,
            "line": line,
            "used": used,
            "part": hour or day,
            "narrowed": f"hour={given['hour']}" if hour else f"day={given['day']}" if day else "",
            "page": page,
        }


class UnknownPage(CustomerPage):
    """Every other address below /portal/."""

    def get(self, request: HttpRequest, **ids: str) -> HttpResponse:
        raise Http404


def _ranges(mine: scope.CustomerMeter, chosen: str) -> list[dict[str, Any]]:
    offered = [("current", "This period", mine.current), ("previous", "Last period", mine.previous)]
    named = [(name, label) for name, label, period in offered if period]
    named += [("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days")]
    return [{"name": name, "label": label, "chosen": name == chosen} for name, label in named]


def _part(text: str | None, bucket: str, whole: Period) -> Period | None:
    """The UTC day ("2026-01-05") or hour ("2026-01-05T13") that is asked for. Raises Http404 outside of `whole`."""
    if text is None:
        return None
    try:
        start = datetime.strptime(text, "%Y-%m-%d" if bucket == "day" else "%Y-%m-%dT%H").replace(tzinfo=UTC)
        part = Period(start, start + WIDTH[bucket])
    except (ValueError, OverflowError):
        raise Http404 from None
    if part.end <= whole.start or part.start >= whole.end:
        raise Http404
    return part


def _check(rows: Sequence[UsageBucket], expected: Decimal | None, aggregation: Aggregation) -> dict[str, Any]:
    total = sum((row.quantity for row in rows), Decimal(0))
    return {
        "total": total,
        "holds": adds_up(rows, expected, aggregation),
        "is_rounded": total != expected,
        "expected": expected,
    }


def _split(line: InvoiceLine, customer: Customer) -> dict[str, Any]:
    """The lines that share this line's usage, which its price divides among tiers."""
    sharing = [
        other
        for other in scope.lines_of(line.invoice)
        if other.item_period_id == line.item_period_id and other.meter_id == line.meter_id
    ]
    return {
        "sharing": sharing,
        "charged": sum((other.quantity for other in sharing), Decimal(0)),
        "charged_amount": sum(other.amount for other in sharing),
        "grants": scope.grants_on(customer, sharing),
        "left_after": scope.left_after(customer, sharing),
    }
