"""What the pages show: with and without data, in the running period, in the time of grace and afterwards."""

import re

import pytest

from customers.balance import adjust_balance
from customers.lifecycle import update_customer
from invoices.credit_note_lines import Asked
from invoices.credit_notes import issue_credit_note, void_credit_note
from invoices.settle import pay_invoice, void_invoice
from portal.tests.scenes import DAY, FEB, GRACE, HOUR, JAN, bill, enter, send, spread
from subscriptions.cancel import cancel_subscription
from subscriptions.pause import Pause, pause_subscription
from subscriptions.trials import Trial
from tests import make
from tests.make import utc

pytestmark = pytest.mark.django_db(transaction=True)
TIERS = [("1000", "0", "900"), (None, "3.6", None)]


def text(client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return " ".join(answer.content.decode().split())


def test_a_new_customer_sees_empty_pages():
    client = enter(make.customer())

    assert "there is no usage to show" in text(client, "/portal/")
    assert "No invoice is coming up" in text(client, "/portal/")
    assert "There are no invoices yet" in text(client, "/portal/")
    assert "there is nothing to show" in text(client, "/portal/usage")
    assert "no invoice is coming up" in text(client, "/portal/upcoming")
    assert "There are no invoices yet" in text(client, "/portal/invoices")


def test_a_meter_without_events_shows_zero():
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(), unit="2"))
    invoice = bill(customer, clock)
    client = enter(customer)
    line = f"/portal/invoices/{invoice.pk}/lines/{invoice.lines.get().pk}"

    assert "No events in this span" in text(client, "/portal/usage")
    assert "0 days with usage add up to 0" in text(client, line)
    assert "No event was counted here" in text(client, f"{line}/events")


def test_an_event_is_on_the_pages_at_once():
    customer = make.customer(on=make.clock())
    make.subscribe(customer, make.price(meter=make.meter(), unit="250", unit_label="token"))
    client = enter(customer)
    send(customer, value="1234.5", at=JAN)

    overview = text(client, "/portal/")

    assert '<p class="figure">1,234.5</p>' in overview
    assert "Jan 1 – Jan 31, 2026 · unit: token" in overview
    assert "$3,086.25" in overview
    assert "As of <time" in overview
    assert "Jan 31, 2026, 23:59:00 UTC" in overview  # the time of the test clock
    assert "Test clock" in overview
    assert "1,234.5" in text(client, "/portal/usage")
    assert "1234.5 × 250 = 308625" in text(client, "/portal/upcoming")


def test_usage_can_be_looked_at_by_range_and_by_hour():
    clock = make.clock()
    customer = make.customer(on=clock)
    meter = make.meter()
    make.subscribe(customer, make.price(meter=meter, unit="2"))
    spread(customer, values={0: "1", 30: "10", 31: "100"})
    make.move(clock, FEB + 2 * DAY)
    send(customer, value="5", at=FEB + DAY)
    client = enter(customer)
    figures = {
        "": "5",
        "?range=current&by=hour": "5",
        "?range=previous": "111",
        "?range=7d": "5",
        "?range=30d": "5",
        "?range=90d": "116",
        "?range=custom&from=2026-01-02&to=2026-01-02": "110",
        "?range=custom&from=2026-01-01&to=2026-01-02&by=hour": "111",
        "?range=nonsense": "5",
    }
    for query, figure in figures.items():
        assert f'<p class="figure">{figure}</p>' in text(client, f"/portal/usage/{meter.pk}{query}"), query
    assert "Jan 2, 06:00" in text(client, f"/portal/usage/{meter.pk}?range=previous&by=hour")
    assert "The last day lies before the first" in text(
        client, f"/portal/usage/{meter.pk}?range=custom&from=2026-02-01&to=2026-01-01"
    )


def test_every_running_subscription_has_its_preview():
    customer = make.customer(on=make.clock())
    make.subscribe(customer, make.price(meter=make.meter(), tiers=TIERS))
    make.subscribe(customer, make.price(unit="700", interval="week", product="Support"))
    make.event(customer, value="1031", at=JAN)

    page = text(enter(customer), "/portal/upcoming")

    assert page.count("A preview with usage up to") == 2
    assert page.index("Support") < page.index("Tier 1")
    assert "31 × 3.6 = 111.6 → 112" in page
    assert "$10.12" in page


def test_a_draft_grows_until_its_grace_is_over():
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(), unit="100"))
    spread(customer, values={1: "3"})
    make.move(clock, FEB)
    client = enter(customer)
    assert "$3.00" in text(client, "/portal/upcoming")
    send(customer, value="4", at=FEB - HOUR)

    page = text(client, "/portal/upcoming")

    assert "$7.00" in page
    assert "Feb 1, 2026, 01:00:00 UTC" in page
    assert "There are no invoices yet" in text(client, "/portal/invoices")
    assert customer.invoices.get().total == 300, "looking writes nothing"
    make.move(clock, FEB + GRACE)
    assert customer.invoices.get().total == 700


def test_an_invoice_keeps_what_it_said():
    clock = make.clock()
    customer = make.customer(on=clock, name="Ada", email="ada@old.example", address={"line1": "Old Street 1"})
    price = make.price(meter=make.meter(), tiers=TIERS, product="Tokens")
    make.subscribe(customer, price)
    spread(customer, values={1: "1031"})
    invoice = bill(customer, clock)
    update_customer(customer.pk, changes={"name": "Countess", "email": "new@new.example", "address": None}, at=JAN)
    price.product.name = "Renamed"
    price.product.save()

    page = text(enter(customer), f"/portal/invoices/{invoice.pk}")

    assert "ada@old.example" in page
    assert "Old Street 1" in page
    assert "<span>Ada</span>" in page
    assert "new@new.example" not in page
    assert "Renamed" not in page
    assert invoice.number in page
    assert "1000 × Tokens (Tier 1 at $0.00 / month)" in page
    assert "Jan 1 – Jan 31, 2026" in page
    assert "$10.12" in page


@pytest.mark.parametrize(("settle", "badge"), [(None, "Open"), (pay_invoice, "Paid"), (void_invoice, "Void")])
def test_the_status_is_shown(settle, badge):
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(), unit="100"))
    spread(customer, values={1: "3"})
    invoice = bill(customer, clock)
    if settle:
        settle(invoice.pk, at=FEB, **({"paid_out_of_band": True} if settle is pay_invoice else {}))
    client = enter(customer)

    for path in ("/portal/", "/portal/invoices", f"/portal/invoices/{invoice.pk}"):
        assert f">{badge}</span>" in text(client, path)


def test_many_invoices_are_paged():
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(unit="100", interval="day"))
    for day in range(2, 26, 2):
        make.move(clock, utc(2026, 1, day, 12))
    client = enter(customer)

    first, second = text(client, "/portal/invoices"), text(client, "/portal/invoices?page=2")

    assert "Page 1 of 2" in first
    assert first.count('class="row"') == 20
    assert second.count('class="row"') == customer.invoices.finalized().count() - 20
    assert "Page 2 of 2" in text(client, "/portal/invoices?page=99")
    assert "Page 1 of 2" in text(client, "/portal/invoices?page=x")


def test_an_ended_subscription_leaves_its_past():
    clock = make.clock()
    customer = make.customer(on=clock)
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="100"))
    spread(customer, values={1: "3"})
    bill(customer, clock)
    cancel_subscription(subscription.pk, at=FEB + GRACE)
    client = enter(customer)

    assert "No metered subscription is running" in text(client, "/portal/")
    usage = text(client, "/portal/usage")
    assert "This period" not in usage
    assert "Last period" in usage
    assert '<p class="figure">3</p>' in text(client, "/portal/usage?range=90d")


def test_prices_in_other_currencies_and_packages():
    customer = make.customer(on=make.clock())
    make.subscribe(customer, make.price(meter=make.meter(), unit="4", per=100, currency="jpy"))
    spread(customer, values={1: "101"})

    page = text(enter(customer), "/portal/upcoming")

    assert "ceil(101 ÷ 100) = 2 packages × 4 = 8" in page
    assert "¥4 per 100" in page
    assert "¥8" in page


def test_text_of_others_stays_text():
    clock = make.clock()
    name = "<script>alert(1)</script>"
    customer = make.customer(on=clock, name=name)
    make.subscribe(customer, make.price(meter=make.meter(), unit="100", product=name))
    send(customer, value="1", at=JAN, identifier=name)
    invoice = bill(customer, clock)
    client = enter(customer)
    line = f"/portal/invoices/{invoice.pk}/lines/{invoice.lines.get().pk}"

    for path in ("/portal/", "/portal/upcoming", f"/portal/invoices/{invoice.pk}", line, f"{line}/events"):
        page = text(client, path)
        assert "<script" not in page
        assert "&lt;script&gt;" in page


def test_looking_takes_few_queries(django_assert_max_num_queries):
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(), tiers=TIERS))
    spread(customer, values=dict.fromkeys(range(250), "3"))
    invoice = bill(customer, clock)
    line = f"/portal/invoices/{invoice.pk}/lines/{invoice.lines.order_by('position')[0].pk}"
    client = enter(customer)

    for path in ("/portal/", "/portal/usage", "/portal/upcoming", f"/portal/invoices/{invoice.pk}", line):
        with django_assert_max_num_queries(27):
            assert client.get(path).status_code == 200
    with django_assert_max_num_queries(10):
        client.get(f"{line}/events?page=2")


def test_an_invoice_shows_its_credit_notes():
    customer = make.customer()
    make.subscribe(customer, make.price(unit="2000"))
    invoice = customer.invoices.get()
    void_credit_note(issue_credit_note(invoice.pk, Asked(amount=100), at=JAN).pk, at=JAN)
    issue_credit_note(invoice.pk, Asked(amount=500, memo="Two days without service"), at=JAN)

    shown = text(enter(customer), f"/portal/invoices/{invoice.pk}")

    for part in (f"{invoice.number}-CN-01", f"{invoice.number}-CN-02", "$5.00", "Two days without service", "-$5.00"):
        assert part in shown
    assert shown.count('class="badge void"') == 1


def test_the_overview_says_how_subscriptions_stand_and_what_is_carried_over():
    customer = make.customer(on=make.clock())
    make.subscribe(customer, make.price(unit="700", product="Seat"), trial=Trial(days=14))
    paused = make.subscribe(customer, make.price(unit="900", product="Desk"))
    pause_subscription(paused.pk, pause=Pause(), at=JAN)
    adjust_balance(customer.pk, -1250, currency="usd", at=JAN)

    page = text(enter(customer), "/portal/")

    assert re.search(r'Seat\s*<span class="badge trialing">Free trial</span>', page)
    assert "Nothing is billed until Jan 15, 2026" in page
    assert re.search(r'Desk\s*<span class="badge paused">Paused</span>', page)
    assert "<strong>$12.50</strong> of credit" in page
