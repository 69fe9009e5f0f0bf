"""How the admin looks: its title, its colours, and its navigation."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _css(request: HttpRequest) -> str:
    return static("admin_pages/admin.css")


def _icon(request: HttpRequest) -> str:
    return static("admin_pages/icon.svg")


def _item(title: str, icon: str, page: str) -> dict[str, Any]:
    """A line of the navigation; `page` is app_model. Seen by those who may see the rows."""
    app, model = page.rsplit("_", 1)
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{page}_changelist"),
        "permission": _may_view(app, model),
    }


def _may_view(app: str, model: str) -> Callable[[HttpRequest], bool]:
    def allowed(request: HttpRequest) -> bool:
        user = request.user
        return user.has_perm(f"{app}.view_{model}") or user.has_perm(f"{app}.change_{model}")  # type: ignore[union-attr]

    return allowed


def _group(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": True, "items": list(items)}


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Countinghouse",
    "SITE_HEADER": "Countinghouse",
    "SITE_SUBHEADER": "Usage-based billing",
    "SITE_SYMBOL": "account_balance",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _icon}],
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "DASHBOARD_CALLBACK": "billing_project.admin.dashboard.show_dashboard",
    "STYLES": [_css],
    "BORDER_RADIUS": "6px",
    "COLORS": {
        # Teal: readable as text on white (600) and as ground under white text (600, 700).
        "primary": {
            "50": "oklch(98.4% .014 180.72)",
            "100": "oklch(95.3% .051 180.801)",
            "200": "oklch(91% .096 180.426)",
            "300": "oklch(85.5% .138 181.071)",
            "400": "oklch(77.7% .152 181.912)",
            "500": "oklch(60% .118 184.704)",
            "600": "oklch(51.1% .096 186.391)",
            "700": "oklch(43.7% .078 188.216)",
            "800": "oklch(38.6% .063 188.416)",
            "900": "oklch(31% .055 190)",
            "950": "oklch(27.7% .046 192.524)",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [
            {"items": [{"title": "Dashboard", "icon": "dashboard", "link": reverse_lazy("admin:index")}]},
            _group(
                "Customers",
                _item("Customers", "group", "customers_customer"),
                _item("Portal links", "open_in_new", "portal_portalsession"),
                _item("Test clocks", "schedule", "customers_testclock"),
            ),
            _group(
                "Metering",
                _item("Meters", "speed", "meters_meter"),
                _item("Events", "list_alt", "meters_meterevent"),
                _item("Imports", "upload_file", "usage_imports_usageimport"),
                _item("Quarantine", "front_hand", "meters_quarantinedevent"),
                _item("Months of events", "inventory", "meters_ingestepoch"),
            ),
            _group(
                "Pricing",
                _item("Products", "inventory_2", "pricing_product"),
                _item("Prices", "sell", "pricing_price"),
                _item("Coupons", "percent", "pricing_coupon"),
                _item("Promotion codes", "confirmation_number", "pricing_promotioncode"),
                _item("Redemptions", "redeem", "pricing_discount"),
                _item("Tax rates", "account_balance", "pricing_taxrate"),
            ),
            _group(
                "Billing",
                _item("Subscriptions", "autorenew", "subscriptions_subscription"),
                _item("Schedules", "event_upcoming", "subscriptions_subscriptionschedule"),
                _item("Invoices", "receipt_long", "invoices_invoice"),
                _item("Invoice items", "playlist_add", "invoices_invoiceitem"),
                _item("Credit notes", "undo", "invoices_creditnote"),
                _item("Late usage", "more_time", "invoices_lateusage"),
                _item("Credit grants", "savings", "credits_creditgrant"),
                _item("Credit ledger", "menu_book", "credits_credittransaction"),
                _item("Credit holds", "lock_clock", "credits_credithold"),
                _item("Recurring credits", "event_repeat", "credits_recurringcreditgrant"),
                _item("Auto top-up", "currency_exchange", "credits_autotopup"),
            ),
            _group(
                "Alerts",
                _item("Inbox", "inbox", "alerts_alerttriggered") | {"badge": "alerts.admin.badge"},
                _item("Alerts", "notification_important", "alerts_alert"),
            ),
            _group(
                "Webhooks",
                _item("Endpoints", "webhook", "webhooks_endpoint"),
                _item("Deliveries", "outbox", "webhooks_delivery"),
                _item("Event log", "campaign", "webhooks_event"),
                _item("Thin events", "notifications", "webhooks_thinevent"),
            ),
            _group(
                "System",
                _item("Mail", "mail", "core_outgoingmail"),
                _item("API keys", "key", "api_apikey"),
                _item("Scheduled tasks", "timer", "django_celery_beat_periodictask"),
                _item("Intervals", "more_time", "django_celery_beat_intervalschedule"),
                _item("Admin log", "history", "admin_logentry"),
                _item("Users", "person", "auth_user"),
                _item("Groups", "groups", "auth_group"),
            ),
        ],
    },
}
