"""Creates, changes and deletes customers."""

import re
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest, NotFound, ResourceMissing
from core.ids import ALPHABET
from customers.aliases import NAMES, write_names
from customers.locks import lock_customer
from customers.models import Customer, InvoicePrefix, NumberSeries, TestClock
from customers.numbers import per_account
from customers.watch import settle
from webhooks.events import record, telling

CUSTOMERS_PER_CLOCK = 3  # as Stripe allows
PREFIX_FORM = re.compile(r"^[A-Z0-9]{1,12}$")

BeforeDelete = Callable[[Customer, datetime], None]
_before_delete: list[BeforeDelete] = []


def before_delete(act: BeforeDelete) -> None:
    """Let an upper app put its own things in order when a customer goes; called from `AppConfig.ready`."""
    _before_delete.append(act)


def create_customer(*, at: datetime, test_clock: str | None = None, **fields: Any) -> Customer:
    """Create a customer; one with a test clock is created at the clock's time. `fields` are columns, or of `NAMES`.

    Raises ResourceMissing (the clock), InvalidRequest (clock full or advancing, prefix or name taken).
    """
    names = {name: fields.pop(name) for name in NAMES if name in fields}
    with transaction.atomic():
        clock = _lock_clock(test_clock) if test_clock else None
        prefix = fields.pop("invoice_prefix", None) or _new_prefix()
        customer = Customer(
            test_clock=clock, created_at=clock.frozen_time if clock else at, invoice_prefix=prefix, **fields
        )
        _take_prefix(prefix, customer)  # first: it explains what a constraint of the row would only refuse
        customer.save(force_insert=True)
        if names:
            write_names(customer, names)
        settle(customer.pk)
        record("customer.created", "customer", customer, at=customer.created_at)
        return customer


def update_customer(customer_id: str, *, changes: dict[str, Any], at: datetime, metadata: Given = None) -> Customer:
    """Set the given fields, and `NAMES`, of a customer and merge `metadata` in.

    Raises NotFound, InvalidRequest (prefix or name taken or malformed). Locks the customer.
    """
    names = {name: changes[name] for name in NAMES if name in changes}
    columns = {name: value for name, value in changes.items() if name not in NAMES}
    with transaction.atomic():
        customer = lock_customer(customer_id)
        if customer.deleted_at:
            raise NotFound("customer", customer_id)
        if "invoice_prefix" in changes:
            _take_prefix(changes["invoice_prefix"], customer)
        if changes.get("next_invoice_sequence", customer.next_invoice_sequence) < customer.next_invoice_sequence:
            raise InvalidRequest(
                f"next_invoice_sequence cannot go back: numbers up to {customer.next_invoice_sequence - 1} are taken.",
                param="next_invoice_sequence",
            )
        for name, value in columns.items():
            setattr(customer, name, value)
        customer.metadata = merge(customer.metadata, metadata)
        with telling("customer.updated", "customer", [customer_id], at=customer.now(at)):
            customer.save(update_fields=[*columns, "metadata"])
            if names:
                write_names(customer, names)
        if metadata is not None:
            settle(customer.pk)
        return customer


def delete_customer(customer_id: str, *, at: datetime) -> Customer:
    """Delete a customer for good and end its subscriptions at once; its invoices and usage stay.

    Raises NotFound. Locks the customer.
    """
    with transaction.atomic():
        customer = lock_customer(customer_id)
        if customer.deleted_at:
            raise NotFound("customer", customer_id)
        for act in _before_delete:
            act(customer, customer.now(at))
        record("customer.deleted", "customer", customer, at=customer.now(at))
        customer.deleted_at = customer.now(at)
        customer.save(update_fields=["deleted_at"])
        settle(customer.pk)
        return customer


def _lock_clock(clock_id: str) -> TestClock:
    clock = TestClock.objects.select_for_update().filter(pk=clock_id).first()
    if clock is None:
        raise ResourceMissing("test clock", clock_id, param="test_clock")
    if clock.status != TestClock.Status.READY:
        raise InvalidRequest(
            f"The test clock {clock_id} is {clock.status}; wait until it is ready.", param="test_clock"
        )
    if clock.customers.live().count() >= CUSTOMERS_PER_CLOCK:
        raise InvalidRequest(f"A test clock can have at most {CUSTOMERS_PER_CLOCK} customers.", param="test_clock")
    return clock


def _new_prefix() -> str:
    return "".join(secrets.choice(ALPHABET[:36]) for _ in range(8))


def _take_prefix(prefix: str, customer: Customer) -> None:
    """Give the prefix to the customer, for ever: numbers with it may have been issued."""
    if not PREFIX_FORM.match(prefix):
        raise InvalidRequest("The invoice prefix must be 1 to 12 uppercase letters or digits.", param="invoice_prefix")
    if NumberSeries.objects.filter(pk=prefix).exists() or (per_account() and prefix == settings.INVOICE_PREFIX):
        raise InvalidRequest(
            f"The invoice prefix {prefix} is, or was, the one of the whole account.", param="invoice_prefix"
        )
    InvoicePrefix.objects.bulk_create([InvoicePrefix(prefix=prefix, customer=customer)], ignore_conflicts=True)
    if InvoicePrefix.objects.get(pk=prefix).customer_id != customer.pk:
        raise InvalidRequest(
            f"The invoice prefix {prefix} is, or was, in use by another customer.", param="invoice_prefix"
        )
