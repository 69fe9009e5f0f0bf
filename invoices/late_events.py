"""The events behind late usage: exactly those that its second reading counted and its first did not, or the reverse."""

from invoices.models import LateUsage
from meters.event_changes import ChangedEvent, changes_between
from pricing.records import usage_question


def events_of(row: LateUsage, *, limit: int = 100, offset: int = 0) -> list[ChangedEvent]:
    """Late and cancelled events, oldest first."""
    line = row.line
    assert line.price is not None, "a metered line is at a price"
    assert line.subscription_item_id is not None, "and of an item"
    asked = usage_question(line.price, line.subscription_item_id)
    return changes_between(
        asked.meter,
        row.customer,
        part=(row.item_period.starts_at, row.item_period.ends_at),
        before=row.before,
        after=row.after,
        only=asked.only,
        limit=limit,
        offset=offset,
    )
