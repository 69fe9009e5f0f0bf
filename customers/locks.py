"""The first lock of every change to what a customer owes."""

from core.errors import NotFound
from customers.models import Customer, TestClock


def lock_customer(customer_id: str) -> Customer:
    """Lock the customer until the end of the transaction and return it as it is now.

    Taken before anything else is read. `FOR NO KEY UPDATE`: rows that point at the customer can still be inserted.
    A customer's test clock is locked first, so that it shows one time from the beginning of a change to its end.

    Raises NotFound.
    """
    clock = TestClock.objects.select_for_update(no_key=True, of=("self",)).filter(customers=customer_id).first()
    customer = Customer.objects.select_for_update(no_key=True).filter(pk=customer_id).first()
    if customer is None:
        raise NotFound("customer", customer_id)
    customer.test_clock = clock
    return customer
