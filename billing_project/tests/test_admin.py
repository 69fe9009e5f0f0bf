"""The admin as a whole: every page answers, lists need no more queries for more rows, and nothing is deleted."""

import html
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alerts.fire import try_out
from alerts.tests.making import usage_alert
from api.keys import create_api_key
from billing_project.schedule import sync_schedule
from core import clock
from core.admin import PageAdmin
from core.mail import write_mail
from credits.grants import NewGrant, create_grant
from credits.holds import NewHold, create_hold
from credits.recurring import NewRecurring, create_recurring
from customers.models import Customer
from invoices.auto_top_ups import NewAutoTopUp, create_auto_top_up
from invoices.close import close_period
from invoices.credit_note_draft import Asked
from invoices.credit_notes import issue_credit_note
from invoices.finalize import finalize_if_due
from invoices.items import NewItem, create_item
from invoices.late_usage import correct_period
from invoices.models import Invoice
from meters.models import IngestEpoch, Meter
from meters.resources import METER
from portal.sessions import create_session
from pricing.coupons import CouponSpec, create_coupon
from pricing.discounts import Owner, set_discounts
from pricing.promotion_codes import PromotionCodeSpec, create_promotion_code
from pricing.redeem import Sale
from pricing.tax_rates import create_tax_rate
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.schedules import adopt_subscription
from tests import make
from tests.make import JAN, utc
from usage_imports.uploads import FileSpec, begin
from webhooks.endpoints import EndpointSpec, create_endpoint
from webhooks.events import record, record_thin_event
from webhooks.pings import ping

pytestmark = pytest.mark.django_db

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
OURS = [model for model in MODELS if isinstance(admin.site._registry[model], PageAdmin)]


def page(model: type, view: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}", args=args)


@pytest.fixture
def business(admin_user: User) -> None:
    """Something of everything: usage, tiers, a quantity, a draft, open and paid invoices, a test clock."""
    sync_schedule()
    create_api_key("first", clock.now())
    on = make.clock()
    prompt, calls = make.meter("prompt"), make.meter("calls", formula="count")
    tiers = [("1000", "0.5", "100"), (None, "0.25", None)]
    prices = (
        make.price(meter=prompt, tiers=tiers),
        make.price(meter=calls, unit="4", per=100),
        make.price(unit="2000", product="Seat"),
    )
    customer = make.customer(on=on, email="ada@example.com", address={"line1": "1 Main St", "country": "US"})
    create_session(customer.pk, at=JAN)
    make.subscribe(customer, *prices)
    make.event(customer, "prompt", "1500", at=JAN, identifier="one")
    make.event(customer, "calls", "1", at=JAN)
    make.held("prompt", "nobody", at=JAN)
    make.move(on, utc(2026, 2, 1))
    make.event(customer, "prompt", "12.5", at=utc(2026, 2, 1))
    LogEntry.objects.log_actions(admin_user.pk, Customer.objects.all(), CHANGE, "Changed.")
    record_thin_event("v1.billing.meter.error_report_triggered", related=(METER, prompt.pk), at=JAN)
    record("billing.meter.updated", "billing.meter", prompt, at=JAN)
    begin(FileSpec("usage.csv"), at=JAN)
    Group.objects.create(name="Billing")
    discounted("SPRING", customer)
    create_item(NewItem({"amount": 500}, customer=customer.pk), at=JAN)
    issue_credit_note(Invoice.objects.filter(status="open").first().pk, Asked(amount=100), at=JAN)
    late_and_scheduled(calls)
    told()
    prepaid(make.customer(), calls)


def prepaid(customer: Customer, meter: Meter) -> None:
    """Credits granted, coming again, set aside and topped up, and an alert on them that has fired."""
    five = NewGrant(Decimal(500), currency="usd")
    create_grant(customer.pk, five, at=clock.now())
    create_recurring(customer.pk, NewRecurring(five, "month"), at=clock.now())
    create_hold(customer.pk, NewHold(Decimal(100), currency="usd"), at=clock.now())
    create_auto_top_up(customer.pk, NewAutoTopUp("usd", 100, 1000), at=clock.now())
    try_out(usage_alert(meter, 5, customer=customer), at=clock.now())


def told() -> None:
    """An endpoint that something is sent to, and a mail."""
    endpoint, _ = create_endpoint(EndpointSpec("https://hooks.example.com/", ["*"]), at=JAN)
    ping(endpoint, at=JAN)
    write_mail("Hello", "You.", to=["ada@example.com"], at=JAN)


def late_and_scheduled(meter: Meter) -> None:
    """A customer in real time with usage that came after its invoice was final, and with a schedule."""
    customer = make.customer()
    subscription = make.subscribe(customer, make.price(meter=meter, unit="5"))
    close_period(subscription.pk, utc(2026, 2, 1))
    finalize_if_due(Invoice.objects.get(customer=customer).pk, utc(2026, 2, 1, 1))
    make.event(customer, "calls", at=utc(2026, 1, 31))
    correct_period(
        str(ItemPeriod.objects.filter(item__subscription=subscription).earliest("starts_at").pk), utc(2026, 2, 2)
    )
    adopt_subscription(subscription.pk, at=utc(2026, 2, 2), metadata={})


def discounted(coupon: str, customer: Customer) -> None:
    """A coupon, a code for it that the customer has redeemed, and a tax rate."""
    create_coupon(spec=CouponSpec(id=coupon, percent_off=Decimal(10)), at=JAN)
    code = create_promotion_code(spec=PromotionCodeSpec(coupon), at=JAN)
    set_discounts(Owner(customer.pk), [{"promotion_code": code.pk}], sale=Sale(), at=JAN)
    create_tax_rate(display_name="VAT", percentage=Decimal(20), inclusive=False, at=JAN)


def statuses(client: Client, paths: dict[str, str]) -> dict[str, int]:
    return {label: client.get(path).status_code for label, path in paths.items()}


def test_every_list_answers(business: None, admin_client: Client) -> None:
    lists = {model._meta.label: page(model, "changelist") for model in MODELS}

    assert set(statuses(admin_client, lists).values()) == {200}
    # Lists without a search do not know `q`, and lead back to the whole list.
    searched = statuses(admin_client, {label: f"{path}?q=a" for label, path in lists.items()})
    assert set(searched.values()) <= {200, 302}


def test_every_empty_list_says_what_to_do(admin_client: Client) -> None:
    for model in OURS:
        answer = admin_client.get(page(model, "changelist"))
        words = admin.site._registry[model].empty_list
        assert words or model is LogEntry
        # The first month of events is there from the start; meters/tests/test_admin.py takes it away.
        assert model is IngestEpoch or words in html.unescape(answer.content.decode())


def test_every_page_answers(business: None, admin_client: Client) -> None:
    for model in MODELS:
        row = model._default_manager.first()
        allowed = admin.site._registry[model].has_add_permission(admin_client.get("/admin/").wsgi_request)
        assert admin_client.get(page(model, "add")).status_code == (200 if allowed else 403), model
        assert row is not None or model._meta.app_label == "django_celery_beat", model
        for view in ("change", "history") if row else ():
            assert admin_client.get(page(model, view, row.pk)).status_code == 200, model


def test_nothing_of_ours_is_deleted_without_its_verb(business: None, admin_client: Client) -> None:
    for model in OURS:
        row = model._default_manager.first()
        count = model._default_manager.count()
        assert admin_client.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        admin_client.post(page(model, "changelist"), chosen)
        assert model._default_manager.count() == count


def fill(count: int) -> None:
    """`count` more of everything that has a list."""
    for n in range(count):
        meter = make.meter(f"m{Customer.objects.count()}_{n}")
        customer = make.customer(email=f"{n}@example.com")
        make.subscribe(customer, make.price(meter=meter, tiers=[("5", "1", None), (None, "2", None)]))
        begin(FileSpec("usage.csv"), at=JAN)
        make.subscribe(customer, make.price(unit="5", product="Seat"))
        create_item(NewItem({"amount": 500}, customer=customer.pk), at=JAN)
        make.event(customer, meter.event_name, at=JAN)
        make.clock()
        create_api_key(f"key {n}", clock.now())
        create_session(customer.pk, at=clock.now())
        record_thin_event("a.b", at=JAN)
        record("a.b", "customer", customer, at=JAN)
        discounted(f"c{customer.pk[4:]}", customer)
        prepaid(customer, meter)
        if n < 6:
            told()


LISTS = [model for model in OURS if model is not LogEntry]


def test_lists_need_no_more_queries_for_more_rows(admin_client: Client) -> None:
    fill(3)
    few = {model: queries(admin_client, page(model, "changelist")) for model in LISTS}
    fill(27)
    many = {model: queries(admin_client, page(model, "changelist")) for model in LISTS}

    assert {model._meta.label: many[model] - few[model] for model in LISTS if many[model] > few[model]} == {}


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as found:
        assert client.get(path).status_code == 200
    return len(found)


def test_the_dashboard_of_an_empty_installation_says_where_to_begin(admin_client: Client) -> None:
    text = admin_client.get(reverse("admin:index")).content.decode()

    for words in ("To the first invoice", "Create a meter", "No invoices yet", "Nothing is open"):
        assert words in text


def test_the_dashboard_shows_the_figures(business: None, admin_client: Client) -> None:
    answer = admin_client.get(reverse("admin:index"))
    board = answer.context["dashboard"]

    stats = {stat["label"]: stat["value"] for stat in board["stats"]}
    assert stats == {
        "Open invoices": 1,
        "Drafts waiting": 1,
        "Customers": 3,
        "Active subscriptions": 2,
        "Periods overdue for closing": 0,
        "Test clocks advancing": 0,
        "Events held": 1,
    }
    assert [(row["currency"], row["amount"]) for row in board["open_by_currency"]] == [("usd", "$19.00")]
    assert board["events"]["last_day"] == "4"
    assert "Dashboard" in answer.content.decode()


def test_periods_that_nobody_closes_are_noticed(admin_client: Client) -> None:
    make.subscribe(make.customer(clock.now() - timedelta(days=90)), make.price(unit="5"), at=JAN)

    stats = admin_client.get(reverse("admin:index")).context["dashboard"]["stats"]
    assert [stat["value"] for stat in stats if stat["warn"]] == [1]


def test_the_pages_hold_no_inline_script(business: None, admin_client: Client) -> None:
    """The security policy would refuse it."""
    paths = [reverse("admin:index"), *(page(model, "changelist") for model in OURS)]
    paths += [page(model, "change", model._default_manager.first().pk) for model in OURS]
    for path in paths:
        text = admin_client.get(path).content.decode()
        assert "<script>" not in text
        assert " onclick=" not in text


def test_who_may_only_look_has_no_buttons(business: None, client: Client) -> None:
    user = User.objects.create_user("viewer", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    invoice = Invoice.objects.get(status="open")

    assert client.get(page(Invoice, "change", invoice.pk)).context["actions_detail"] == []
    assert client.post(page(Invoice, "press", invoice.pk, "void")).status_code == 403
    assert client.get(page(Subscription, "add")).status_code == 403
    invoice.refresh_from_db()
    assert invoice.status == "open"


def test_nobody_gets_in_without_login(client: Client) -> None:
    for path in (
        reverse("admin:index"),
        reverse("admin:pricing_price_samples"),
        page(Customer, "press", "x", "delete"),
    ):
        answer = client.post(path)
        assert answer.status_code == 302
        assert "/admin/login/" in answer["Location"]
