"""What of an event has not been delivered."""

from collections.abc import Mapping, Sequence

from django.db.models import Count, Exists, OuterRef, QuerySet

from webhooks.delivery_models import Delivery
from webhooks.models import Event


def pending_webhooks(ids: Sequence[str]) -> Mapping[str, int]:
    """To how many endpoints each event has not been delivered, as Stripe counts: also where nobody tries any more."""
    undelivered = Delivery.objects.undelivered().filter(event_id__in=ids).values("event_id")
    counted = undelivered.order_by().annotate(count=Count("pk")).values_list("event_id", "count")
    return dict.fromkeys(ids, 0) | dict(counted)


def with_success(events: QuerySet[Event], success: bool) -> QuerySet[Event]:
    """Events that have been delivered to all they went to, also if that was nobody; or all the others."""
    undelivered = Exists(Delivery.objects.undelivered().filter(event_id=OuterRef("pk")))
    return events.filter(~undelivered if success else undelivered)
