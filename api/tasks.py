"""What runs by itself: answers kept for idempotency keys are forgotten when their time is over."""

from celery import shared_task

from api.models import IdempotencyKey
from core import clock

BATCH = 10_000


@shared_task
def forget_idempotency_keys() -> int:
    """Delete what is past its time, a batch at a time; how many were deleted."""
    at, deleted = clock.now(), 0
    while keys := list(IdempotencyKey.objects.forgotten(at).values_list("pk", flat=True)[:BATCH]):
        deleted += IdempotencyKey.objects.forgotten(at).filter(pk__in=keys).delete()[0]
    return deleted
