"""Mail: written down with what it tells, sent afterwards by a process that has time to wait."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import make_msgid

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMultiAlternatives
from django.db import transaction

from core import clock
from core.models import OutgoingMail

LEASE = timedelta(minutes=2)  # longer than a mail server is waited for
GIVEN_UP_AFTER = timedelta(days=3)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=4)

log = logging.getLogger(__name__)


def write_mail(subject: str, text: str, *, to: Sequence[str], at: datetime, html: str = "") -> OutgoingMail | None:
    """Write a mail, which leaves if and only if the caller's transaction commits; None where nobody is to have it.

    `at` is real time, also where the customer's is simulated. Not idempotent: see that the caller's row is claimed.
    """
    if not to:
        return None
    return OutgoingMail.objects.create(
        to=list(to),
        subject=" ".join(subject.split())[:500],
        text=text,
        html=html,
        message_id=make_msgid(domain=settings.MAIL_FROM.rpartition("@")[2].rstrip(">")),
        created_at=at,
        next_attempt_at=at,
    )


def operators() -> list[str]:
    """Who is told what concerns the installation: OPERATOR_EMAILS, else the superusers that have an address."""
    if settings.OPERATOR_EMAILS:
        return list(settings.OPERATOR_EMAILS)
    users = get_user_model()._default_manager.filter(is_superuser=True, is_active=True).exclude(email="")
    return sorted(set(users.values_list("email", flat=True)))


def send_due_mail() -> int:
    """Send what is due; returns how many mails left. Any number of processes may do so at once."""
    sent = 0
    while mail := _claim(clock.now()):
        problem = _send(mail)
        _note(mail, problem, clock.now())
        sent += not problem
    return sent


def _claim(at: datetime) -> OutgoingMail | None:
    """The mail that has been due the longest; nobody else sends it until the lease is over."""
    with transaction.atomic():
        due = OutgoingMail.objects.filter(next_attempt_at__lte=at).order_by("next_attempt_at", "pk")
        mail = due.select_for_update(skip_locked=True).first()
        if mail is not None:
            OutgoingMail.objects.filter(pk=mail.pk).update(next_attempt_at=at + LEASE)
    return mail


def _send(mail: OutgoingMail) -> str:
    """Hand it to the mail server; what went wrong, or nothing."""
    headers = {"Message-ID": mail.message_id}
    message = EmailMultiAlternatives(mail.subject, mail.text, settings.MAIL_FROM, mail.to, headers=headers)
    if mail.html:
        message.attach_alternative(mail.html, "text/html")
    try:
        message.send()
    except (OSError, ValueError) as error:  # SMTP's errors are OSErrors
        log.warning("mail %s was not sent: %s", mail.pk, error)
        return f"{type(error).__name__}: {error}"[:500]
    return ""


def _note(mail: OutgoingMail, problem: str, at: datetime) -> None:
    attempts = mail.attempts + 1
    pause = min(FIRST_PAUSE * 2 ** min(attempts - 1, 20), LONGEST_PAUSE)
    again = at + pause if problem and at + pause < mail.created_at + GIVEN_UP_AFTER else None
    OutgoingMail.objects.filter(pk=mail.pk, sent_at__isnull=True).update(
        attempts=attempts, problem=problem, next_attempt_at=again, sent_at=None if problem else at
    )
