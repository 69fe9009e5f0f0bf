"""The pages of credit grants: created, ended, listed and read; the ledger cannot be written."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core import clock
from credits import ledger
from credits.grants import NewGrant, create_grant, expire_grant, void_grant
from credits.ledger import Change
from credits.models import CreditGrant, CreditTransaction
from customers.models import Customer
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db
ADD = reverse("admin:credits_creditgrant_add")
LIST = reverse("admin:credits_creditgrant_changelist")


@pytest.fixture
def customer() -> Customer:
    return make.customer(name="Acme")


def grant(customer: Customer, amount: str = "1000", **fields: Any) -> CreditGrant:
    unit = {} if "meter" in fields else {"currency": "usd"}
    return create_grant(customer.pk, NewGrant(amount=Decimal(amount), **unit, **fields), at=JAN)


def page_of(row: CreditGrant | CreditTransaction | Customer) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def form(customer: Customer, **fields: Any) -> Mapping[str, Any]:
    return {
        "customer": customer.pk,
        "granted": "25.50",
        "currency": "usd",
        "category": "paid",
        "priority": "50",
    } | fields


def problems(page: Any) -> dict[str, list[str]]:
    return page.context["adminform"].form.errors


def test_money_is_granted(admin_client: Client, customer: Customer) -> None:
    price = make.price(meter=make.meter(), unit="5")
    given = form(customer, name="Welcome", only_for=[price.pk], reason="new contract", metadata="order: 7")
    given |= {"category": "promotional", "priority": "3", "expires_at_0": "2100-01-01", "expires_at_1": "00:00:00"}
    assert admin_client.post(ADD, given).status_code == 302
    made = CreditGrant.objects.get()
    assert (made.amount, made.currency, made.prices, made.metadata) == (2550, "usd", [price.pk], {"order": "7"})
    assert (made.name, made.category, made.priority, made.balance) == ("Welcome", "promotional", 3, 2550)
    assert made.expires_at == utc(2100, 1, 1)
    assert made.transactions.get().reason == "new contract"
    page = admin_client.get(page_of(made)).content.decode()
    assert "$25.50" in page
    assert str(price) in page


def test_units_are_granted(admin_client: Client, customer: Customer) -> None:
    meter = make.meter()
    assert admin_client.post(ADD, form(customer, currency="", meter=meter.pk, granted="12.5")).status_code == 302
    made = CreditGrant.objects.get()
    assert (made.amount, made.meter, made.currency) == (Decimal("12.5"), meter, "")
    assert "12.5 × Tokens" in admin_client.get(page_of(made)).content.decode()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"granted": "1.005"}, "granted"),
        ({"granted": "0"}, "granted"),
        ({"granted": "-1"}, "granted"),
        ({"granted": "5", "currency": ""}, "currency"),
        ({"priority": "101"}, "priority"),
        ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}, "expires_at"),
        ({"granted": "99999999999999"}, "granted"),
    ],
)
def test_what_is_refused_is_told_at_its_field(
    admin_client: Client, customer: Customer, fields: dict[str, str], field: str
) -> None:
    page = admin_client.post(ADD, form(customer, **fields))
    assert page.status_code == 200
    assert list(problems(page)) == [field]
    assert not CreditGrant.objects.exists()


def test_the_end_and_the_metadata_change_and_nothing_else(admin_client: Client, customer: Customer) -> None:
    made = grant(customer)
    given = {"expires_at_0": "2100-01-01", "expires_at_1": "00:00:00", "metadata": "a: 1", "priority": "1"}
    assert admin_client.post(page_of(made), given).status_code == 302
    made.refresh_from_db()
    assert (made.expires_at, made.metadata, made.priority) == (utc(2100, 1, 1), {"a": "1"}, 50)
    assert admin_client.post(page_of(made), {"metadata": "a: 1"}).status_code == 302
    made.refresh_from_db()
    assert made.expires_at is None


@pytest.mark.parametrize(("name", "state"), [("expire", "expired"), ("void", "voided")])
def test_a_grant_is_ended_for_a_reason(admin_client: Client, customer: Customer, name: str, state: str) -> None:
    made = grant(customer)
    press = f"{reverse('admin:credits_creditgrant_changelist')}{made.pk}/do/{name}/"
    assert admin_client.get(press).status_code == 200
    assert admin_client.post(press, {}).context["form"].errors
    assert admin_client.post(press, {"reason": "granted twice"}).status_code == 302
    made.refresh_from_db()
    assert made.state(clock.now()) == state
    page = admin_client.get(page_of(made)).content.decode()
    assert "granted twice" in page
    assert f"/do/{name}/" not in page


def test_what_was_used_can_be_expired_and_not_voided(admin_client: Client, customer: Customer) -> None:
    made = grant(customer)
    use(made, 300)
    page = admin_client.get(page_of(made)).content.decode()
    assert "/do/expire/" in page
    assert "/do/void/" not in page


def use(grant: CreditGrant, amount: int, line: str = "il_1") -> None:
    kind = CreditTransaction.Type.CREDITS_APPLIED
    ledger.apply_credits([Change(grant.pk, kind, -Decimal(amount), JAN, invoice="in_1", invoice_line=line)])


@pytest.mark.parametrize("state", ["pending", "granted", "depleted", "expired", "voided"])
def test_grants_are_found_by_state(admin_client: Client, customer: Customer, state: str) -> None:
    now = clock.now()
    grant(customer, name="pending", effective_at=now + timedelta(days=1))
    grant(customer, name="granted")
    use(grant(customer, name="depleted"), 1000)
    expire_grant(grant(customer, name="expired").pk, at=JAN)
    void_grant(grant(customer, name="voided").pk, at=JAN)
    for one in CreditGrant.objects.all():
        assert one.state(now) == one.name
    page = admin_client.get(LIST, {"state": state})
    assert [one.name for one in page.context["cl"].result_list] == [state]


def test_a_state_is_by_the_time_of_the_customer(admin_client: Client) -> None:
    on_clock = make.customer(on=make.clock(JAN))
    grant(on_clock, name="clocked", expires_at=JAN + timedelta(days=1))
    assert len(admin_client.get(LIST, {"state": "granted"}).context["cl"].result_list) == 1
    assert len(admin_client.get(LIST, {"state": "expired"}).context["cl"].result_list) == 0


def test_lists_are_searched(admin_client: Client, customer: Customer) -> None:
    grant(customer, name="Welcome")
    grant(make.customer(name="Other"), name="Else")
    page = admin_client.get(LIST, {"q": "Acme"})
    assert [one.name for one in page.context["cl"].result_list] == ["Welcome"]


def test_the_customer_has_a_statement_with_a_running_balance(admin_client: Client, customer: Customer) -> None:
    first, second = grant(customer, name="First"), grant(customer, "500", name="Second")
    grant(customer, "9", meter=make.meter().pk, name="Units")
    use(first, 300)
    use(second, 50, "il_2")
    page = admin_client.get(page_of(customer))
    [panel] = [panel for panel in page.context["panels"] if panel["title"] == "Credits"]
    shown = {(one.words, one.amount, one.balance) for one in panel["data"]["entries"]}
    assert ("Granted", "+9 × Tokens", "9 × Tokens") in shown
    assert {balance for _, _, balance in shown if "$" in balance} >= {"$11.50"}
    assert [one["available"] for one in panel["data"]["balances"]] == ["$11.50", "9 × Tokens"]
    assert "Grant credits" in page.content.decode()


def test_the_ledger_is_read_only(admin_client: Client, customer: Customer) -> None:
    row = grant(customer).transactions.get()
    page = admin_client.get(page_of(row)).content.decode()
    assert "Both sides" in page
    assert admin_client.get(reverse("admin:credits_credittransaction_add")).status_code == 403
    assert admin_client.post(page_of(row), {"reason": "x"}).status_code == 403
    assert admin_client.get(reverse("admin:credits_credittransaction_changelist")).status_code == 200
