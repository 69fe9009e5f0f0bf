"""Grants credits, and ends them: by their date, by somebody's wish, or as if they had never been."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest, NotFound, ResourceMissing
from core.money import MAX_AMOUNT, AmountTooLarge, is_currency
from credits import ledger
from credits.ledger import Change
from credits.models import CreditGrant, CreditTransaction
from credits.scope import check_prices
from customers.locks import lock_customer, lock_live_customer
from customers.models import Customer
from meters.models import Meter
from webhooks.events import record, telling

MOST_UNUSED = 100
MOST_WORDS = 500  # of a reason
Type = CreditTransaction.Type


class GrantNotEditable(InvalidRequest):
    """The grant is past the state in which this can be done."""

    code = "billing_credit_grant_not_editable"


@dataclass(frozen=True)
class OfPeriod:
    """Which period of a recurring grant a grant is of; columns. Until `settles_at` nothing of it expires."""

    recurring_id: str
    period: int
    settles_at: datetime
    rolled_over_from_id: str | None = None


@dataclass(frozen=True)
class NewGrant:
    """What is to be granted: `amount` is whole minor units of `currency`, or a quantity of `meter` (its id).

    `prices` are the ids of those whose usage it pays for; none means every metered price. `effective_at` None: now.
    """

    amount: Decimal
    currency: str = ""
    meter: str | None = None
    prices: Sequence[str] = ()
    name: str = ""
    category: str = CreditGrant.Category.PAID
    priority: int = 50
    effective_at: datetime | None = None
    expires_at: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    of: OfPeriod | None = None


def create_grant(customer_id: str, new: NewGrant, *, at: datetime) -> CreditGrant:
    """Grant credits to a customer.

    Raises ResourceMissing (customer, price, meter), InvalidRequest (the currency, the prices, the times, 100 unused
    grants). Locks the customer.
    """
    with transaction.atomic():
        customer = lock_live_customer(customer_id)
        return grant_credits(customer, new, at=customer.now(at))


def grant_credits(customer: Customer, new: NewGrant, *, at: datetime, is_paid_for: bool = False) -> CreditGrant:
    """The same for a customer whose lock the caller holds; `at` is the customer's time. What is paid for is granted,
    however many grants there are."""
    if new.of is None:
        _check_times(new.expires_at, new.effective_at or at, at)
        check_terms(new)
    if not is_paid_for:
        check_room(customer, at)
    return _grant(customer, new, at)


def grant_again(grant: CreditGrant, amount: Decimal, *, at: datetime, reason: str) -> CreditGrant | None:
    """Grant on the terms of another grant what should not have been used of it; None where that one has ended.

    Not limited, as nobody has asked for it. The caller holds the customer's lock.
    """
    if grant.has_expired(at):
        return None
    again = NewGrant(
        amount,
        currency=grant.currency,
        meter=grant.meter_id,
        prices=grant.prices,
        name=grant.name,
        category=grant.category,
        priority=grant.priority,
        effective_at=grant.effective_at,
        expires_at=grant.expires_at,
        metadata=grant.metadata,
        reason=reason[:MOST_WORDS],
    )
    return _grant(grant.customer, again, at)


def _grant(customer: Customer, new: NewGrant, at: datetime) -> CreditGrant:
    effective_at = new.effective_at or at
    grant = CreditGrant.objects.create(
        customer=customer,
        name=new.name,
        currency=new.currency,
        meter_id=new.meter,
        amount=new.amount,
        price_type="" if new.prices else CreditGrant.PriceType.METERED,
        prices=list(new.prices),
        category=new.category,
        priority=new.priority,
        effective_at=effective_at,
        expires_at=new.expires_at,
        **(asdict(new.of) if new.of else {}),
        metadata=dict(new.metadata),
        created_at=at,
        updated_at=at,
    )
    record("billing.credit_grant.created", "billing.credit_grant", grant, at=at)
    granted = Change(grant.pk, Type.CREDITS_GRANTED, new.amount, at, effective_at, reason=new.reason)
    ledger.write([granted])
    grant.refresh_from_db(fields=["balance", "balance_sequence"])
    return grant


def update_grant(
    grant_id: str, *, at: datetime, metadata: Given = None, changes: Mapping[str, datetime | None] | None = None
) -> CreditGrant:
    """Set the metadata, and by `changes` the end (`expires_at`; None: never). A grant of a period whose end is set is
    from then on like any other: nothing of it waits for invoices or goes over into the next period.

    Raises NotFound, GrantNotEditable, InvalidRequest. Locks the customer.
    """
    with transaction.atomic():
        grant = lock_grant(grant_id)
        at = grant.customer.now(at)
        if changes and "expires_at" in changes:
            _check_running(grant, at)
            expires_at = changes["expires_at"]
            _check_times(expires_at, grant.effective_at, at)
            grant.expires_at, grant.settles_at = expires_at, None
        grant.metadata = merge(grant.metadata, metadata)
        _save(grant, "expires_at", "settles_at", "metadata", at=at)
        return grant


def expire_grant(grant_id: str, *, at: datetime, reason: str = "") -> CreditGrant:
    """End a grant now: what is left of it is gone. Raises NotFound, GrantNotEditable. Locks the customer."""
    with transaction.atomic():
        grant = lock_grant(grant_id)
        at = grant.customer.now(at)
        _check_running(grant, at)
        grant.expires_at, grant.settles_at = at, None
        _save(grant, "expires_at", "settles_at", at=at)
        _take_the_rest(grant, Type.CREDITS_EXPIRED, at, reason)
        return grant


def void_grant(grant_id: str, *, at: datetime, reason: str = "") -> CreditGrant:
    """Take back a grant of which nothing has been applied. Raises NotFound, GrantNotEditable. Locks the customer."""
    with transaction.atomic():
        grant = lock_grant(grant_id)
        at = grant.customer.now(at)
        _check_running(grant, at)
        if grant.transactions.filter(type=Type.CREDITS_APPLIED).exists():
            raise GrantNotEditable(
                "This credit grant cannot be voided because some of it was applied to an invoice. Expire it instead."
            )
        _take_the_rest(grant, Type.CREDITS_VOIDED, at, reason)
        grant.voided_at, grant.settles_at = at, None
        _save(grant, "voided_at", "settles_at", at=at)
        return grant


def book_expiry(grant_id: str, at: datetime) -> CreditGrant | None:
    """Book that a grant has ended; None where there is nothing to book. Idempotent. Locks the customer."""
    with transaction.atomic():
        grant = lock_grant(grant_id)
        at = grant.customer.now(at)
        if not grant.balance or not grant.is_over(at):
            return None
        take_expired(grant, at=at)
        return grant


def take_expired(grant: CreditGrant, *, at: datetime, reason: str = "") -> None:
    """Book as expired what is left of a grant whose end has come; the caller holds the lock."""
    assert grant.has_expired(at)
    _take_the_rest(grant, Type.CREDITS_EXPIRED, at, reason, effective_at=grant.expires_at)


def lock_grant(grant_id: str) -> CreditGrant:
    """Lock the customer, then the grant, and return it as it is now. Raises NotFound."""
    customer_id = CreditGrant.objects.filter(pk=grant_id).values_list("customer_id", flat=True).first()
    if customer_id is None:
        raise NotFound("billing credit grant", grant_id, param="id")
    customer = lock_customer(customer_id)
    grant = CreditGrant.objects.select_for_update(no_key=True).get(pk=grant_id)
    grant.customer = customer
    return grant


def _save(grant: CreditGrant, *fields: str, at: datetime) -> None:
    """Store what has changed of a grant, and tell."""
    with telling("billing.credit_grant.updated", "billing.credit_grant", [grant.pk], at=at):
        grant.updated_at = at
        grant.save(update_fields=[*fields, "updated_at"])


def _take_the_rest(
    grant: CreditGrant, type: Type, at: datetime, reason: str, effective_at: datetime | None = None
) -> None:
    if grant.balance:
        ledger.write([Change(grant.pk, type, -grant.balance, at, effective_at, reason=reason)])
        grant.refresh_from_db(fields=["balance", "balance_sequence"])


def _check_running(grant: CreditGrant, at: datetime) -> None:
    if grant.is_voided:
        raise GrantNotEditable("This credit grant has been voided.")
    if grant.has_expired(at):
        raise GrantNotEditable("This credit grant has already expired.")


def _check_times(expires_at: datetime | None, effective_at: datetime, at: datetime) -> None:
    if expires_at is None:
        return
    if expires_at <= at:
        raise InvalidRequest("The `expires_at` of a credit grant must be in the future.", param="expires_at")
    if expires_at <= effective_at:
        raise InvalidRequest("The `expires_at` of a credit grant must be after its `effective_at`.", param="expires_at")


def check_room(customer: Customer, at: datetime) -> None:
    """Raises InvalidRequest where a customer has as many unused grants as there can be."""
    if CreditGrant.objects.filter(customer=customer).unused(at).count() >= MOST_UNUSED:
        raise InvalidRequest(f"A customer can have at most {MOST_UNUSED} unused credit grants.", param="customer")


def check_terms(new: NewGrant) -> None:
    """Raises InvalidRequest, ResourceMissing, AmountTooLarge for a currency, meter, amount or price that no grant can
    be of."""
    _check_unit(new)
    check_prices(new.prices, param="applicability_config[scope][prices]", meter=new.meter)


def _check_unit(new: NewGrant) -> None:
    """Raises InvalidRequest, ResourceMissing, AmountTooLarge."""
    if new.meter is not None:
        if not Meter.objects.listed().filter(pk=new.meter).exists():
            raise ResourceMissing("meter", new.meter, param="amount[usage][meter]")
    elif not is_currency(new.currency):
        raise InvalidRequest(f"Invalid currency: {new.currency}.", param="amount[monetary][currency]")
    elif new.amount != int(new.amount):
        raise InvalidRequest("An amount of money is in whole minor units.", param="amount[monetary][value]")
    elif new.amount > MAX_AMOUNT:
        raise AmountTooLarge(
            f"A credit grant may not exceed {MAX_AMOUNT} in the smallest currency unit.",
            param="amount[monetary][value]",
        )
