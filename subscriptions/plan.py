"""What a change asks of the items of a subscription, checked: which price and quantity each is to have."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from api.metadata import Given
from core.errors import InvalidRequest, ParameterMissing, ResourceMissing
from pricing.models import Price
from subscriptions.models import Subscription, SubscriptionItem, cadence_of
from subscriptions.subscribe import MAX_ITEMS


@dataclass(frozen=True)
class ItemChange:
    """One item as asked for: an existing one (`id`), or a new one. What is None stays as it is.

    `path` is where it was asked for, in bracket notation; empty for a call that is about one item only.
    """

    id: str | None = None
    price: str | None = None
    quantity: int | None = None
    deleted: bool = False
    clear_usage: bool = False
    metadata: Given = None
    path: str = ""

    def param(self, name: str) -> str:
        return f"{self.path}[{name}]" if self.path else name


@dataclass(frozen=True)
class Planned:
    """What an item is to be: `item` None for one that is added, `price` None for one that is removed."""

    item: SubscriptionItem | None
    price: Price | None
    quantity: int | None
    asked: ItemChange

    @property
    def changes_terms(self) -> bool:
        if self.item is None or self.price is None:
            return True
        return (self.price.pk, self.quantity) != (self.item.price_id, self.item.quantity)

    @property
    def changes_interval(self) -> bool:
        if self.item is None or self.price is None:
            return False
        return cadence_of(self.price) != cadence_of(self.item.price)


def live_items(subscription: Subscription) -> list[SubscriptionItem]:
    """The items that are not removed, with all that a change reads of them."""
    related = subscription.items.live().select_related("price__product", "price__meter")
    return list(related.prefetch_related("price__tiers"))


def plan_items(subscription: Subscription, changes: Sequence[ItemChange]) -> list[Planned]:
    """What each item is to be, those that the changes do not name as they are.

    Raises ResourceMissing, ParameterMissing, InvalidRequest: for what is not there or does not go together.
    """
    live = {item.pk: item for item in live_items(subscription)}
    prices = _prices(changes)
    planned = [_plan(change, live, prices) for change in changes]
    named = [plan.item.pk for plan in planned if plan.item]
    if len(set(named)) < len(named):
        raise InvalidRequest("An item can be named only once.", param="items")
    kept = [Planned(item, item.price, item.quantity, ItemChange()) for item in live.values() if item.pk not in named]
    _check_together(subscription, [*kept, *planned])
    return [*kept, *planned]


def _prices(changes: Iterable[ItemChange]) -> Mapping[str, Price]:
    related = Price.objects.select_related("product", "meter").prefetch_related("tiers")
    return related.in_bulk([change.price for change in changes if change.price])


def _plan(change: ItemChange, live: Mapping[str, SubscriptionItem], prices: Mapping[str, Price]) -> Planned:
    if change.clear_usage and not change.deleted:
        raise InvalidRequest("clear_usage is for items that are deleted.", param=change.param("clear_usage"))
    if change.id is None:
        return _plan_new(change, prices)
    item = live.get(change.id)
    if item is None:
        raise ResourceMissing("subscription_item", change.id, param=change.param("id"))
    if change.deleted:
        if change.price or change.quantity is not None:
            raise InvalidRequest(
                "An item that is deleted cannot be given a price or a quantity.", param=change.param("deleted")
            )
        return Planned(item, None, None, change)
    price = item.price
    if change.price and change.price != item.price_id:
        price = _check_price(change, prices.get(change.price))
    return Planned(item, price, _quantity(change, price, item.quantity), change)


def _plan_new(change: ItemChange, prices: Mapping[str, Price]) -> Planned:
    if change.deleted:
        raise ParameterMissing(change.param("id"))
    if change.price is None:
        raise ParameterMissing(change.param("price"))
    price = _check_price(change, prices.get(change.price))
    return Planned(None, price, _quantity(change, price, None), change)


def _check_price(change: ItemChange, price: Price | None) -> Price:
    param = change.param("price")
    if price is None:
        raise ResourceMissing("price", change.price or "", param=param)
    if not price.active:
        raise InvalidRequest(f"The price {price.pk} is not active.", param=param)
    if not price.is_recurring:
        raise InvalidRequest(
            f"The price {price.pk} is one-time; a subscription's prices must be recurring.", param=param
        )
    return price


def _quantity(change: ItemChange, price: Price, before: int | None) -> int | None:
    """The quantity asked for; a licensed item keeps its own at another price, and begins with one."""
    if price.is_metered:
        if change.quantity is not None:
            raise InvalidRequest(
                "A quantity cannot be set on an item with a metered price.", param=change.param("quantity")
            )
        return None
    if change.quantity is not None:
        return change.quantity
    return 1 if before is None else before


def _check_together(subscription: Subscription, planned: Iterable[Planned]) -> None:
    prices = [plan.price for plan in planned if plan.price]
    if not prices:
        raise InvalidRequest("A subscription must have at least one item; cancel it to end it.", param="items")
    if len(prices) > MAX_ITEMS:
        raise InvalidRequest(f"A subscription can have at most {MAX_ITEMS} items.", param="items")
    meters = [price.meter_id for price in prices if price.meter_id]
    if len({price.pk for price in prices}) < len(prices) or len(set(meters)) < len(meters):
        raise InvalidRequest(
            "Each price, and each meter, can be on one item of a subscription only: its usage would be billed twice.",
            param="items",
        )
    if any(price.currency != subscription.currency for price in prices):
        raise InvalidRequest(f"The prices of this subscription must be in {subscription.currency}.", param="items")
    if not subscription.is_flexible and len({cadence_of(price) for price in prices}) > 1:
        raise InvalidRequest(
            "All items of a subscription in classic billing mode must have the same interval; flexible billing mode "
            "takes different ones.",
            param="items",
        )
