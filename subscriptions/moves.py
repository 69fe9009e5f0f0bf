"""Moves items from one slice to the next when their terms change, and says what that owes.

Licensed slices are billed in advance: the unused time of the old one is credited and the new one debited. Metered
ones are billed in arrears: the old slice waits for the next invoice, or its usage is lost, as the mode has it.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from core.errors import InvalidRequest
from pricing.models import Price
from subscriptions.biller import Billed, PendingItem, biller
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem
from subscriptions.pending import billed_for, credit_item, debit_item
from subscriptions.periods import Period
from subscriptions.plan import Planned
from subscriptions.slices import Kind, Terms, close_slices, cut_slice, next_slice

Outcome, Status = ItemPeriod.Outcome, Subscription.Status
CREATE, ALWAYS_INVOICE, NONE = "create_prorations", "always_invoice", "none"
_KINDS = {Status.TRIALING: Kind.TRIAL, Status.PAUSED: Kind.PAUSED}


@dataclass(frozen=True)
class Proration:
    """How a change is billed: `behavior`, from which time (now, if None), and whether the anchor moves to now."""

    behavior: str = CREATE
    date: datetime | None = None
    resets_anchor: bool = False

    @property
    def is_wanted(self) -> bool:
        return self.behavior != NONE


@dataclass
class Moves:
    """The moves of one change, which happens at `at`: what ran until then and was billed, what is owed so far.

    With `resets` all slices begin anew from a moved anchor, in full. `opened` are the new slices, not stored yet; a
    debit is at the place in `owed` that is given with its slice.
    """

    subscription: Subscription
    at: datetime
    proration: Proration
    resets: bool
    running: dict[str, ItemPeriod]
    billed: dict[int, Billed]
    owed: list[PendingItem] = field(default_factory=list)
    opened: list[tuple[ItemPeriod, int | None]] = field(default_factory=list)

    def billed_before(self, before: ItemPeriod | None) -> Billed | None:
        return self.billed.get(before.pk) if before else None


def begin_moves(subscription: Subscription, *, at: datetime, proration: Proration, resets: bool) -> Moves:
    """Read what runs, and what was billed for it."""
    running = ItemPeriod.objects.open().filter(item__subscription=subscription)
    slices = list(running.select_related("item", "price__product").prefetch_related("price__tiers"))
    return Moves(
        subscription=subscription,
        at=at,
        proration=proration,
        resets=resets,
        running={slice.item_id: slice for slice in slices},
        billed=dict(billed_for(slices)),
    )


def move(moves: Moves, item: SubscriptionItem, plan: Planned) -> None:
    """End the slice that runs of an item, and begin that of the plan. Raises InvalidRequest for a wrong date."""
    before = moves.running.get(item.pk)
    if before is not None:
        before.item = item
        _end(moves, before, plan)
    if plan.price is not None:
        _open(moves, item, Terms(plan.price, plan.quantity), before)


def store_moves(moves: Moves) -> None:
    """Store what is owed as pending items, and the new slices with what has billed them."""
    ids = biller().add_pending(moves.subscription, moves.owed, at=moves.at) if moves.owed else []
    for slice, number in moves.opened:
        if number is not None:
            slice.billed_by = [ids[number]]
        slice.save(force_insert=True)


def _end(moves: Moves, before: ItemPeriod, plan: Planned) -> None:
    if before.kind == Kind.REGULAR and before.quantity is not None and moves.proration.is_wanted:
        billed = moves.billed_before(before)
        since = _since(moves, _creditable(before, billed if moves.subscription.is_flexible else None))
        moves.owed += credit_item(before, at=since, flexible=moves.subscription.is_flexible, billed=billed)
    cut_slice(before, moves.at)
    outcome = _outcome(moves, before, plan)
    if outcome is not None:
        close_slices([before], at=moves.at, outcome=outcome)


def _outcome(moves: Moves, before: ItemPeriod, plan: Planned) -> str | None:
    """What becomes of the slice that ends: None for usage that waits for the next invoice."""
    if before.kind != Kind.REGULAR:
        return Outcome.FREE
    if before.quantity is not None:
        return Outcome.INVOICED
    return Outcome.DISCARDED if _loses_usage(moves, before.price, plan) else None


def _loses_usage(moves: Moves, price: Price, plan: Planned) -> bool:
    """Classic loses what was used before a switch or a removal; flexible bills it, unless a removal is not prorated."""
    if plan.price is None:
        cleared = plan.asked.clear_usage and price.takes_usage_records
        return cleared or not moves.subscription.is_flexible or not moves.proration.is_wanted
    return plan.price.pk != price.pk and not moves.subscription.is_flexible


def _open(moves: Moves, item: SubscriptionItem, terms: Terms, before: ItemPeriod | None) -> None:
    kind = before.kind if before else _KINDS.get(Status(moves.subscription.status), Kind.REGULAR)
    slice = next_slice(item, moves.subscription, start=moves.at, terms=terms, kind=kind)
    number = None
    if slice.quantity is not None and slice.kind == Kind.REGULAR and not moves.resets:
        number = _settle(moves, slice, moves.billed_before(before))
    moves.opened.append((slice, number))


def _settle(moves: Moves, slice: ItemPeriod, before: Billed | None) -> int | None:
    """Debit a licensed slice that begins in the middle of a period, or keep what has billed the one before it."""
    debits: list[PendingItem] = []
    if moves.proration.is_wanted:
        debits = debit_item(slice, at=_since(moves, slice.whole or slice.period))
        before = Billed(debits[0].amount, debits[0].period, (), ()) if debits else None
    before = before or Billed(0, slice.period, (), ())
    slice.billed_amount, slice.billed_by = before.amount, list(before.by)
    slice.billed_starts_at, slice.billed_ends_at = before.period.start, before.period.end
    moves.owed += debits
    return len(moves.owed) - 1 if debits else None


def _creditable(before: ItemPeriod, billed: Billed | None) -> Period:
    """Within which time a credit for a slice can begin."""
    start = billed.period.start if billed else (before.whole or before.period).start
    return Period(start, max(before.ends_at, start))


def _since(moves: Moves, within: Period) -> datetime:
    """From when to prorate: the date asked for, which must be in the current period, or now."""
    since = moves.proration.date
    if since is None:
        return moves.at
    if not within.start <= since <= within.end:
        raise InvalidRequest(
            "proration_date must be within the current period of the item: "
            f"from {int(within.start.timestamp())} to {int(within.end.timestamp())}.",
            param="proration_date",
        )
    return since
