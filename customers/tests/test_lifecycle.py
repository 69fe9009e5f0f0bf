"""Customers: what they are created with, what may change, what is left of a deleted one."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError

from core.errors import InvalidRequest, NotFound
from customers.lifecycle import delete_customer, update_customer
from customers.models import Customer
from subscriptions.models import Subscription
from tests import make
from tests.make import JAN

pytestmark = pytest.mark.django_db


def test_a_prefix_is_made_up_when_none_is_given() -> None:
    assert make.customer().invoice_prefix.isalnum()


@pytest.mark.parametrize("prefix", ["", "abc", "TOOLONGPREFIX", "A-B", "Ä"])
def test_a_malformed_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        update_customer(make.customer().pk, changes={"invoice_prefix": prefix}, at=JAN)
    assert refused.value.param == "invoice_prefix"


def test_a_prefix_belongs_to_one_customer_for_ever() -> None:
    first = make.customer(invoice_prefix="ADA")
    update_customer(first.pk, changes={"invoice_prefix": "ADA2"}, at=JAN)

    with pytest.raises(InvalidRequest, match="is, or was, in use"):
        make.customer(invoice_prefix="ADA")
    assert Customer.objects.count() == 1

    assert update_customer(first.pk, changes={"invoice_prefix": "ADA"}, at=JAN).invoice_prefix == "ADA"


def test_numbers_do_not_go_back() -> None:
    customer = make.customer()
    update_customer(customer.pk, changes={"next_invoice_sequence": 7}, at=JAN)

    with pytest.raises(InvalidRequest, match="cannot go back"):
        update_customer(customer.pk, changes={"next_invoice_sequence": 6}, at=JAN)


def test_a_rule_of_its_own_goes_before_the_installations(settings: Any) -> None:
    settings.LATE_USAGE, settings.INVOICE_GRACE_SECONDS = "hold", 60
    customer = make.customer()
    assert (customer.late_usage_rule, customer.invoice_grace) == (Customer.LateUsage.HOLD, timedelta(minutes=1))

    own = update_customer(customer.pk, changes={"late_usage": "not_billed", "invoice_grace_seconds": 0}, at=JAN)

    assert (own.late_usage_rule, own.invoice_grace) == (Customer.LateUsage.NOT_BILLED, timedelta(0))


@pytest.mark.parametrize("wrong", [{"late_usage": "later"}, {"invoice_grace_seconds": 259_201}])
def test_the_database_knows_the_rules_too(wrong: dict[str, Any]) -> None:
    customer = make.customer()
    with pytest.raises(IntegrityError, match=r"customer_late_usage_known|customer_grace_within_72_hours"):
        Customer.objects.filter(pk=customer.pk).update(**wrong)


def test_metadata_is_merged() -> None:
    customer = make.customer(metadata={"a": "1", "b": "2"})

    assert update_customer(customer.pk, changes={}, metadata={"a": "", "c": "3"}, at=JAN).metadata == {
        "b": "2",
        "c": "3",
    }
    assert update_customer(customer.pk, changes={}, metadata="", at=JAN).metadata == {}


def test_deleting_ends_subscriptions_and_keeps_the_row() -> None:
    customer = make.customer()
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="1"))

    delete_customer(customer.pk, at=JAN)

    subscription.refresh_from_db()
    assert subscription.status == Subscription.Status.CANCELED
    assert Customer.objects.get().deleted_at == JAN
    with pytest.raises(NotFound):
        delete_customer(customer.pk, at=JAN)
    with pytest.raises(NotFound):
        update_customer(customer.pk, changes={"name": "Eve"}, at=JAN)
