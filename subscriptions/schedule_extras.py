"""What a phase brings besides items at prices: discounts, tax rates, and what is billed once when it begins."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from core.errors import InvalidRequest, ParametersExclusive, ResourceMissing
from pricing.discounts import SOURCES, Owner, discounts_of, set_discounts
from pricing.models import Discount, Price
from pricing.redeem import Wish, find
from pricing.tax_rates import find_tax_rates
from subscriptions.extra_items import add_extra_items
from subscriptions.models import SchedulePhase, Subscription, SubscriptionItem, cadence_of
from subscriptions.periods import period_containing
from subscriptions.phases import within
from subscriptions.terms import sale_of

# Of what is billed once.
DEFAULT_PERIOD = {"start": {"type": "max_item_period_start"}, "end": {"type": "min_item_period_end"}}
WHOLE, ITEM = "subscription", "subscription_item"  # where discounts of a phase stand


def check_extras(given: Mapping[str, Any], currency: str) -> None:
    """Raises ResourceMissing, ParametersExclusive, InvalidRequest for what a phase asks for and cannot have."""
    _check_discounts(given.get("discounts") or ())
    find_tax_rates(given.get("default_tax_rates") or (), param="default_tax_rates")
    for number, item in enumerate(given["items"]):
        with within(f"items[{number}]"):
            _check_discounts(item.get("discounts") or ())
            find_tax_rates(item.get("tax_rates") or (), param="tax_rates")
    for number, item in enumerate(given.get("add_invoice_items") or ()):
        with within(f"add_invoice_items[{number}]"):
            _check_once(item, currency)
            _check_discounts(item.get("discounts") or ())
            find_tax_rates(item.get("tax_rates") or (), param="tax_rates")


def bill_once(subscription: Subscription, phase: SchedulePhase, *, at: datetime) -> None:
    """Keep what a phase bills once for the next invoice. The caller holds the lock."""
    instants = _instants(subscription, phase) if phase.add_invoice_items else {}
    wishes = [{**item, "period": _period(item["period"], instants)} for item in phase.add_invoice_items]
    add_extra_items(subscription, wishes, at=at)


def set_phase_discounts(
    subscription: Subscription, wishes: Sequence[Wish], *, at: datetime, item: SubscriptionItem | None = None
) -> None:
    """Let the discounts that a phase asks for, and no others, stand on a subscription, or on one of its items.

    A coupon that stands already is not redeemed anew, and a discount that has ended in the meantime is left out. A
    phase without any leaves those of the customer, as at Stripe. The caller holds the lock. Raises InvalidRequest.
    """
    owner = Owner(subscription.customer_id, ITEM if item else WHOLE, item.pk if item else subscription.pk)
    above = [subscription.customer_id, *([subscription.pk] if item else [])]
    found = discounts_of([owner.key, *above], at)
    standing = found[owner.key]
    if not standing and not wishes:
        return
    known = {discount.pk for discounts in found.values() for discount in discounts}
    wanted = [_kept(wish, standing) for wish in wishes if wish.get("discount") in {None, *known}]
    set_discounts(owner, wanted, sale=sale_of(subscription), at=at, ancestors=above)


def wishes_for(owners: Sequence[str], at: datetime) -> dict[str, list[dict[str, str]]]:
    """The discounts that stand on each of `owners` (by id), as a phase asks for them."""
    found = discounts_of(owners, at)
    return {owner: [{"discount": discount.pk} for discount in discounts] for owner, discounts in found.items()}


def _kept(wish: Wish, standing: Sequence[Discount]) -> Wish:
    """The wish as one for the discount that stands already, if one does."""
    for discount in standing:
        if discount.coupon_id == wish.get("coupon") or (
            discount.promotion_code_id and discount.promotion_code_id == wish.get("promotion_code")
        ):
            return {"discount": discount.pk}
    return wish


def _check_discounts(wishes: Sequence[Wish]) -> None:
    for number, wish in enumerate(wishes):
        param = f"discounts[{number}]"
        if len([name for name in SOURCES if name in wish]) != 1:
            raise ParametersExclusive(
                "You must specify exactly one of these parameters: coupon, promotion_code, discount.", param=param
            )
        if "discount" not in wish:
            find(wish, param=param)
        elif not Discount.objects.filter(pk=wish["discount"]).exists():
            raise ResourceMissing("discount", wish["discount"], param=f"{param}[discount]")


def _check_once(item: Mapping[str, Any], currency: str) -> None:
    price_id, period = item["price"], item.get("period", DEFAULT_PERIOD)
    for side in ("start", "end"):
        if (period[side]["type"] == "timestamp") != ("timestamp" in period[side]):
            raise InvalidRequest("timestamp is for type=timestamp only.", param=f"period[{side}][timestamp]")
    price = Price.objects.filter(pk=price_id).first()
    if price is None:
        raise ResourceMissing("price", price_id, param="price")
    if price.is_recurring or not price.active or price.currency != currency:
        raise InvalidRequest(
            f"The price {price_id} must be an active one-time price in {currency} to be billed once.", param="price"
        )


def _instants(subscription: Subscription, phase: SchedulePhase) -> dict[str, datetime]:
    """When the words for times are, of a phase that begins: the periods of its items begin with it."""
    prices = Price.objects.filter(pk__in=[item["price"] for item in phase.items])
    ends = [period_containing(subscription.anchor, cadence_of(price), phase.start_date).end for price in prices]
    return {
        "phase_start": phase.start_date,
        "phase_end": phase.end_date,
        "max_item_period_start": phase.start_date,
        "min_item_period_end": min(ends),
    }


def _period(given: Mapping[str, Any], instants: Mapping[str, datetime]) -> dict[str, Any]:
    return {side: {"type": "timestamp", "timestamp": _instant(words, instants)} for side, words in given.items()}


def _instant(words: Mapping[str, Any], instants: Mapping[str, datetime]) -> datetime:
    if words["type"] == "timestamp":
        return datetime.fromtimestamp(words["timestamp"], UTC)
    return instants[words["type"]]
