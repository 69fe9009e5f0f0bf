"""The pages of credits: live balances, grants, the statement of each, and what invoices say of them."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from credits.grants import NewGrant, create_grant, expire_grant, void_grant
from credits.models import CreditGrant
from credits.recurring import NewRecurring, create_recurring
from customers.models import Customer, TestClock
from invoices.auto_top_ups import NewAutoTopUp, create_auto_top_up
from invoices.burn_down import burn_down
from invoices.models import Invoice
from invoices.settle import void_invoice
from portal.tests.scenes import DAY, FEB, GRACE, HOUR, JAN, enter, send
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return " ".join(answer.content.decode().split())


def grant(customer: Customer, amount: int | str, *, at: datetime = JAN, **fields: Any) -> CreditGrant:
    return create_grant(customer.pk, NewGrant(amount=Decimal(amount), **({"currency": "usd"} | fields)), at=at)


@pytest.fixture
def clock() -> TestClock:
    return make.clock()


@pytest.fixture
def customer(clock: TestClock) -> Customer:
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(), unit="5"), make.price(unit="700", product="Seat"))
    return customer


def test_without_credits_the_pages_say_so(customer: Customer) -> None:
    client = enter(customer)
    assert "Prepaid credits" not in text(client, "/portal/")
    assert "There are no prepaid credits" in text(client, "/portal/credits")


def test_the_balance_is_live_and_the_same_everywhere(customer: Customer, clock: TestClock) -> None:
    """Ten tokens a day at 5 cents for ten days, of $20: $15 left, which is 30 days more."""
    grant(customer, 2000, name="Launch <b>")
    make.move(clock, JAN + 10 * DAY)
    for day in range(10):
        make.event(customer, value="10", at=JAN + day * DAY + HOUR)
    client = enter(customer)

    assert '<p class="figure">$15.00</p>' in text(client, "/portal/")
    page = text(client, "/portal/credits")
    assert '<p class="figure">$15.00</p>' in page
    assert burn_down(Customer.objects.get(pk=customer.pk), at=JAN).live_balances() == {"usd": 1500}
    assert "Runs out about Feb 10, 2026." in page
    assert "Projected from $0.50 a day, the mean of the last 6 full days (UTC)." in page
    assert 'data-label="Used">$5.00</td>' in page
    assert 'data-label="Left">$15.00</td>' in page
    assert "Launch &lt;b&gt;" in page
    assert "All metered usage" in page
    assert page.count('<circle class="dot') == 11
    assert re.search(r'Jan 10, so far</th> <td class="number">\$0.50</td> <td class="number">\$15.00</td>', page)
    assert '<polyline class="ahead"' in page
    assert '<polyline class="ahead"' not in text(client, "/portal/credits?range=days")


@pytest.mark.parametrize(
    ("expires", "use", "words"),
    [
        (None, 0, "No use yet. Nothing was used in the last 2 full days, so no date can be told."),
        (40, 4, "Not used up at this rate: it ends Feb 10, 2026. Projected from $0.20 a day, the mean of the last 2"),
        (None, 1000, "Nothing is left."),
    ],
)
def test_the_projection_is_told_in_words(
    customer: Customer, clock: TestClock, expires: int | None, use: int, words: str
) -> None:
    grant(customer, 2000, expires_at=JAN + expires * DAY if expires else None)
    make.move(clock, JAN + 3 * DAY)
    for day in range(3):
        if use:
            make.event(customer, value=str(use), at=JAN + day * DAY + HOUR)
    page = re.sub(r"</?(strong|span)[^>]*>", "", text(enter(customer), "/portal/credits"))
    assert words in page


def test_grants_of_every_kind(customer: Customer, clock: TestClock) -> None:
    meter = make.meter("words")
    words = make.price(meter=meter, unit="1", product="Words")
    grant(customer, "12.5", currency="", meter=meter.pk, name="Units", category="promotional")
    grant(customer, 100, currency="eur", name="For words", prices=(words.pk,), expires_at=JAN + 40 * DAY)
    grant(customer, 100, name="Later", effective_at=JAN + 9 * DAY)
    make.move(clock, JAN + DAY)
    void_grant(grant(customer, 100, name="Mistake").pk, at=JAN, reason="internal remark")
    expire_grant(grant(customer, 100, name="Over").pk, at=JAN)
    client = enter(customer)
    page = text(client, "/portal/credits")

    for shown in (
        r'Units</a> <span class="badge granted">Active</span> <p class="quiet">Promotional · Never expires</p>.*?'
        r"All usage of Words.*?12.5 × Words.*?12.5 × Words</td>",
        r"For words</a>.*?Paid · Until Feb 10, 2026</p>.*?Words</td>.*?€1.00",
        r'Later</a> <span class="badge pending">Pending</span> <p class="quiet">Paid · From Jan 10, 2026, never',
        r'Grants of the past.*Mistake</a> <span class="badge voided">Voided</span> <p class="quiet">Paid · Voided Jan',
        r'Over</a> <span class="badge expired">Expired</span> <p class="quiet">Paid · Ended Jan 2, 2026',
    ):
        assert re.search(shown, page), shown
    assert [name for name in ("EUR", "USD", "Words") if f">{name}</h2>" in page] == ["EUR", "USD", "Words"]
    voided = text(client, f"/portal/credits/{CreditGrant.objects.get(name='Mistake').pk}")
    assert "Taken back: the grant was voided" in voided
    assert "internal remark" not in voided


def test_a_statement_tells_what_became_of_a_grant(customer: Customer, clock: TestClock) -> None:
    """Used by January, given back with its invoice after the end of the grant, and expired at once."""
    given = grant(customer, 1000, name="Launch", expires_at=FEB + 2 * DAY)
    make.move(clock, FEB - HOUR)
    make.event(customer, value="40", at=JAN + DAY)
    client = enter(customer)
    before = text(client, f"/portal/credits/{given.pk}")
    assert "Usage so far that is not on a final invoice yet" in before
    assert re.search(r'data-label="Amount">−\$2.00</td> <td[^>]*data-label="Balance">\$8.00', before)

    make.move(clock, FEB + GRACE)
    invoice = Invoice.objects.get(billing_reason="subscription_cycle")
    line = invoice.lines.get(meter__isnull=False)
    used = text(client, f"/portal/credits/{given.pk}")
    assert f'Paid for usage <p class="quiet"><a href="/portal/invoices/{invoice.pk}/lines/{line.pk}">' in used
    assert "not on a final invoice" not in used

    make.move(clock, FEB + 3 * DAY)
    void_invoice(invoice.pk, at=JAN)
    steps = re.findall(
        r'class="wide"> (.*?)(?: <p|</td>).*?data-label="Balance">(.*?)</td>',
        text(client, f"/portal/credits/{given.pk}"),
    )
    assert [(words.strip(), left) for words, left in steps] == [
        ("Expired at once: what came back had ended meanwhile", "$0.00"),
        ("Given back, because the invoice it had paid for is void", "$2.00"),
        ("Expired: what was left at the end can no longer be used", "$0.00"),
        ("Paid for usage", "$8.00"),
        ("Paid credits granted", "$10.00"),
    ]


def test_an_invoice_says_what_credits_paid(customer: Customer, clock: TestClock) -> None:
    meter = customer.subscriptions.get().items.get(price__meter__isnull=False).price.meter
    grant(customer, 150, name="Launch")
    units = grant(customer, 4, currency="", meter=meter.pk, name="Trial", priority=1)
    make.move(clock, FEB - HOUR)
    send(customer, value="40", at=JAN + DAY)
    client = enter(customer)
    coming = text(client, "/portal/upcoming")
    assert f'$0.20 (4 × Tokens) paid by credits: <a href="/portal/credits/{units.pk}">Trial</a></p>' in coming
    assert "<dt>Credits</dt><dd>-$1.70</dd>" in coming

    make.move(clock, FEB + GRACE)
    invoice = Invoice.objects.get(billing_reason="subscription_cycle")
    page = text(client, f"/portal/invoices/{invoice.pk}")
    assert re.search(r'\$1.50 paid by credits: <a href="[^"]*">Launch</a></p>', page)
    assert "<dt>Credits</dt><dd>-$1.70</dd>" in page
    line = text(client, f"/portal/invoices/{invoice.pk}/lines/{invoice.lines.get(meter=meter).pk}")
    assert "Launch</a>, which had $0.00 left then" in line
    assert "Trial</a>, which had 0 × Tokens left then" in line


def test_an_allowance_is_shown(customer: Customer) -> None:
    recurring = NewRecurring(NewGrant(Decimal(5000), currency="usd", name="Monthly"), "month")
    create_recurring(customer.pk, recurring, at=JAN)
    page = text(enter(customer), "/portal/credits")
    assert re.search(r'Monthly</h3> <p class="figure">\$50.00</p> <p class="quiet">every month · next on', page)
    assert "What is unused at the end of a period is gone." in page


def test_an_automatic_purchase_is_shown(customer: Customer) -> None:
    create_auto_top_up(customer.pk, NewAutoTopUp("usd", 500, 5000), at=JAN)
    client = enter(customer)
    page = text(client, "/portal/credits")
    assert 'Credit top-up <span class="badge open">Waits for a payment</span>' in page
    assert "When $5.00 or less is left, credits are bought up to $50.00." in page
    invoice = Invoice.objects.get(total=5000)
    assert f'<a href="/portal/invoices/{invoice.pk}">{invoice.number}</a>' in page

    void_invoice(invoice.pk, at=JAN)
    page = text(client, "/portal/credits")
    assert 'Credit top-up <span class="badge ">Off</span>' in page
    assert "switched off because a purchase failed" in page


def test_old_grants_and_long_statements_are_paged(customer: Customer, clock: TestClock) -> None:
    make.move(clock, JAN + DAY)
    for _ in range(21):
        expire_grant(grant(customer, 100).pk, at=JAN)
    client = enter(customer)
    assert "Page 1 of 2" in text(client, "/portal/credits")
    assert text(client, "/portal/credits?page=2").count('class="badge expired"') == 1


def test_looking_takes_few_queries(customer: Customer, clock: TestClock, django_assert_max_num_queries: Any) -> None:
    """However many grants, days and events there are."""
    given = [grant(customer, 100 + n) for n in range(30)]
    make.move(clock, FEB + GRACE + DAY)
    for day in range(30):
        make.event(customer, value="10", at=JAN + day * DAY + HOUR)
    client = enter(customer)
    for path, most in (("/portal/credits", 35), (f"/portal/credits/{given[0].pk}", 25), ("/portal/", 40)):
        with django_assert_max_num_queries(most):
            assert client.get(path).status_code == 200
