"""Customers: what they are created with, what may change, what is left of a deleted one."""

import pytest

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
        update_customer(make.customer().pk, changes={"invoice_prefix": prefix})
    assert refused.value.param == "invoice_prefix"


def test_a_prefix_belongs_to_one_customer_for_ever() -> None:
    first = make.customer(invoice_prefix="ADA")
    update_customer(first.pk, changes={"invoice_prefix": "ADA2"})

    with pytest.raises(InvalidRequest, match="is, or was, in use"):
        make.customer(invoice_prefix="ADA")
    assert Customer.objects.count() == 1

    assert update_customer(first.pk, changes={"invoice_prefix": "ADA"}).invoice_prefix == "ADA"


def test_numbers_do_not_go_back() -> None:
    customer = make.customer()
    update_customer(customer.pk, changes={"next_invoice_sequence": 7})

    with pytest.raises(InvalidRequest, match="cannot go back"):
        update_customer(customer.pk, changes={"next_invoice_sequence": 6})


def test_metadata_is_merged() -> None:
    customer = make.customer(metadata={"a": "1", "b": "2"})

    assert update_customer(customer.pk, changes={}, metadata={"a": "", "c": "3"}).metadata == {"b": "2", "c": "3"}
    assert update_customer(customer.pk, changes={}, metadata="").metadata == {}


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
        update_customer(customer.pk, changes={"name": "Eve"})
