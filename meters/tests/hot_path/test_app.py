"""The hot path answers as the ordinary view does: status, headers, body. What it does not decide, the view answers."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from functools import partial
from ipaddress import ip_network

import orjson
import pytest
from django.core.wsgi import get_wsgi_application

from api.keys import Rights, create_api_key, revoke_api_key
from api.models import ApiKey
from api.permissions import METERING
from billing_project.wsgi_threads import WsgiInThreads
from core import clock
from customers.lifecycle import delete_customer
from meters.hot_path import app, link
from meters.hot_path.threads import in_thread
from meters.lifecycle import deactivate_meter, reactivate_meter
from meters.models import MeterEvent
from meters.tests.hot_path.conftest import FORM, V1, V2, call
from tests import make

VARIES = re.compile(
    rb'"(created|timestamp)":\d+|[0-9a-f]{8}-[0-9a-f-]{27}|smallest accepted timestamp is \d+|\d{4}-\d\d-\d\dT[0-9:+.]+'
)
OURS = {"request-id", "content-length"}

CALLS = {
    "taken": lambda h: (h.form(), {}),
    "named": lambda h: (h.form(identifier="{who}"), {}),
    "with a time": lambda h: (h.form(timestamp=str(int(clock.now().timestamp()) - 60)), {}),
    "with a key": lambda h: (h.form(), {"idempotency-key": "{who}"}),
    "another version": lambda h: (h.form(), {"stripe-version": "2025-01-27.acacia"}),
    "no version": lambda h: (h.form(), {"stripe-version": "<script>"}),
    "more in the payload": lambda h: (h.form(**{"payload[model]": "small%2B2", "payload[empty]": ""}), {}),
    "no meter": lambda h: (h.form(event_name="unheard"), {}),
    "no customer": lambda h: ("event_name=tokens&payload[value]=1", {}),
    "unknown customer": lambda h: (h.form(**{"payload[stripe_customer_id]": "cus_none"}), {}),
    "no number": lambda h: (h.form("many"), {}),
    "too many digits": lambda h: (h.form("1234567890123456"), {}),
    "too old": lambda h: (h.form(timestamp="1000000000"), {}),
    "in the future": lambda h: (h.form(timestamp="9000000000"), {}),
    # From here on the view has to look at it.
    "unknown parameter": lambda h: (h.form(colour="red"), {}),
    "a parameter missing": lambda h: ("event_name=tokens", {}),
    "twice": lambda h: (h.form() + "&event_name=tokens", {}),
    "no key": lambda h: (h.form(), {"authorization": ""}),
    "a wrong key": lambda h: (h.form(), {"authorization": "Bearer sk_test_wrong"}),
    "a publishable key": lambda h: (h.form(), {"authorization": "Bearer pk_test_1"}),
    "another content type": lambda h: (h.form(), {"content-type": "text/plain"}),
    "a parameter of the content type": lambda h: (h.form(), {"content-type": f"{FORM}; charset=utf-8"}),
    "a blank idempotency key": lambda h: (h.form(), {"idempotency-key": " "}),
    "a long idempotency key": lambda h: (h.form(), {"idempotency-key": "k" * 256}),
    "another host": lambda h: (h.form(), {"host": "elsewhere.example"}),
    "too long": lambda h: (h.form(**{"payload[x]": "y" * 300_000}), {}),
}


def seen(answered):
    headers = {name: text for name, text in answered.headers.items() if name not in OURS}
    return answered.status, headers, VARIES.sub(b"~", answered.body)


def test_every_answer_is_that_of_the_view(here):
    async def scenario(hot):
        both = {}
        for name, made in CALLS.items():
            body, headers = made(here)
            given = {key.replace("-", "_"): text for key, text in headers.items()}
            both[name] = [
                await here.post(
                    app, body.replace("{who}", who), **{key: text.replace("{who}", who) for key, text in given.items()}
                )
                for who, app in (("1", here.django), ("2", hot))
            ]
        return both

    for name, (view, hot) in here.run(scenario).items():
        assert seen(hot)[:2] == seen(view)[:2], name
        assert seen(hot)[2].replace(b'"2"', b'"1"') == seen(view)[2], name
        assert re.fullmatch("req_[0-9A-Za-z]{22}", hot.headers["request-id"])
        assert int(hot.headers.get("content-length", len(hot.body))) == len(hot.body)


@pytest.mark.parametrize("same", [True, False])
def test_a_duplicate_and_a_conflict_too(here, same):
    async def scenario(hot):
        await here.post(hot, here.form("5", identifier="twice"))
        again = here.form("5" if same else "6", identifier="twice")
        return [await here.post(app, again) for app in (here.django, hot)]

    view, hot = here.run(scenario)
    assert (hot.status, hot.headers["stripe-should-retry"]) == (400, "false")
    assert seen(hot) == seen(view)
    assert MeterEvent.objects.count() == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT"])
def test_another_method_is_the_views(here, method):
    async def scenario(hot):
        key = {"authorization": f"Bearer {here.secret}"}
        return [await call(app, here.form(), V1, key, method=method) for app in (here.django, hot)]

    view, hot = here.run(scenario)
    assert hot.status >= 400
    assert seen(hot) == seen(view)


def test_a_query_is_the_views(here):
    async def scenario(hot):
        return await here.post(hot, here.form(), f"{V1}?colour=red")

    assert orjson.loads(here.run(scenario).body)["error"]["param"] == "colour"


def test_an_event_counts_and_is_answered_after_its_commit(here):
    async def scenario(hot):
        answered = await here.post(hot, here.form("2.50", identifier="a", **{"payload[model]": "m"}))
        return answered, await in_thread(list, MeterEvent.objects.values_list("identifier", "payload"))

    answered, stored = here.run(scenario)
    assert stored == [("a", {"model": "m", "value": "2.50"})]
    assert orjson.loads(answered.body)["payload"] == {
        "stripe_customer_id": here.customer,
        "value": "2.50",
        "model": "m",
    }


def v2(here, **changes):
    payload = {"stripe_customer_id": here.customer, "value": "1"} | (changes.pop("payload", {}))
    kept = {name: text for name, text in payload.items() if text is not None}
    return orjson.dumps({"event_name": "tokens", "payload": kept} | changes)


V2_CALLS = {
    "taken": ({"identifier": "v2"}, None),
    "with a time": ({"timestamp": "{now}"}, None),
    "no meter": ({"event_name": "unheard"}, "no_meter"),
    "no customer": ({"payload": {"stripe_customer_id": None}}, "payload_no_customer_defined"),
    "unknown customer": ({"payload": {"stripe_customer_id": "cus_none"}}, "meter_event_customer_not_found"),
    "no value": ({"payload": {"value": None}}, "payload_no_value_defined"),
    "no number": ({"payload": {"value": "many"}}, "payload_invalid_value"),
    "too many digits": ({"payload": {"value": "1234567890123456"}}, "payload_invalid_value"),
    "too old": ({"timestamp": "2001-01-01T00:00:00.000Z"}, "timestamp_too_far_in_past"),
    "in the future": ({"timestamp": "2225-01-01T00:00:00.000Z"}, "timestamp_in_future"),
    "unknown parameter": ({"colour": "red"}, "parameter_unknown"),
}


def test_under_v2_codes_and_answers_are_those_of_its_view(here):
    now = clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")

    async def scenario(hot):
        both = {}
        for name, (changes, _) in V2_CALLS.items():
            body = v2(here, **changes).replace(b"{now}", now.encode())
            view = await here.post(here.django, body, V2)
            both[name] = view, await here.post(hot, body.replace(b'"v2"', b'"v3"'), V2)
        return both

    for name, (view, hot) in here.run(scenario).items():
        changes, code = V2_CALLS[name]
        assert (hot.status, seen(hot)[1]) == (view.status, seen(view)[1]), name
        shown, expected = orjson.loads(hot.body), orjson.loads(view.body)
        if code:
            assert (hot.status, shown["error"]["code"]) == (400, code), name
            assert VARIES.sub(b"", hot.body) == VARIES.sub(b"", view.body), name
        else:
            assert (hot.status, list(shown), shown["object"]) == (200, list(expected), "v2.billing.meter_event")
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown["created"])
            assert shown["timestamp"] == (now if "timestamp" in changes else shown["created"][:-4] + "000Z")


def test_under_v2_a_duplicate_has_a_code(here):
    async def scenario(hot):
        await here.post(hot, v2(here, identifier="twice"), V2)
        return [await here.post(hot, v2(here, identifier="twice", payload={"value": v}), V2) for v in ("1", "2")]

    for answered in here.run(scenario):
        assert answered.status == 400
        error = orjson.loads(answered.body)["error"]
        assert error["code"] == "duplicate_meter_event"
        assert error["message"].startswith("An event already exists with identifier twice.")


def test_an_event_without_an_identifier_is_named_after_its_key(here):
    async def scenario(hot):
        return [await here.post(hot, here.form(), idempotency_key=key) for key in ("a", "b")]

    names = [orjson.loads(answered.body)["identifier"] for answered in here.run(scenario)]
    assert names[0] != names[1]
    assert set(MeterEvent.objects.values_list("identifier", flat=True)) == set(names)


@pytest.mark.parametrize(("path", "mismatch"), [(V1, 400), (V2, 409)])
def test_a_retry_under_its_key_gets_its_answer_again(here, path, mismatch):
    """Five at once, while one statement is under way: the first is stored, the others are compared with it."""

    def body(value):
        if path == V2:
            return v2(here, payload={"value": value}, identifier="once")
        return here.form(value, identifier="once")

    async def scenario(hot):
        await here.post(hot, here.form(identifier="before"))
        calls = [("k", "1"), ("k", "1"), ("k", "2"), ("other", "1"), (None, "1")]
        return await asyncio.gather(
            *(here.post(hot, body(v), path, **({"idempotency_key": k} if k else {})) for k, v in calls)
        )

    first, again, other, stranger, nobody = here.run(scenario)
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert other.status == mismatch
    assert orjson.loads(other.body)["error"]["type"] == "idempotency_error"
    for answered in (stranger, nobody):
        assert answered.status == 400
        assert b"An event already exists with identifier once." in answered.body
    assert MeterEvent.objects.filter(identifier="once").count() == 1


def test_a_customer_made_a_moment_ago_is_found(here):
    async def scenario(hot):
        unknown = await here.post(hot, here.form(**{"payload[stripe_customer_id]": "cus_late"}))
        await in_thread(partial(make.customer, id="cus_late"))
        return unknown, await here.post(hot, here.form(**{"payload[stripe_customer_id]": "cus_late"}))

    unknown, known = here.run(scenario)
    assert (unknown.status, known.status) == (400, 200)


def until(answers, wanted):
    """Ask again and again until the answer is as wanted; not for long."""

    async def ask():
        async with asyncio.timeout(5):
            while (await answers()).status != wanted:
                await asyncio.sleep(0)

    return ask()


def test_a_change_is_effective_promptly(here):
    async def scenario(hot):
        def send():
            return here.post(hot, here.form())

        assert (await send()).status == 200
        await in_thread(partial(deactivate_meter, here.meter.pk, at=clock.now()))
        await until(send, 400)
        await in_thread(partial(reactivate_meter, here.meter.pk, at=clock.now()))
        await until(send, 200)
        await in_thread(partial(delete_customer, here.customer, at=clock.now()))
        await until(send, 400)
        await in_thread(lambda: revoke_api_key(ApiKey.objects.get(), clock.now()))
        await until(send, 401)

    here.run(scenario)


def test_a_revoked_key_ends_even_if_nobody_tells(here, monkeypatch):
    async def scenario(hot):
        monkeypatch.setattr(hot.callers, "changed", lambda: None)
        assert (await here.post(hot, here.form())).status == 200
        await in_thread(lambda: revoke_api_key(ApiKey.objects.get(), clock.now()))
        read = {mark: (key, at - 5.1) for mark, (key, at) in hot.callers.known.items()}
        assert read
        hot.callers.known.update(read)
        return (await here.post(hot, here.form())).status

    assert here.run(scenario) == 401


def test_the_time_of_a_test_clock_is_never_an_old_one(here):
    test_clock = make.clock()
    customer = make.customer(on=test_clock)
    sent = here.form(**{"payload[stripe_customer_id]": customer.pk})

    async def scenario(hot):
        times = []
        for days in (0, 1):
            await in_thread(partial(type(test_clock).objects.update, frozen_time=make.utc(2026, 1, 1 + days)))
            times.append(orjson.loads((await here.post(hot, sent)).body)["timestamp"])
        return times

    assert here.run(scenario) == [int(make.utc(2026, 1, day).timestamp()) for day in (1, 2)]


def test_whoever_has_gone_is_not_answered(here):
    async def scenario(hot):
        scope_sent = []

        async def gone():
            return {"type": "http.disconnect"}

        async def send(message):
            scope_sent.append(message)

        scope = {"type": "http", "method": "POST", "path": V1, "query_string": b"", "headers": []}
        kept = {b"host": b"localhost", b"authorization": b"x", b"content-type": FORM.encode(), b"content-length": b"5"}
        await hot(scope | {"headers": list(kept.items())}, gone, send)
        return scope_sent

    assert here.run(scenario) == []


def test_without_changes_told_nothing_is_kept(here):
    async def scenario(hot):
        await hot.stop()  # ends both tasks; the writer alone is started again
        assert not hot.catalogue.is_told
        hot.tasks = [asyncio.create_task(hot.writer.run())]
        assert (await here.post(hot, here.form())).status == 200
        return hot.catalogue.meters.get("tokens")

    assert here.run(scenario) is None


@pytest.mark.parametrize("forwarded", ["https", "http", ""])
def test_behind_a_proxy_that_ends_tls_it_answers_as_the_view_too(here, settings, forwarded):
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 31_536_000
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    here.django = WsgiInThreads(get_wsgi_application(), threads=1)

    async def scenario(hot):
        return [await here.post(app, here.form(), x_forwarded_proto=forwarded) for app in (here.django, hot)]

    view, hot = here.run(scenario)
    here.django.threads.shutdown()
    wanted = (200, True) if forwarded == "https" else (301, False)
    assert (hot.status, "strict-transport-security" in hot.headers) == wanted
    assert seen(hot)[:2] == seen(view)[:2]


def test_what_the_database_cannot_do_now_may_be_sent_again(here, monkeypatch):
    async def scenario(hot):
        await here.post(hot, here.form())
        monkeypatch.setattr(link, "_settings", lambda: {"host": "/nowhere"})
        await hot.writer.link.close()
        return [await here.post(hot, here.form(), V1), await here.post(hot, v2(here), V2)]

    for answered in here.run(scenario):
        assert answered.status == 503
        assert (answered.headers["stripe-should-retry"], answered.headers["retry-after"]) == ("true", "1")
        assert orjson.loads(answered.body)["error"]["type"] == "api_error"
    assert MeterEvent.objects.count() == 1


def test_an_unexpected_error_is_told_without_its_words(here, monkeypatch, caplog):
    def broken(*given, **named):
        raise RuntimeError("secret words")

    async def scenario(hot):
        monkeypatch.setattr(app, "check_record", broken)
        return await here.post(hot, here.form())

    answered = here.run(scenario)
    assert (answered.status, b"secret" in answered.body) == (500, False)
    assert orjson.loads(answered.body)["error"]["type"] == "api_error"
    assert answered.headers["request-id"] in caplog.text


def test_what_a_key_may_do_is_judged_at_each_call_also_of_one_that_is_kept(here):
    """In the same words as by the view: rights, place, rate, and the moment of its end."""
    soon = clock.now() + timedelta(hours=1)
    secrets = {
        "may": create_api_key("a", clock.now(), rights=Rights([METERING]))[1],
        "may not": create_api_key("b", clock.now(), rights=Rights(["usage:read"]))[1],
        "elsewhere": create_api_key("c", clock.now(), rights=Rights(networks=[ip_network("192.0.2.0/24")]))[1],
        "here": create_api_key("d", clock.now(), rights=Rights(networks=[ip_network("127.0.0.0/8")]))[1],
        "ends": create_api_key("e", clock.now(), expires_at=soon)[1],
    }

    async def scenario(hot):
        told = {}
        for name, secret in secrets.items():
            headers = {"authorization": f"Bearer {secret}"}
            told[name] = [await call(one, here.form(), V1, headers) for one in (here.django, hot, hot)]
        for mark, (caller, read_at) in hot.callers.known.items():
            hot.callers.known[mark] = (replace(caller, expires_at=clock.now()), read_at)
        ended = await call(hot, here.form(), V1, {"authorization": f"Bearer {secrets['ends']}"})
        return told, ended

    told, ended = here.run(scenario)
    for view, first, again in told.values():
        assert seen(view) == seen(first) == seen(again)
    statuses = {name: first.status for name, (_, first, _) in told.items()}
    assert statuses == {"may": 200, "may not": 403, "elsewhere": 403, "here": 200, "ends": 200}
    assert (ended.status, orjson.loads(ended.body)["error"]["code"]) == (401, "api_key_expired")


def test_a_key_has_its_rate(here):
    secret = create_api_key("slow", clock.now(), rights=Rights(rate_limit=1))[1]

    async def scenario(hot):
        return [await call(hot, here.form(), V1, {"authorization": f"Bearer {secret}"}) for _ in range(4)]

    refused = [answer for answer in here.run(scenario) if answer.status != 200]
    assert refused
    assert {(answer.status, answer.headers["stripe-should-retry"]) for answer in refused} == {(429, "true")}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
