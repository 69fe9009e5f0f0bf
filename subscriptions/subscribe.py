"""Creates subscriptions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from core.errors import InvalidRequest, ParameterMissing, ParametersExclusive, ResourceMissing
from customers.balance import set_currency
from customers.locks import lock_live_customer
from customers.models import Customer
from pricing.models import Price
from subscriptions.backdate import PARAM, check_backdate, open_backdated, too_many
from subscriptions.biller import biller
from subscriptions.cancel import schedule_cancellation
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem, SubscriptionSchedule, cadence_of
from subscriptions.parts import MOST_BACKDATED
from subscriptions.periods import Anchor, anchor_from_config, boundary
from subscriptions.slices import next_slice
from subscriptions.terms import begin_terms
from subscriptions.trials import Trial, first_trial, first_trial_end
from webhooks.events import record, take_place

MAX_ITEMS = 20
SUBSCRIPTIONS_PER_CLOCK_CUSTOMER = 3  # as Stripe allows


@dataclass(frozen=True)
class ItemSpec:
    """An item as asked for; `quantity` for licensed prices only (default 1)."""

    price: str
    quantity: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    terms: Mapping[str, Any] = field(default_factory=dict)  # see `subscriptions/terms.py`


@dataclass(frozen=True)
class SubscriptionSpec:
    """A subscription as asked for. At most one of `billing_cycle_anchor` and `anchor_config`
    (day_of_month, month, hour, minute, second). `schedule` is the one that begins it, if one does."""

    items: Sequence[ItemSpec]
    billing_cycle_anchor: datetime | None = None
    anchor_config: Mapping[str, int] | None = None
    backdate: datetime | None = None
    prorate: bool = True
    billing_mode: str = Subscription.BillingMode.FLEXIBLE
    collection_method: str = Subscription.CollectionMethod.CHARGE_AUTOMATICALLY
    days_until_due: int | None = None
    cancel_at: datetime | None = None
    cancel_at_period_end: bool = False
    currency: str | None = None
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    terms: Mapping[str, Any] = field(default_factory=dict)
    trial: Trial = field(default_factory=Trial)
    schedule: str | None = None


def create_subscription(
    customer_id: str,
    *,
    spec: SubscriptionSpec,
    at: datetime,
    before_billing: Callable[[Subscription], None] = lambda subscription: None,
) -> Subscription:
    """Subscribe a customer, open the first period of each item, and invoice what is due in advance.

    Begins at the customer's time. Raises ResourceMissing (customer, prices), InvalidRequest and its kin.
    Locks the customer.
    """
    check_collection(spec.collection_method, spec.days_until_due)
    with transaction.atomic():
        customer = lock_subscriber(customer_id, schedule=spec.schedule)
        # Events carry whole seconds: one sent right after must not seem to come before the subscription.
        at = customer.now(at).replace(microsecond=0)
        start = _start(spec, at)
        prices, place = prices_of(spec.items), take_place()
        _check_intervals(spec, prices)
        currency = common_currency(customer, prices, spec.currency)
        trial_end = first_trial_end(spec.trial, at=at, start=start)
        anchor = _anchor(spec, prices, trial_end or at, trial_end or start)
        subscription = Subscription.objects.create(
            customer=customer,
            currency=currency,
            billing_mode=spec.billing_mode,
            collection_method=spec.collection_method,
            days_until_due=spec.days_until_due,
            billing_cycle_anchor=anchor.at,
            anchor_day=anchor.day_of_month,
            billing_cycle_anchor_config=dict(spec.anchor_config) if spec.anchor_config else None,
            start_date=start,
            created_at=at,
            description=spec.description,
            metadata=dict(spec.metadata),
            **first_trial(spec.trial, at, trial_end),
        )
        _open_items(subscription, spec, prices, at)
        set_currency(customer, currency, at=at)
        _apply_cancellation(subscription, spec, at)
        if not spec.prorate:
            _bill_without_shares(subscription)
        begin_terms(subscription, spec.terms, {item.price: item.terms for item in spec.items}, at=at)
        before_billing(subscription)
        biller().bill_start(subscription, at=at, as_draft=_waits(spec))
        subscription.refresh_from_db()
        # Before what happened to its invoice, and with the invoice.
        record("customer.subscription.created", "subscription", subscription, at=at, place=place)
        return subscription


def _waits(spec: SubscriptionSpec) -> bool:
    """Whether the first invoice stays a draft for a while: that of a schedule, if it is to be collected by itself."""
    by_itself = spec.collection_method == Subscription.CollectionMethod.CHARGE_AUTOMATICALLY
    return spec.schedule is not None and by_itself


def check_collection(collection_method: str, days_until_due: int | None) -> None:
    """Raises ParameterMissing or InvalidRequest when the two do not fit together."""
    sent = collection_method == Subscription.CollectionMethod.SEND_INVOICE
    if sent and days_until_due is None:
        raise ParameterMissing("days_until_due", "days_until_due is required when collection_method is send_invoice.")
    if not sent and days_until_due is not None:
        raise InvalidRequest(
            "days_until_due can only be set when collection_method is send_invoice.", param="days_until_due"
        )


def lock_subscriber(customer_id: str, *, schedule: str | None = None) -> Customer:
    """Lock a customer who is to have one more subscription, which `schedule` has counted already if it begins it.

    Raises ResourceMissing; InvalidRequest where that is more than fit on a test clock.
    """
    customer = lock_live_customer(customer_id)
    running = Subscription.objects.running().filter(customer=customer).count()
    scheduled = SubscriptionSchedule.objects.live().filter(customer=customer, subscription=None).exclude(pk=schedule)
    if customer.test_clock_id and running + scheduled.count() >= SUBSCRIPTIONS_PER_CLOCK_CUSTOMER:
        raise InvalidRequest(
            f"A customer on a test clock can have at most {SUBSCRIPTIONS_PER_CLOCK_CUSTOMER} subscriptions.",
            param="customer",
        )
    return customer


def prices_of(items: Sequence[ItemSpec]) -> list[Price]:
    """The prices of items that are asked for together. Raises ParameterMissing, ResourceMissing, InvalidRequest."""
    if not items:
        raise ParameterMissing("items")
    if len(items) > MAX_ITEMS:
        raise InvalidRequest(f"A subscription can have at most {MAX_ITEMS} items.", param="items")
    stored = Price.objects.select_related("product", "meter").in_bulk([item.price for item in items])
    prices = [_price(item, number, stored.get(item.price)) for number, item in enumerate(items)]
    meters = [price.meter_id for price in prices if price.meter_id]
    if len(set(prices)) < len(prices) or len(set(meters)) < len(meters):
        raise InvalidRequest(
            "Each price, and each meter, can be on one item of a subscription only: its usage would be billed twice.",
            param="items",
        )
    return prices


def _price(item: ItemSpec, number: int, price: Price | None) -> Price:
    param = f"items[{number}][price]"
    if price is None:
        raise ResourceMissing("price", item.price, param=param)
    if not price.active:
        raise InvalidRequest(f"The price {price.pk} is not active.", param=param)
    if not price.is_recurring:
        raise InvalidRequest(
            f"The price {price.pk} is one-time; a subscription's prices must be recurring.", param=param
        )
    if price.is_metered and item.quantity is not None:
        raise InvalidRequest(
            "A quantity cannot be set on an item with a metered price.", param=f"items[{number}][quantity]"
        )
    return price


def common_currency(customer: Customer, prices: Sequence[Price], wanted: str | None) -> str:
    """The one currency of the prices, which must also be that of the customer's other running subscriptions.

    Raises InvalidRequest.
    """
    currencies = {price.currency for price in prices}
    if len(currencies) > 1:
        raise InvalidRequest(
            f"All prices of a subscription must have the same currency; these have {' and '.join(sorted(currencies))}.",
            param="items",
        )
    currency = currencies.pop()
    if wanted and wanted != currency:
        raise InvalidRequest(f"The prices are in {currency}, not in {wanted}.", param="currency")
    running = Subscription.objects.running().filter(customer=customer)
    if other := running.exclude(currency=currency).values_list("currency", flat=True).first():
        raise InvalidRequest(
            "You cannot combine currencies on a single customer. This customer has an active subscription with "
            f"currency {other}."
        )
    return currency


def _start(spec: SubscriptionSpec, at: datetime) -> datetime:
    if spec.backdate is None:
        return at
    check_backdate(spec.backdate, at, has_config=spec.anchor_config is not None)
    if spec.trial.end is not None or spec.trial.days is not None:
        raise InvalidRequest("A subscription with a backdate_start_date cannot begin with a trial.", param=PARAM)
    return spec.backdate


def _check_intervals(spec: SubscriptionSpec, prices: Sequence[Price]) -> None:
    if spec.billing_mode == Subscription.BillingMode.CLASSIC and len({cadence_of(price) for price in prices}) > 1:
        raise InvalidRequest(
            "All items of a subscription in classic billing mode must have the same interval; flexible billing mode "
            "takes different ones.",
            param="items",
        )


def _anchor(spec: SubscriptionSpec, prices: Sequence[Price], at: datetime, start: datetime) -> Anchor:
    cadences = [cadence_of(price) for price in prices]
    if spec.anchor_config:
        if spec.billing_cycle_anchor:
            raise ParametersExclusive(
                "You may only specify one of these parameters: billing_cycle_anchor, billing_cycle_anchor_config.",
                param="billing_cycle_anchor_config",
            )
        if any(cadence.interval not in ("month", "year") for cadence in cadences):
            raise InvalidRequest(
                "billing_cycle_anchor_config is for monthly and yearly prices only.",
                param="billing_cycle_anchor_config",
            )
        return anchor_from_config(at, cadence=cadences[0], **spec.anchor_config)
    if spec.billing_cycle_anchor is None:
        return Anchor(at=at if spec.billing_mode == Subscription.BillingMode.CLASSIC else start)
    if spec.billing_cycle_anchor < at:
        raise InvalidRequest(
            "billing_cycle_anchor cannot be in the past, or within the trial.", param="billing_cycle_anchor"
        )
    latest = min(boundary(Anchor(at=at), cadence, 1) for cadence in cadences)
    if spec.billing_cycle_anchor > latest:
        raise InvalidRequest(
            "billing_cycle_anchor cannot be later than the next natural billing date "
            f"({int(latest.timestamp())}) of the subscription.",
            param="billing_cycle_anchor",
        )
    return Anchor(at=spec.billing_cycle_anchor)


def _open_items(subscription: Subscription, spec: SubscriptionSpec, prices: Sequence[Price], at: datetime) -> None:
    slices = 0
    for asked, price in zip(spec.items, prices, strict=True):
        quantity = None if price.is_metered else 1 if asked.quantity is None else asked.quantity
        item = SubscriptionItem.objects.create(
            subscription=subscription,
            price=price,
            quantity=quantity,
            metadata=dict(asked.metadata),
            created_at=at,
        )
        if spec.backdate is None:
            next_slice(item, subscription, start=at).save(force_insert=True)
        else:
            slices += open_backdated(item, subscription, at=at, prorate=spec.prorate)
    if slices > MOST_BACKDATED:
        raise too_many()


def _bill_without_shares(subscription: Subscription) -> None:
    """Leave a stub before the first boundary free, and bill a period that a known end cuts short in full."""
    for period in ItemPeriod.objects.open().filter(item__subscription=subscription, quantity__isnull=False):
        if period.whole and period.whole.start < period.starts_at:
            period.kind = ItemPeriod.Kind.FREE
        period.whole_starts_at = period.whole_ends_at = None
        period.save(update_fields=["kind", "whole_starts_at", "whole_ends_at"])


def _apply_cancellation(subscription: Subscription, spec: SubscriptionSpec, at: datetime) -> None:
    if spec.cancel_at_period_end and spec.cancel_at:
        raise ParametersExclusive(
            "You may only specify one of these parameters: cancel_at, cancel_at_period_end.",
            param="cancel_at",
        )
    # Nothing has been billed in advance yet, so a period that is cut short needs no credit.
    if spec.cancel_at_period_end:
        schedule_cancellation(subscription, at_period_end=True, at=at, prorate=False)
    elif spec.cancel_at:
        schedule_cancellation(subscription, cancel_at=spec.cancel_at, at=at, prorate=False)
