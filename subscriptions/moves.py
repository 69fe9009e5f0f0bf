"""Moves items from one slice to the next when their terms change, and says what that owes.

Licensed slices are billed in advance: the unused time of the old one is credited and the new one debited. Metered
ones are billed in arrears: the old slice waits for the next invoice, or its usage is lost, as the mode has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from core.errors import InvalidRequest
from pricing.models import Price
from subscriptions.biller import BilledFor, PendingItem, biller
from subscriptions.kept import Sold, holding, sold
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem, cadence_of
from subscriptions.pending import billed_for, credit_item, debit_item, keep_billed
from subscriptions.periods import Period
from subscriptions.plan import Planned
from subscriptions.refit import running_slices
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

    `kept` is what discounts leave of each price, `kept_before` the same before the change, in classic mode only.
    With `resets` all slices begin anew from a moved anchor, in full. `opened` are the new slices, not stored yet; a
    debit is at the place in `owed` that is given with its slice.
    """

    subscription: Subscription
    at: datetime
    proration: Proration
    resets: bool
    running: dict[str, ItemPeriod]
    billed: dict[int, BilledFor]
    kept: dict[str, Decimal]
    kept_before: dict[str, Decimal]
    owed: list[PendingItem] = field(default_factory=list)
    opened: list[tuple[ItemPeriod, int | None]] = field(default_factory=list)

    @property
    def since(self) -> datetime:
        """From when to prorate."""
        return self.proration.date or self.at

    def billed_before(self, before: ItemPeriod | None) -> BilledFor | None:
        return self.billed.get(before.pk) if before else None


def begin_moves(
    subscription: Subscription, planned: Sequence[Planned], *, at: datetime, proration: Proration, resets: bool
) -> Moves:
    """Read what runs, what was billed for it, and which discounts hold."""
    slices = running_slices(subscription)
    discounts = holding(subscription, [slice.item_id for slice in slices], at)
    after = [
        Sold(plan.item.pk if plan.item else None, plan.price, plan.quantity)
        for plan in planned
        if plan.price and plan.quantity is not None
    ]
    return Moves(
        subscription=subscription,
        at=at,
        proration=proration,
        resets=resets,
        running={slice.item_id: slice for slice in slices},
        billed=dict(billed_for(slices)),
        kept=discounts.kept(after),
        kept_before={} if subscription.is_flexible else discounts.kept(sold(slices)),
    )


def move(moves: Moves, item: SubscriptionItem, plan: Planned) -> None:
    """End the slice that runs of an item, and begin that of the plan. Raises InvalidRequest for a wrong date."""
    before = moves.running.get(item.pk)
    if before is not None:
        before.item = item
        _end(moves, before, plan)
    if plan.price is not None:
        _open(moves, item, Terms(plan.price, plan.quantity), before)


def store_moves(moves: Moves) -> list[ItemPeriod]:
    """Store what is owed as pending items, and the new slices; returns those that are to be billed in advance."""
    ids = biller().add_pending(moves.subscription, moves.owed, at=moves.at) if moves.owed else []
    for slice, number in moves.opened:
        if number is not None:
            slice.billed_by = [ids[number]]
        slice.save(force_insert=True)
    slices = [slice for slice, _ in moves.opened]
    return [slice for slice in slices if slice.quantity is not None and slice.kind == Kind.REGULAR and moves.resets]


def _end(moves: Moves, before: ItemPeriod, plan: Planned) -> None:
    if before.kind == Kind.REGULAR and before.quantity is not None:
        _end_licensed(moves, before, moves.billed_before(before))
    cut_slice(before, moves.at)
    outcome = _outcome(moves, before, plan)
    if outcome is not None:
        close_slices([before], at=moves.at, outcome=outcome)


def _end_licensed(moves: Moves, before: ItemPeriod, billed: BilledFor | None) -> None:
    if moves.proration.is_wanted:
        since = _since(moves, _creditable(before, billed if moves.subscription.is_flexible else None))
        kept = moves.kept_before.get(before.price_id)
        moves.owed += credit_item(before, at=since, until=before.ends_at, billed=billed, kept=kept)
    keep_billed(before, billed)
    before.save(update_fields=["billed_amount", "billed_starts_at", "billed_ends_at", "billed_by"])


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
    if before and not moves.resets and cadence_of(before.price) == cadence_of(terms.price):
        slice.period_starts_at = before.period_starts_at or before.starts_at
    number = None
    if slice.quantity is not None and slice.kind == Kind.REGULAR and not moves.resets:
        number = _settle(moves, slice, moves.billed_before(before))
    moves.opened.append((slice, number))


def _settle(moves: Moves, slice: ItemPeriod, before: BilledFor | None) -> int | None:
    """Debit a licensed slice that begins in the middle of a period, or keep what has billed the one before it."""
    debits: list[PendingItem] = []
    if moves.proration.is_wanted:
        kept = moves.kept[slice.price_id]
        debits = debit_item(slice, at=_since(moves, slice.whole or slice.period), until=slice.ends_at, kept=kept)
        before = BilledFor(debits[0].amount, debits[0].period, (), ()) if debits else None
    keep_billed(slice, before or BilledFor(0, slice.period, (), ()))
    moves.owed += debits
    return len(moves.owed) - 1 if debits else None


def _creditable(before: ItemPeriod, billed: BilledFor | None) -> Period:
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
