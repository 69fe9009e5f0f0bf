import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections

from api.keys import create_api_key
from api.models import ApiKey, IdempotencyKey
from api.tasks import forget_idempotency_keys
from api.tests import widgets
from api.tests.conftest import Caller
from core import clock

pytestmark = [pytest.mark.urls("api.tests.widgets"), pytest.mark.django_db(transaction=True)]


def key(value: str) -> dict[str, str]:
    return {"Idempotency-Key": value}


@pytest.fixture
def caller() -> Caller:
    return Caller(create_api_key("caller", clock.now())[1])


@pytest.fixture
def slow(caller: Caller) -> Iterator[Any]:
    """A request with key `slow` that has done its work and has not answered."""
    widgets.entered.clear()
    widgets.leave.clear()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(in_thread, lambda: caller.post("/v1/widgets/x/slow", headers=key("slow")))
        assert widgets.entered.wait(10)
        try:
            yield running
        finally:
            widgets.leave.set()


def in_thread(work: Any) -> Any:
    try:
        return work()
    finally:
        connections.close_all()


def test_the_first_answer_is_given_again(caller: Caller) -> None:
    first = caller.post("/v1/widgets", name="a", headers=key("k"))
    again = caller.post("/v1/widgets", name="a", headers=key("k"))
    assert (again.status_code, again.content) == (200, first.content)
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert again["Original-Request"] == first["Request-Id"] != again["Request-Id"]
    assert again["Content-Type"] == first["Content-Type"] == "application/json"
    assert ApiKey.objects.filter(name="a").count() == 1


def test_another_request_under_the_key_is_refused(caller: Caller) -> None:
    caller.post("/v1/widgets", name="a", headers=key("k"))
    for answer in (
        caller.post("/v1/widgets", name="b", headers=key("k")),
        caller.post("/v1/widgets/x/refuse", name="a", headers=key("k")),
        caller.send("/v1/widgets?expand[]=owner", "name=a", headers=key("k")),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "idempotency_error"
    assert ApiKey.objects.exclude(name="caller").count() == 1


def test_without_a_key_each_request_is_carried_out(caller: Caller) -> None:
    ids = {caller.post("/v1/widgets", name="a").json()["id"] for _ in range(2)}
    assert len(ids) == 2
    assert not IdempotencyKey.objects.exists()


def test_a_refusal_by_the_rules_is_an_answer_too(caller: Caller) -> None:
    first = caller.post("/v1/widgets/x/refuse", name="x", headers=key("k"))
    again = caller.post("/v1/widgets/x/refuse", name="x", headers=key("k"))
    assert (again.status_code, again.content) == (400, first.content)
    assert again["Stripe-Should-Retry"] == "false"
    assert again["Idempotent-Replayed"] == "true"
    assert not ApiKey.objects.filter(name__startswith="written").exists()


@pytest.mark.parametrize("body", ["nam=x", "name=", "name=x&expand[]=nothing", "name=x&name=y", "name=%ff"])
def test_invalid_parameters_leave_the_key_free(caller: Caller, body: str) -> None:
    assert caller.send("/v1/widgets", body, headers=key("k")).status_code == 400
    assert not IdempotencyKey.objects.exists()
    assert caller.post("/v1/widgets", name="x", headers=key("k")).status_code == 200


@pytest.mark.parametrize("path", ["/v1/widgets/x/crash", "/v1/widgets/x/late"])
def test_an_unexpected_error_leaves_nothing(caller: Caller, path: str) -> None:
    for _ in range(2):
        assert caller.post(path, headers=key("k")).status_code == 500
    assert list(ApiKey.objects.values_list("name", flat=True)) == ["caller"]
    assert not IdempotencyKey.objects.exists()


def test_while_the_first_runs_others_are_told_so(caller: Caller, slow: Any) -> None:
    busy = caller.post("/v1/widgets/x/slow", headers=key("slow"))
    assert busy.status_code == 409
    assert busy.json()["error"]["code"] == "idempotency_key_in_use"
    assert caller.post("/v1/widgets", name="other", headers=key("other")).status_code == 200
    widgets.leave.set()
    first = slow.result(10)
    assert first.status_code == 200
    again = caller.post("/v1/widgets/x/slow", headers=key("slow"))
    assert (again.status_code, again.content) == (200, first.content)
    assert ApiKey.objects.filter(name="slow").count() == 1


def test_a_lost_connection_leaves_nothing_and_frees_the_key(caller: Caller, slow: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND state = 'idle in transaction' AND pid <> pg_backend_pid()"
        )
        assert cursor.rowcount == 1
    widgets.leave.set()
    assert slow.result(10).status_code == 500
    assert not ApiKey.objects.filter(name="slow").exists()
    assert not IdempotencyKey.objects.exists()
    assert caller.post("/v1/widgets/x/slow", headers=key("slow")).status_code == 200


def test_eight_at_once_do_it_once(caller: Caller) -> None:
    start = threading.Barrier(8)

    def send(_: int) -> Any:
        start.wait(10)
        return in_thread(lambda: caller.post("/v1/widgets", name="once", headers=key("k")))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert ApiKey.objects.filter(name="once").count() == 1
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1


@pytest.mark.parametrize("value", ["", " ", "x" * 256])
def test_keys_have_1_to_255_characters(caller: Caller, value: str) -> None:
    answer = caller.post("/v1/widgets", name="a", headers=key(value))
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "Idempotency keys must have 1 to 255 characters."
    assert caller.post("/v1/widgets", name="a", headers=key("x" * 255)).status_code == 200


def test_get_and_v1_delete_take_no_key(caller: Caller) -> None:
    row, _ = create_api_key("x", clock.now())
    caller.get("/v1/widgets", headers=key("k"))
    assert caller.delete(f"/v1/widgets/{row.pk}", headers=key("k")).status_code == 200
    assert not IdempotencyKey.objects.exists()


def test_a_view_may_do_without(caller: Caller) -> None:
    ids = {caller.post("/v1/free_widgets", name="a", headers=key("k")).json()["id"] for _ in range(2)}
    assert len(ids) == 2
    assert not IdempotencyKey.objects.exists()


def test_the_key_is_fresh_after_a_day(caller: Caller) -> None:
    first = caller.post("/v1/widgets", name="a", headers=key("k")).json()
    assert IdempotencyKey.objects.get().forget_at - IdempotencyKey.objects.get().created_at == timedelta(hours=24)
    IdempotencyKey.objects.update(forget_at=clock.now())
    assert caller.post("/v1/widgets", name="b", headers=key("k")).json()["id"] != first["id"]
    assert IdempotencyKey.objects.count() == 1


def test_v2_keeps_successes_for_thirty_days_and_no_failures(caller: Caller) -> None:
    def send(path: str, body: bytes) -> Any:
        return caller.send(path, body, type="application/json", headers=key("k"))

    assert send("/v2/refused_widgets", b"{}").status_code == 400
    assert not IdempotencyKey.objects.exists()
    assert not ApiKey.objects.filter(name="refused").exists()
    first = send("/v2/widgets", b'{"event_name": "a"}')
    assert send("/v2/widgets", b'{"event_name": "a"}').content == first.content
    assert IdempotencyKey.objects.get().forget_at - IdempotencyKey.objects.get().created_at == timedelta(days=30)
    mismatch = send("/v2/widgets", b'{"event_name": "b"}')
    assert (mismatch.status_code, mismatch.json()["error"]["type"]) == (409, "idempotency_error")


def test_old_answers_are_forgotten(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.tasks.BATCH", 2)
    for n in range(6):
        caller.post("/v1/widgets", name="a", headers=key(f"k{n}"))
    IdempotencyKey.objects.exclude(pk="k5").update(forget_at=clock.now())
    assert forget_idempotency_keys() == 5
    assert str(IdempotencyKey.objects.get()) == "k5"
