"""Puts a phase into force: begins its subscription, or changes the one that runs, by the verbs that everybody uses."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from api.metadata import merge
from subscriptions.apply import apply_plan
from subscriptions.biller import biller
from subscriptions.cancel import schedule_cancellation
from subscriptions.interrupt import NOW
from subscriptions.models import ItemPeriod, SchedulePhase, Subscription, SubscriptionItem, SubscriptionSchedule
from subscriptions.moves import NONE, Proration
from subscriptions.phases import Standing, continued, effective
from subscriptions.plan import ItemChange, Planned, live_items, plan_items
from subscriptions.schedule_extras import bill_once, set_phase_discounts
from subscriptions.schedule_phases import collection_in
from subscriptions.slices import Kind, close_slices, next_slice
from subscriptions.subscribe import ItemSpec, SubscriptionSpec, create_subscription
from subscriptions.trials import Trial, change_trial

ANCHOR, AUTOMATIC = "billing_cycle_anchor", "automatic"


def start_subscription(schedule: SubscriptionSchedule, phase: SchedulePhase, *, at: datetime) -> Subscription:
    """Begin the subscription of a schedule with its first phase; in the past only if it was made so.

    Raises what `create_subscription` raises.
    """
    backdates = phase.start_date < schedule.created_at
    holds = effective(phase.own_settings, schedule.default_settings)
    spec = SubscriptionSpec(
        items=[ItemSpec(item["price"], item["quantity"], merge({}, item["metadata"])) for item in phase.items],
        backdate=phase.start_date if backdates else None,
        prorate=phase.proration_behavior != NONE,
        collection_method=collection_in(holds),
        days_until_due=holds.get("invoice_settings", {}).get("days_until_due"),
        description=holds.get("description") or "",
        metadata=merge({}, phase.metadata),
        billing_mode=schedule.billing_mode,
        schedule=schedule.pk,
        trial=Trial(end=phase.trial_end),
    )

    def put_in_force(subscription: Subscription) -> None:
        _set_settings(subscription, holds, phase, at=phase.start_date)
        _set_items(subscription, phase, at=phase.start_date)
        bill_once(subscription, phase, at=at)

    begins = at if backdates else phase.start_date
    return create_subscription(schedule.customer_id, spec=spec, at=begins, before_billing=put_in_force)


def apply_phase(subscription: Subscription, phase: SchedulePhase, defaults: dict[str, Any], *, at: datetime) -> None:
    """Change a running subscription into what a phase says, as of the beginning of the phase.

    What has ended before is closed already. Items whose period ends with the phase before it are closed with the new
    terms ahead of them, so that one renewal bills the old usage and the new price (see `_turn_over`); the others are
    changed in the middle of their period. The caller holds the customer's lock. Raises InvalidRequest and its kin.
    """
    start = phase.start_date
    holds = effective(phase.own_settings, defaults)
    resets = holds.get(ANCHOR, AUTOMATIC) != AUTOMATIC
    _set_settings(subscription, holds, phase, at=start)
    ending = _ending(subscription, start, all_of_them=resets)
    begun = _turn_over(subscription, phase, ending, resets=resets) if ending else []
    _set_items(subscription, phase, at=start)
    bill_once(subscription, phase, at=start)
    biller().bill_due(subscription, at=at)
    if begun:
        biller().invoice_now(subscription, at=at, slices=begun)
    subscription.refresh_from_db()
    _change_items(subscription, phase, at=start, resets=resets and not ending, behavior=phase.proration_behavior)
    _set_trial(subscription, phase, at=start, prorate=phase.proration_behavior != NONE)
    _set_items(subscription, phase, at=start)  # of those that have come with this change too


def change_current(
    subscription: Subscription, phase: SchedulePhase, defaults: dict[str, Any], *, at: datetime, behavior: str
) -> None:
    """Change a running subscription into what its current phase has become."""
    _set_settings(subscription, effective(phase.own_settings, defaults), phase, at=at)
    _change_items(subscription, phase, at=at, resets=False, behavior=behavior)
    _set_trial(subscription, phase, at=at, prorate=behavior != NONE)
    _set_items(subscription, phase, at=at)


def set_end(subscription: Subscription, end: datetime | None, *, at: datetime, prorate: bool) -> None:
    """Let a subscription end with the last phase of its schedule, or no longer; does nothing where that is so."""
    if subscription.cancel_at != end:
        schedule_cancellation(subscription, at=at, cancel_at=end, prorate=prorate)


def changes_for(subscription: Subscription, phase: SchedulePhase) -> list[ItemChange]:
    """What turns the items of a subscription into those of a phase."""
    live = live_items(subscription)
    metered = _metered(phase)
    current = [Standing(item.price_id, item.price.is_metered, item.pk) for item in live]
    wanted = [Standing(item["price"], item["price"] in metered) for item in phase.items]
    ids = continued(current, wanted)
    removed = [ItemChange(id=item.pk, deleted=True) for item in live if item.pk not in ids]
    return removed + [
        ItemChange(
            id=id, price=item["price"], quantity=item["quantity"], metadata=item["metadata"], path=f"items[{number}]"
        )
        for number, (id, item) in enumerate(zip(ids, phase.items, strict=True))
    ]


def _metered(phase: SchedulePhase) -> set[str]:
    """The prices of a phase that are billed by usage: its items have no quantity."""
    return {item["price"] for item in phase.items if item["quantity"] is None}


def _ending(subscription: Subscription, at: datetime, *, all_of_them: bool) -> list[ItemPeriod]:
    """The periods that end at an instant; none if `all_of_them` are to and one goes on."""
    running = list(ItemPeriod.objects.open().filter(item__subscription=subscription).select_related("item", "price"))
    ending = [period for period in running if period.ends_at == at]
    return [] if all_of_them and len(ending) < len(running) else ending


def _turn_over(
    subscription: Subscription, phase: SchedulePhase, ending: Sequence[ItemPeriod], *, resets: bool
) -> list[ItemPeriod]:
    """Let the periods that end with the phase before this one be followed by periods at the new terms.

    Flexible bills both on one invoice. Classic makes two where there is usage: the renewal bills that, and what the new
    phase bills in advance has an invoice of its own, for which the periods are returned that have begun already.
    """
    start = phase.start_date
    if resets:
        subscription.billing_cycle_anchor, subscription.anchor_day = start, None
        subscription.billing_cycle_anchor_config = None
        subscription.save(update_fields=["billing_cycle_anchor", "anchor_day", "billing_cycle_anchor_config"])
    if phase.trial_end is not None:
        _begin_trial(subscription, start, phase.trial_end)
    items = {period.item_id for period in ending}
    for plan in plan_items(subscription, changes_for(subscription, phase)):
        if plan.item is None:
            _add(subscription, plan, start)
        elif plan.item.pk in items and plan.changes_terms:
            _retarget(plan.item, plan, start)
    used = any(period.price.is_metered for period in ending)
    if subscription.is_flexible or not used:
        return []
    return _turn_apart([period for period in ending if not period.price.is_metered], subscription, start)


def _begin_trial(subscription: Subscription, at: datetime, until: datetime) -> None:
    """Let periods that follow at `at` be of a trial: it begins with nothing to interrupt."""
    if subscription.is_flexible or subscription.trial_start is None:
        subscription.trial_start = at
    subscription.status = Subscription.Status.TRIALING
    subscription.trial_end = subscription.billing_cycle_anchor = until
    subscription.anchor_day = None
    subscription.save(update_fields=["status", "trial_start", "trial_end", "billing_cycle_anchor", "anchor_day"])


def _set_trial(subscription: Subscription, phase: SchedulePhase, *, at: datetime, prorate: bool) -> None:
    """Give a running subscription the trial of a phase, or end it where the phase says that it is over."""
    if phase.trial_end is None or phase.trial_end == subscription.trial_end:
        return
    is_over = phase.trial_end <= at
    change_trial(subscription, Trial(end=NOW if is_over else phase.trial_end), at=at, prorate=prorate)
    subscription.refresh_from_db()


def _retarget(item: SubscriptionItem, plan: Planned, at: datetime) -> None:
    if plan.price is None:
        item.deleted_at = at
    else:
        item.price, item.quantity = plan.price, plan.quantity
    item.save(update_fields=["price", "quantity", "deleted_at"])


def _add(subscription: Subscription, plan: Planned, at: datetime) -> None:
    """An item that comes with the phase: its first period, an empty one, is closed with those that end there."""
    assert plan.price is not None, "an item that comes has a price"
    item = SubscriptionItem.objects.create(
        subscription=subscription,
        price=plan.price,
        quantity=plan.quantity,
        metadata=merge({}, plan.asked.metadata),
        created_at=at,
    )
    ItemPeriod.objects.create(
        item=item, price=plan.price, quantity=plan.quantity, kind=Kind.FREE, starts_at=at, ends_at=at, bills_at=at
    )


def _turn_apart(licensed: Sequence[ItemPeriod], subscription: Subscription, at: datetime) -> list[ItemPeriod]:
    """Close licensed periods ahead of the renewal, and begin those that follow; these are returned."""
    close_slices(licensed, at=at, outcome=ItemPeriod.Outcome.INVOICED)
    items = SubscriptionItem.objects.live().select_related("price")
    begun = [
        next_slice(item, subscription, start=at) for item in items.filter(pk__in=[one.item_id for one in licensed])
    ]
    for period in begun:
        period.save(force_insert=True)
    return begun


def _change_items(
    subscription: Subscription, phase: SchedulePhase, *, at: datetime, resets: bool, behavior: str
) -> None:
    planned = plan_items(subscription, changes_for(subscription, phase))
    if resets or any(plan.changes_terms for plan in planned):
        apply_plan(subscription, planned, at=at, proration=Proration(behavior=behavior, resets_anchor=resets))
        subscription.refresh_from_db()


def _set_settings(subscription: Subscription, holds: dict[str, Any], phase: SchedulePhase, *, at: datetime) -> None:
    """What of a phase is about the subscription as a whole.

    Where it says nothing that stays as it is, but for the way of collection and discounts.
    """
    invoicing = dict(holds.get("invoice_settings", {}))
    subscription.days_until_due = invoicing.pop("days_until_due", None)
    subscription.collection_method = collection_in(holds)
    subscription.invoice_settings = {**subscription.invoice_settings, **invoicing}
    if holds.get("description") is not None:
        subscription.description = holds["description"]
    if holds.get("billing_thresholds") is not None:
        subscription.threshold_amount = holds["billing_thresholds"].get("amount_gte")
        subscription.threshold_resets_anchor = holds["billing_thresholds"].get("reset_billing_cycle_anchor", False)
    if phase.default_tax_rates is not None:
        subscription.default_tax_rates = phase.default_tax_rates
    subscription.metadata = merge(subscription.metadata, phase.metadata)
    subscription.save()
    set_phase_discounts(subscription, phase.discounts or (), at=at)


def _set_items(subscription: Subscription, phase: SchedulePhase, *, at: datetime) -> None:
    """What of the items of a phase is not about their price and quantity, as far as they are there already."""
    items = {item.price_id: item for item in subscription.items.live()}
    for wanted in phase.items:
        item = items.get(wanted["price"])
        if item is None:
            continue
        item.threshold_usage = (wanted["billing_thresholds"] or {}).get("usage_gte")
        item.tax_rates = wanted["tax_rates"]
        item.metadata = merge(item.metadata, wanted["metadata"])
        item.save(update_fields=["threshold_usage", "tax_rates", "metadata"])
        set_phase_discounts(subscription, wanted["discounts"], at=at, item=item)
