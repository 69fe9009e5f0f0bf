import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core import mail as django_mail
from django.db import connection, transaction

from core import clock
from core.mail import GIVEN_UP_AFTER, operators, send_due_mail, write_mail
from core.models import OutgoingMail

NOW = clock.now()


def write(subject: str = "An endpoint is disabled") -> OutgoingMail:
    mail = write_mail(subject, "It failed for 3 days.", to=["ops@example.com"], at=NOW, html="<p>It failed.</p>")
    assert mail is not None
    return mail


@pytest.mark.django_db
def test_a_mail_leaves_once_with_both_forms_of_its_text() -> None:
    mail = write("An endpoint\nis disabled")
    assert (send_due_mail(), send_due_mail()) == (1, 0)
    [sent] = django_mail.outbox
    assert (sent.subject, sent.body, sent.to) == (
        "An endpoint is disabled",
        "It failed for 3 days.",
        ["ops@example.com"],
    )
    assert sent.extra_headers["Message-ID"] == mail.message_id
    assert [part.content for part in sent.alternatives] == ["<p>It failed.</p>"]  # type: ignore[attr-defined]
    mail.refresh_from_db()
    assert mail.sent_at is not None
    assert mail.next_attempt_at is None


@pytest.mark.django_db
def test_a_mail_to_nobody_is_none() -> None:
    assert write_mail("x", "y", to=[], at=NOW) is None


@pytest.mark.django_db
def test_a_mail_of_a_transaction_that_is_undone_never_leaves() -> None:
    with transaction.atomic():
        write()
        transaction.set_rollback(True)
    assert send_due_mail() == 0


@pytest.mark.django_db
def test_what_the_server_refuses_is_tried_again_for_three_days(settings) -> None:  # type: ignore[no-untyped-def]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = closed.getsockname()
        mail = write()
        assert send_due_mail() == 0
        mail.refresh_from_db()
        assert mail.attempts == 1
        assert mail.sent_at is None
        assert "refused" in mail.problem
        assert mail.next_attempt_at is not None
        assert timedelta(seconds=59) < mail.next_attempt_at - clock.now() <= timedelta(seconds=60)
        old = NOW - GIVEN_UP_AFTER
        OutgoingMail.objects.filter(pk=mail.pk).update(created_at=old, next_attempt_at=old)
        send_due_mail()
        mail.refresh_from_db()
        assert mail.attempts == 2
        assert mail.sent_at is None
        assert mail.next_attempt_at is None


def send(_: int) -> int:
    try:
        return send_due_mail()
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_of_many_senders_at_once_each_mail_has_one() -> None:
    for number in range(20):
        write(str(number))
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(send, range(4))) == 20
    assert sorted(int(sent.subject) for sent in django_mail.outbox) == list(range(20))


@pytest.mark.django_db
def test_who_is_told(settings) -> None:  # type: ignore[no-untyped-def]
    users = get_user_model()._default_manager
    users.create_superuser("a", "a@example.com", "x")  # type: ignore[attr-defined]
    users.create_superuser("b", "", "x")  # type: ignore[attr-defined]
    users.create_user("c", "c@example.com", "x")  # type: ignore[attr-defined]
    assert operators() == ["a@example.com"]
    settings.OPERATOR_EMAILS = ["billing@example.com"]
    assert operators() == ["billing@example.com"]
