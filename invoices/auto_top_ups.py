"""Sets up, changes and removes what buys credits when they run low."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest, NotFound
from core.money import is_currency
from credits.models import AutoTopUp
from credits.scope import check_prices
from customers.locks import lock_customer, lock_live_customer
from customers.models import Customer
from invoices.top_up_outcome import OBJECT
from invoices.top_ups import check_top_up
from pricing.prices import LONGEST_INTERVAL
from webhooks.events import record, telling

TERMS = ("threshold", "target", "enabled", "prices", "name", "priority", "expires_after")
SCOPE = "applicability_config[scope][prices]"


@dataclass(frozen=True)
class Lifetime:
    """How long bought credits last."""

    interval: str
    count: int = 1


@dataclass(frozen=True)
class NewAutoTopUp:
    """`expires_after` None: never. `prices`: the ids of those whose usage the credits pay for; none: every metered."""

    currency: str
    threshold: int
    target: int
    enabled: bool = True
    prices: Sequence[str] = ()
    name: str = "Credit top-up"
    priority: int = 100
    expires_after: Lifetime | None = Lifetime("year")
    metadata: Mapping[str, str] = field(default_factory=dict)


def create_auto_top_up(customer_id: str, new: NewAutoTopUp, *, at: datetime) -> AutoTopUp:
    """Buy credits for a customer whenever they run low; where they are low now, at once.

    Raises ResourceMissing (customer, price), InvalidRequest (the currency, the amounts, a second one of a currency).
    Locks the customer.
    """
    with transaction.atomic():
        customer = lock_live_customer(customer_id)
        now = customer.now(at)
        if not is_currency(new.currency):
            raise InvalidRequest(f"Invalid currency: {new.currency}.", param="currency")
        if AutoTopUp.objects.live().filter(customer=customer, currency=new.currency).exists():
            raise InvalidRequest(
                f"The customer {customer_id} has an auto top-up in {new.currency} already.", param="currency"
            )
        check_prices(new.prices, param=SCOPE)
        row = AutoTopUp(
            customer=customer,
            currency=new.currency,
            metadata=dict(new.metadata),
            created_at=now,
            **_terms({name: getattr(new, name) for name in TERMS}),
        )
        _save(row, now)
        record(f"{OBJECT}.created", OBJECT, row, at=now)
        return _evaluated(row, at)


def update_auto_top_up(
    auto_top_up_id: str, *, at: datetime, metadata: Given = None, changes: Mapping[str, Any] | None = None
) -> AutoTopUp:
    """Set the given ones of TERMS, and metadata. Where it is enabled, the balance is looked at at once.

    Raises NotFound, ResourceMissing, InvalidRequest. Locks the customer.
    """
    with transaction.atomic():
        row = _lock(auto_top_up_id)
        now = row.customer.now(at)
        changes = changes or {}
        check_prices(changes.get("prices", ()), param=SCOPE)
        for name, value in _terms(changes).items():
            setattr(row, name, value)
        if changes.get("enabled"):
            row.disabled_at, row.disabled_reason = None, ""
        row.metadata = merge(row.metadata, metadata)
        with telling(f"{OBJECT}.updated", OBJECT, [row.pk], at=now):
            _save(row, now)
        return _evaluated(row, at)


def delete_auto_top_up(auto_top_up_id: str, *, at: datetime) -> AutoTopUp:
    """Buy nothing more. What is bought stays, and an invoice that waits for its payment brings its credits still.

    Raises NotFound. Locks the customer.
    """
    with transaction.atomic():
        return _delete(row := _lock(auto_top_up_id), row.customer.now(at))


def delete_all(customer: Customer, at: datetime) -> None:
    """The same for those of a customer that goes, whose lock the caller holds."""
    for row in AutoTopUp.objects.live().filter(customer=customer):
        _delete(row, at)


def _terms(given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of what is given."""
    columns = {name: given[name] for name in TERMS if name in given and name != "expires_after"}
    if "prices" in columns:
        columns["prices"] = list(columns["prices"])
    if "expires_after" in given:
        lifetime: Lifetime | None = given["expires_after"]
        columns["expires_interval"] = lifetime.interval if lifetime else None
        columns["expires_count"] = lifetime.count if lifetime else None
    return columns


def _save(row: AutoTopUp, at: datetime) -> None:
    """Store it, to be looked at once more. Raises InvalidRequest."""
    if row.target <= row.threshold:
        raise InvalidRequest("The target must be above the threshold.", param="target")
    if row.expires_interval and row.expires_count:
        longest = LONGEST_INTERVAL[row.expires_interval]
        if row.expires_count > longest:
            raise InvalidRequest(
                f"expires_after[interval_count] must be between 1 and {longest} for the interval "
                f"{row.expires_interval}.",
                param="expires_after[interval_count]",
            )
    row.mark, row.updated_at = "", at
    row.save()


def _evaluated(row: AutoTopUp, at: datetime) -> AutoTopUp:
    check_top_up(row.pk, at)
    row.refresh_from_db()
    return row


def _delete(row: AutoTopUp, at: datetime) -> AutoTopUp:
    record(f"{OBJECT}.deleted", OBJECT, row, at=at)
    row.enabled, row.deleted_at, row.updated_at = False, at, at
    row.save(update_fields=["enabled", "deleted_at", "updated_at"])
    return row


def _lock(auto_top_up_id: str) -> AutoTopUp:
    """Lock the customer, and return the auto top-up as it is now. Raises NotFound."""
    found = AutoTopUp.objects.live().filter(pk=auto_top_up_id)
    customer_id = found.values_list("customer_id", flat=True).first()
    if customer_id is None:
        raise NotFound("auto top-up", auto_top_up_id, param="id")
    customer = lock_customer(customer_id)
    row = found.select_for_update(no_key=True).first()
    if row is None:
        raise NotFound("auto top-up", auto_top_up_id, param="id")
    row.customer = customer
    return row
