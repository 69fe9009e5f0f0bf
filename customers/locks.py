"""The first lock of every change to what a customer owes."""

from collections.abc import Iterable

from core.errors import NotFound, ResourceMissing
from customers.models import Customer, TestClock


def lock_customer(customer_id: str) -> Customer:
    """Lock the customer until the end of the transaction and return it as it is now.

    Taken before anything else is read. `FOR NO KEY UPDATE`: rows that point at the customer can still be inserted.
    A customer's test clock is locked first, so that it shows one time from the beginning of a change to its end.

    Raises NotFound.
    """
    customer = lock_customers([customer_id]).get(customer_id)
    if customer is None:
        raise NotFound("customer", customer_id)
    return customer


def lock_live_customer(customer_id: str) -> Customer:
    """The same for a customer named in a parameter, who is not deleted. Raises ResourceMissing."""
    try:
        customer = lock_customer(customer_id)
    except NotFound as error:
        raise ResourceMissing("customer", customer_id, param="customer") from error
    if customer.deleted_at:
        raise ResourceMissing("customer", customer_id, param="customer")
    return customer


def lock_customers(customer_ids: Iterable[str], *, skip_locked: bool = False) -> dict[str, Customer]:
    """The same for several customers, in the order of their ids, by id; or those that nobody else has locked."""
    ids = sorted(set(customer_ids))
    locked = TestClock.objects.select_for_update(no_key=True, of=("self",))
    named = Customer.objects.filter(pk__any_of=ids).values("test_clock")
    clocks = {clock.pk: clock for clock in locked.filter(pk__in=named)}
    rows = Customer.objects.select_for_update(no_key=True, skip_locked=skip_locked).filter(pk__any_of=ids)
    customers = {customer.pk: customer for customer in rows.order_by("pk")}
    for customer in customers.values():
        customer.test_clock = clocks[customer.test_clock_id] if customer.test_clock_id else None
    return customers
