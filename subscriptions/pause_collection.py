"""Pauses the collection of a subscription's invoices, which are made all the same; resumes it when its time comes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from core.errors import InvalidRequest
from core.timeline import TimedWork
from subscriptions.locks import lock_subscription
from subscriptions.models import Subscription
from webhooks.events import telling


@dataclass(frozen=True)
class Collection:
    """What becomes of the invoices, until when; without a behavior they are collected again."""

    behavior: str | None = None
    resumes_at: datetime | None = None


def pause_collection(subscription: Subscription, collection: Collection, *, at: datetime) -> None:
    """Pause the collection of invoices from now on, or resume it. The caller holds the lock. Raises InvalidRequest."""
    if collection.resumes_at is not None and collection.resumes_at <= at:
        raise InvalidRequest("resumes_at must be in the future.", param="pause_collection[resumes_at]")
    subscription.pause_collection = collection.behavior
    subscription.pause_collection_resumes_at = collection.resumes_at
    subscription.save(update_fields=["pause_collection", "pause_collection_resumes_at"])


def resume_if_due(subscription_id: str, at: datetime) -> Subscription | None:
    """Resume the collection of a subscription whose time for it has come; None where there is nothing to do.

    Idempotent. Locks the customer.
    """
    with transaction.atomic():
        subscription = lock_subscription(subscription_id)
        if not Subscription.objects.to_resume(at).filter(pk=subscription.pk).exists():
            return None
        with telling("customer.subscription.updated", "subscription", [subscription_id], at=at):
            pause_collection(subscription, Collection(), at=at)
        return subscription


def _next_resumption(clock: str | None) -> datetime | None:
    return Subscription.objects.on_clock(clock).next_resumption()


def _due_resumptions(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    due = Subscription.objects.to_resume(at).on_clock(clock).order_by("pause_collection_resumes_at", "pk")
    return list(due.values_list("pk", flat=True)[:limit])


# Before invoices are finalized at the same instant: these are collected again.
RESUME = TimedWork("resume_collection", 5, _next_resumption, _due_resumptions, resume_if_due)
