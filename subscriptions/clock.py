"""How far a test clock may be advanced at once: two intervals of the shortest subscription on it."""

from datetime import datetime

from customers.models import TestClock
from subscriptions.models import Subscription, SubscriptionItem
from subscriptions.periods import Anchor, boundary

INTERVALS = 2  # as Stripe allows


def furthest_advance(clock: TestClock) -> datetime | None:
    """The latest time the clock may be moved to; None for a clock without running subscriptions."""
    running = Subscription.objects.running().filter(customer__test_clock=clock)
    items = SubscriptionItem.objects.live().filter(subscription__in=running).select_related("price")
    anchor = Anchor(at=clock.frozen_time)
    return min((boundary(anchor, item.cadence, INTERVALS) for item in items), default=None)
