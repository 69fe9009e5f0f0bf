"""The deliverer as processes: killed, several at once, woken, stopped."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from billing_project import home
from core import clock, secrecy
from core.health import DELIVERER
from core.mail import write_mail
from core.models import Heartbeat, OutgoingMail
from customers.models import Customer
from tests import make, stack
from webhooks.deliverer import Deliverer
from webhooks.endpoint_models import Endpoint
from webhooks.events import record
from webhooks.models import Attempt, Delivery, SigningSecret
from webhooks.tests.receivers import endpoint, hangs, receiver

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
wait_for = partial(stack.wait_for, timeout=120)  # processes begin slowly where many tests run
Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture(autouse=True)
def private(settings: Any) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True


def environment() -> dict[str, str]:
    """That of a process that works on the database of this test."""
    url = urlsplit(home.database_url())._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    own = {"DJANGO_SETTINGS_MODULE": "billing_project.settings", "DATABASE_URL": url, "WEBHOOKS_ALLOW_PRIVATE": "true"}
    return os.environ | own | {"SECRETS_KEYS": ",".join(settings.SECRETS_KEYS)}


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a deliverer; waits until it works."""
    started: list[subprocess.Popen[bytes]] = []

    def one() -> "subprocess.Popen[bytes]":
        Heartbeat.objects.filter(name=DELIVERER).delete()
        command = [sys.executable, "manage.py", "deliver_webhooks"]
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment()))
        wait_for(lambda: Heartbeat.objects.filter(name=DELIVERER).exists())
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def customer() -> Customer:
    return make.customer(name="Ada")


def tell(customer: Customer, count: int = 1) -> None:
    for _ in range(count):
        record("customer.updated", "customer", customer, at=clock.now())


def leases_end() -> None:
    """As if a minute had passed."""
    Delivery.objects.filter(status="pending").update(next_attempt_at=clock.now())


def test_killed_between_the_answer_and_its_record_it_sends_again_the_same(start: Start, customer: Customer) -> None:
    with receiver() as there:
        row = endpoint(there.url, "customer.updated", at=clock.now())
        first = start()
        with transaction.atomic():
            Endpoint.objects.select_for_update(no_key=True).get(pk=row.pk)  # nothing can be written down
            with_events = threading.Thread(target=in_thread, args=[tell, customer, 3])
            with_events.start()
            there.wait_for(3, 120)
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
        with_events.join()
        assert not Attempt.objects.exists()
        assert set(Delivery.objects.values_list("status", flat=True)) == {"pending"}
        start()
        leases_end()
        wait_for(lambda: Delivery.objects.filter(status="delivered").count() == 3)
    assert len(there.requests) == 6
    assert len({(one.headers["webhook-id"], one.body) for one in there.requests}) == 3
    assert Attempt.objects.count() == 3


def in_thread(act: Callable[..., None], *args: Any) -> None:
    try:
        act(*args)
    finally:
        connection.close()


def test_killed_while_a_receiver_hangs_it_loses_nothing(start: Start, customer: Customer) -> None:
    with receiver(hangs) as slow:
        row = endpoint(slow.url, "customer.updated", at=clock.now())
        first = start()
        tell(customer, 6)
        slow.wait_for(4, 120)
        first.kill()
        first.wait()
    with receiver() as back:
        Endpoint.objects.filter(pk=row.pk).update(url=back.url)
        start()
        wait_for(lambda: Delivery.objects.filter(status="delivered").count() == 2)  # those that it had not taken
        leases_end()
        wait_for(lambda: Delivery.objects.filter(status="delivered").count() == 6)
    assert sorted(back.ids) == sorted(Delivery.objects.values_list("event_id", flat=True))
    assert set(slow.ids) < set(back.ids)


def test_who_holds_an_endpoint_holds_up_no_other(start: Start, customer: Customer) -> None:
    with receiver() as there, receiver() as other:
        held = endpoint(there.url, "customer.updated", at=clock.now())
        free = endpoint(other.url, "customer.updated", at=clock.now())
        start()
        with transaction.atomic():
            Endpoint.objects.select_for_update(no_key=True).get(pk=held.pk)
            telling = threading.Thread(target=in_thread, args=[tell, customer, 20])
            telling.start()
            wait_for(lambda: Delivery.objects.filter(endpoint=free, status="delivered").count() == 20, timeout=50)
            assert not Attempt.objects.filter(delivery__endpoint=held).exists()
        telling.join()
        wait_for(lambda: Delivery.objects.filter(status="delivered").count() == 40)


def test_two_at_once_send_everything_once(start: Start, customer: Customer) -> None:
    with receiver() as there, receiver() as other:
        endpoint(there.url, "customer.updated", at=clock.now())
        endpoint(other.url, "customer.updated", at=clock.now())
        start()
        start()
        tell(customer, 100)
        wait_for(lambda: Delivery.objects.filter(status="delivered").count() == 200)
    for one in (there, other):
        assert len(one.ids) == len(set(one.ids)) == 100
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}


def test_it_ends_soon_when_told_to_and_takes_nothing_more(start: Start, customer: Customer) -> None:
    with receiver(hangs) as slow:
        endpoint(slow.url, "customer.updated", at=clock.now())
        process = start()
        tell(customer)
        slow.wait_for(1, 120)
        process.terminate()
        assert process.wait(10) == 0


def test_it_comes_back_when_its_connections_are_cut(start: Start, customer: Customer) -> None:
    with receiver() as there, connection.cursor() as cursor:
        endpoint(there.url, "customer.updated", at=clock.now())
        began = clock.now()  # only what has connected since is the deliverer's
        process = start()
        for number in (1, 2, 3):
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_start > %s",
                [began],
            )
            tell(customer)
            there.wait_for(number, 120)
        assert process.poll() is None
    wait_for(lambda: Delivery.objects.filter(status="delivered").count() == 3)


def test_it_sends_mail(start: Start) -> None:
    write_mail("Hello", "You.", to=["ada@example.com"], at=clock.now())
    start()
    wait_for(lambda: OutgoingMail.objects.filter(sent_at__isnull=False).exists())
    [kept] = (Path(os.environ["APP_HOME"]) / "mail").iterdir()
    assert "Subject: Hello" in kept.read_text()


def test_the_database_wakes_it(customer: Customer) -> None:
    deliverer = Deliverer()
    listening = threading.Thread(target=deliverer._listen)
    listening.start()
    endpoint("https://hooks.example.com/", "customer.updated", at=clock.now())

    def woken() -> bool:
        tell(customer)
        return not deliverer.told.empty()

    try:
        wait_for(woken)
    finally:
        deliverer.stop()
        listening.join()


def test_secrets_are_sealed_anew_with_another_key(settings: Any) -> None:
    from cryptography.fernet import Fernet, InvalidToken

    row = endpoint("https://hooks.example.com/", at=clock.now())
    [old] = settings.SECRETS_KEYS
    secret = secrecy.unseal(row.secrets.get().sealed)
    settings.SECRETS_KEYS = [Fernet.generate_key().decode(), old]
    assert secrecy.unseal(row.secrets.get().sealed) == secret
    call_command("reseal_secrets")
    settings.SECRETS_KEYS = settings.SECRETS_KEYS[:1]
    assert secrecy.unseal(SigningSecret.objects.get().sealed) == secret
    settings.SECRETS_KEYS = [old]
    with pytest.raises(InvalidToken):
        secrecy.unseal(SigningSecret.objects.get().sealed)
