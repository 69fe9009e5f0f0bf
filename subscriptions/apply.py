"""Carries out planned changes of a subscription's items, and decides what they entail: a new anchor, an invoice."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from api.metadata import merge
from core.errors import InvalidRequest
from pricing.rating import rate, total
from subscriptions.biller import biller
from subscriptions.models import Subscription, SubscriptionItem
from subscriptions.moves import ALWAYS_INVOICE, Proration, begin_moves, move, store_moves
from subscriptions.plan import Planned

_NOT_RUNNING = (Subscription.Status.TRIALING, Subscription.Status.PAUSED)


def apply_plan(subscription: Subscription, planned: Sequence[Planned], *, at: datetime, proration: Proration) -> None:
    """Give items the prices and quantities planned for them from `at` on, and bill what that costs.

    `planned` holds every item that stays, goes or comes. The caller holds the customer's lock, and `at` is a whole
    second. Raises InvalidRequest.
    """
    changed = [plan for plan in planned if plan.changes_terms]
    at_once = any(plan.changes_interval for plan in changed) or _becomes_paid(planned)
    resets = _resets(subscription, proration, at_once=at_once)
    if resets:
        _move_anchor(subscription, at)
    moves = begin_moves(subscription, planned, at=at, proration=proration, resets=resets)
    for plan, moves_on in [(plan, resets or plan.changes_terms) for plan in _in_order(planned)]:
        item = _store_item(subscription, plan, at)
        if moves_on:
            move(moves, item, plan)
    begun = store_moves(moves)
    if resets or (changed and proration.is_wanted and (at_once or proration.behavior == ALWAYS_INVOICE)):
        biller().invoice_now(subscription, at=at, slices=begun, proration_date=moves.since)


def _resets(subscription: Subscription, proration: Proration, *, at_once: bool) -> bool:
    """Whether all periods begin anew: as asked for, and by itself in classic mode where a change is billed at once."""
    runs = subscription.status not in _NOT_RUNNING
    if proration.resets_anchor and not runs:
        raise InvalidRequest(
            f"The billing cycle anchor of a subscription that is {subscription.status} cannot be moved.",
            param="billing_cycle_anchor",
        )
    return proration.resets_anchor or (runs and at_once and not subscription.is_flexible)


def _becomes_paid(planned: Sequence[Planned]) -> bool:
    """Whether a subscription that cost nothing will cost something; usage may always cost something."""
    before = [(plan.item.price, plan.item.quantity) for plan in planned if plan.item]
    after = [(plan.price, plan.quantity) for plan in planned if plan.price]
    was_free, is_free = (
        all(quantity is not None and not total(rate(Decimal(quantity), price.terms())) for price, quantity in terms)
        for terms in (before, after)
    )
    return was_free and not is_free


def _move_anchor(subscription: Subscription, at: datetime) -> None:
    subscription.billing_cycle_anchor, subscription.anchor_day = at, None
    subscription.billing_cycle_anchor_config = None
    subscription.save(update_fields=["billing_cycle_anchor", "anchor_day", "billing_cycle_anchor_config"])


def _in_order(planned: Sequence[Planned]) -> list[Planned]:
    """In an order in which no two items have one price at any time: removed ones first, new ones last."""
    removed = [plan for plan in planned if plan.price is None]
    new = [plan for plan in planned if plan.item is None]
    left = [plan for plan in planned if plan.price and plan.item]
    ordered: list[Planned] = []
    while left:
        held = {plan.item.price_id: plan for plan in left if plan.item}
        free = [plan for plan in left if plan.price and held.get(plan.price.pk) in (None, plan)]
        if not free:
            raise InvalidRequest("Items cannot exchange their prices in one call.", param="items")
        ordered += free
        left = [plan for plan in left if plan not in free]
    return [*removed, *ordered, *new]


def _store_item(subscription: Subscription, plan: Planned, at: datetime) -> SubscriptionItem:
    if plan.item is None:
        assert plan.price is not None, "an item that comes has a price"
        return SubscriptionItem.objects.create(
            subscription=subscription,
            price=plan.price,
            quantity=plan.quantity,
            metadata=merge({}, plan.asked.metadata),
            created_at=at,
        )
    item = plan.item
    if plan.price is None:
        item.deleted_at = at
    else:
        item.price, item.quantity = plan.price, plan.quantity
        item.metadata = merge(item.metadata, plan.asked.metadata)
    item.save(update_fields=["price", "quantity", "metadata", "deleted_at"])
    return item
