"""What the outcome of an attempt does: the delivery may have another, the endpoint may be disabled."""

import random
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from core.mail import operators, write_mail
from webhooks.claims import Claim
from webhooks.delivery_models import Attempt, Delivery
from webhooks.endpoint_models import Endpoint
from webhooks.endpoints import disable_endpoint
from webhooks.retries import pause_after
from webhooks.transport import Answer

GONE = 410


def record_outcome(claim: Claim, answer: Answer, *, at: datetime) -> bool:
    """Write down what came of an attempt that ended at `at`; False, and nothing, while somebody else has the endpoint.

    If the lease had ended and another process has the delivery, a failure is its to judge; a success counts always.
    Locks: the endpoint, without waiting; the delivery.
    """
    with transaction.atomic():
        endpoint = (
            Endpoint.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=claim.endpoint.pk).first()
        )
        if endpoint is None:
            return False
        delivery = Delivery.objects.select_for_update(no_key=True).get(pk=claim.delivery.pk)
        Attempt.objects.create(
            delivery=delivery,
            at=at - timedelta(milliseconds=answer.milliseconds),
            milliseconds=answer.milliseconds,
            status=answer.status,
            answer=answer.text,
            problem=answer.problem,
            asked_by=delivery.asked_by,
        )
        delivery.attempts += 1
        if answer.is_success:
            _deliver(delivery, at)
        elif delivery.next_attempt_at == claim.lease:
            _put_off(delivery, at)
        delivery.save(force_update=True)
        _judge(endpoint, answer, at)
        return True


def _deliver(delivery: Delivery, at: datetime) -> None:
    delivery.next_attempt_at, delivery.asked_by = None, ""
    if delivery.status != Delivery.Status.CANCELED:
        delivery.status, delivery.delivered_at = Delivery.Status.DELIVERED, delivery.delivered_at or at


def _put_off(delivery: Delivery, at: datetime) -> None:
    """Until its next attempt, if it has one; what had ended already stays as it was."""
    delivery.asked_by, delivery.next_attempt_at = "", None
    if delivery.status != Delivery.Status.PENDING:
        return
    pause = pause_after(delivery.attempts, settings.WEBHOOKS_RETRY_SECONDS, random.random())  # noqa: S311
    if pause is None:
        delivery.status = Delivery.Status.FAILED
    else:
        delivery.next_attempt_at = at + pause


def _judge(endpoint: Endpoint, answer: Answer, at: datetime) -> None:
    """Keep since when the endpoint has only failed; disable one that says it is gone, or has failed for too long."""
    if answer.is_success:
        if endpoint.failing_since is not None:
            Endpoint.objects.filter(pk=endpoint.pk).update(failing_since=None)
        return
    if not endpoint.is_enabled:
        return
    since = endpoint.failing_since or at
    if endpoint.failing_since is None:
        Endpoint.objects.filter(pk=endpoint.pk).update(failing_since=at)
    if answer.status == GONE:
        _disable(endpoint, Endpoint.Reason.GONE, "It answered 410: it is gone.", at)
    elif at - since >= timedelta(days=settings.WEBHOOKS_DISABLE_AFTER_DAYS):
        said = f"Since {since:%d %B %Y %H:%M} UTC it has answered nothing but failures; the last: {in_words(answer)}."
        _disable(endpoint, Endpoint.Reason.FAILING, said, at)


def in_words(answer: Answer) -> str:
    return f"status {answer.status}" if answer.status else answer.problem


def _disable(endpoint: Endpoint, reason: str, said: str, at: datetime) -> None:
    disable_endpoint(endpoint, at=at, reason=reason)
    text = (
        f"The webhook endpoint {endpoint.pk} ({endpoint.url}) is disabled.\n\n{said}\n\n"
        "Nothing is sent to it any more. What is pending waits: it is sent when the endpoint is enabled again.\n"
    )
    write_mail(f"Webhook endpoint disabled: {endpoint}", text, to=operators(), at=at)
