"""Usage that crosses thresholds, credits that burn, holds on a wallet and webhooks about all of it, while every process
behind them is killed: what was told twice, never, or spent without being there?"""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.faults import events
from tests.faults.events import UNREACHABLE, Api, database_url, pid_of
from tests.faults.receiver import Receiver
from tests.faults.workers import Extra, in_django
from tests.stack import Server

PROCESSES = ("web", "worker", "beat", "webhooks", "postgres", "valkey")
STEPS = (50, 500, 2_000, 10_000, 50_000, 250_000, 10**9)  # of usage; the last is never reached
WALLET = 20_000  # what each wallet is granted, in minor units
WALLETS, HOLDERS = 3, 6
QUIET_WITHIN = 120.0
ENVIRONMENT = {
    "WEBHOOKS_ALLOW_PRIVATE": "true",
    "WEBHOOKS_RETRY_SECONDS": " ".join(["1"] * 60),
    "INVOICE_GRACE_SECONDS": "1",
}


@dataclass
class Report:
    """What a run has come to; `wrong` says in words what may not be."""

    kills: dict[str, int]
    seed: int
    events: int = 0
    deliveries: int = 0
    delivered_again: int = 0
    alerts: int = 0
    holds: dict[str, int] = field(default_factory=dict)
    invoices: int = 0
    quiet_after: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.wrong and all((self.events, self.deliveries, self.alerts, self.invoices, self.holds))


class Holder(threading.Thread):
    """Holds amounts of a wallet that others hold too, and captures or releases what it got."""

    def __init__(self, api: Api, wallet: str, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self.api, self.wallet, self.chance = api, wallet, chance
        self.answers: Counter[str] = Counter()
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._step()
            except UNREACHABLE:
                time.sleep(0.2)

    def _step(self) -> None:
        amount = str(self.chance.randint(1, 300))
        named = {"amount[type]": "monetary", "amount[monetary][currency]": "usd", "amount[monetary][value]": amount}
        status, hold = self.api.call("POST", "/v1/billing/credit_holds", customer=self.wallet, **named)
        if status != 200:
            self.answers[f"{status}"] += 1
            return
        self.answers[hold["status"]] += 1
        if hold["status"] == "approved" and self.chance.random() < 0.9:
            act, used = ("release", {}) if self.chance.random() < 0.7 else ("capture", self._used(hold["id"], amount))
            status, _ = self.api.call("POST", f"/v1/billing/credit_holds/{hold['id']}/{act}", **used)
            self.answers[f"{act} {status}"] += 1
        time.sleep(0.02)

    def _used(self, hold: str, amount: str) -> dict[str, str]:
        names = {"event_name": "wallet_tokens", "identifier": hold, "payload][stripe_customer_id": self.wallet}
        names["payload][value"] = amount
        return {f"events[0][{name}]": text for name, text in names.items()}


class Crowd:
    """A second worker, a second beat and a second deliverer beside those of the supervisor, the beat never killed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.others = {
            "beat": self._start("beat"),
            "worker": self._start("worker"),
            "webhooks": self._start("webhooks"),
        }

    def _start(self, name: str) -> Extra:
        if name == "webhooks":
            return Extra(self.server, command=("manage.py", "deliver_webhooks"))
        if name == "beat":
            return Extra(self.server, "beat", "--pidfile=")
        options = ("--concurrency", "1", "--without-gossip", "--without-mingle", "-n", f"live{time.time_ns()}@%h")
        return Extra(self.server, "worker", *options)

    def kill(self, name: str) -> None:
        self.others[name].end()
        self.others[name] = self._start(name)

    def end(self) -> None:
        for extra in self.others.values():
            extra.end()


@contextlib.contextmanager
def crowd(server: Server) -> Iterator[Crowd]:
    started = Crowd(server)
    try:
        yield started
    finally:
        started.end()


def run(
    server: Server, kills: Sequence[str], log: Path, *, seed: int, say: Callable[[str], None], control: bool = False
) -> Report:
    """Kill the named processes one after the other, let it heal, and audit."""
    chance, report = random.Random(seed), Report(dict(Counter(kills)), seed)
    receiver = Receiver(random.Random(seed))
    with receiver.listening(), crowd(server) as others:
        endpoints = _endpoints(server, receiver)
        in_django(server, "seed.hurry()")
        usage = events.Run([server], log, chance)
        alerts = [_alert(server, usage.meter, step) for step in STEPS]
        wallets = in_django(server, f"seed.wallets({WALLETS}, {WALLET})")
        assert isinstance(wallets, list)
        holders = [
            Holder(Api(server), wallets[number % WALLETS], random.Random(seed + number)) for number in range(HOLDERS)
        ]
        usage.start()
        for holder in holders:
            holder.start()
        for number, name in enumerate(kills):
            if number % 6 == 0:
                _until_done(lambda wave=number: in_django(server, f"seed.burn_long_ago({wave}, 6, 3)"))
            _kill(server, others, name, usage, chance)
            say(f"killed {name} ({number + 1} of {len(kills)}), {usage.acknowledged()} events acknowledged")
        usage.until_flowing()
        for holder in holders:
            holder.stopping.set()
        told = usage.finish()
        receiver.moody = False
        if control:
            _lose_one(server)
        report.quiet_after = _wait_until_quiet(server, say)
    report.holds = dict(sum((holder.answers for holder in holders), Counter()))
    if not told.is_clean:
        report.wrong.append(f"usage: {told}")
    _audit(server, report, receiver, endpoints, usage, alerts)
    return report


def _endpoints(server: Server, receiver: Receiver) -> dict[str, list[str]]:
    """Path by endpoint, with the types that it wants."""
    wanted = {"/all": ["*"], "/alerts": ["billing.alert.triggered"]}
    for path, types in wanted.items():
        names = {f"enabled_events[{n}]": type for n, type in enumerate(types)}
        Api(server).make("/v1/webhook_endpoints", url=receiver.url(path), **names)
    return wanted


def _alert(server: Server, meter: str, step: int) -> str:
    terms = {"usage_threshold[meter]": meter, "usage_threshold[gte]": str(step)}
    terms |= {"usage_threshold[recurrence]": "one_time", "alert_type": "usage_threshold"}
    return Api(server).make("/v1/billing/alerts", title=f"{step} used", **terms)


def _kill(server: Server, others: Crowd, name: str, usage: events.Run, chance: random.Random) -> None:
    usage.until_flowing()
    time.sleep(chance.random() * 0.5)
    if name in ("worker", "webhooks") and chance.random() < 0.5:
        others.kill(name)
    elif name == "web":
        usage.kill("web")
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid_of(server, name), signal.SIGKILL)


def _until_done(act: Callable[[], object]) -> None:
    """Setting up is done by a process of its own, which the killing can meet."""
    for _ in range(20):
        with contextlib.suppress(Exception):
            act()
            return
        time.sleep(1)
    act()


def _lose_one(server: Server) -> None:
    """The control: an event that is marked as delivered, and was never sent."""
    with psycopg.connect(database_url(server)) as connection:
        connection.execute(
            "WITH made AS (INSERT INTO webhooks_event (id, type, created_at, api_version, object_id, data)"
            " SELECT 'evt_lost', type, now(), api_version, object_id, data FROM webhooks_event LIMIT 1 RETURNING type)"
            " INSERT INTO webhooks_delivery (endpoint_id, event_id, event_type, of_thin, pending_webhooks, status,"
            " attempts, created_at, delivered_at, asked_by) SELECT (SELECT id FROM webhooks_endpoint LIMIT 1),"
            " 'evt_lost', type, false, 1, 'delivered', 1, now(), now(), '' FROM made"
        )


def _wait_until_quiet(server: Server, say: Callable[[str], None]) -> float:
    """Seconds until nothing is due any more."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(Exception):
            due = in_django(server, "seed.left_to_do()")
            assert isinstance(due, dict)
            if not any(due.values()):
                return time.monotonic() - began
            say(f"not quiet yet: {due}")
        if time.monotonic() - began > QUIET_WITHIN * 2:
            return time.monotonic() - began
        time.sleep(1)


def _audit(
    server: Server,
    report: Report,
    receiver: Receiver,
    endpoints: dict[str, list[str]],
    usage: events.Run,
    alerts: Sequence[str],
) -> None:
    wrong = report.wrong
    if report.quiet_after > QUIET_WITHIN:
        wrong.append(f"quiet only after {report.quiet_after:.0f} s: {in_django(server, 'seed.left_to_do()')}")
    state = in_django(server, f"seed.audit_live({WALLET})")
    assert isinstance(state, dict)
    wrong += state["wrong"]
    report.invoices = state["invoices"]
    happened = _rows(server, "SELECT id, type FROM webhooks_event")
    report.events = len(happened)
    for path, types in endpoints.items():
        wanted = {id for id, type in happened if types == ["*"] or type in types}
        got = {id for at, id in receiver.accepted if at == path}
        report.deliveries += len(got)
        wrong += [f"{path} was never sent {id}" for id in sorted(wanted - got)[:5]]
        wrong += [f"{path} was sent {id}, which does not exist" for id in sorted(got - wanted)[:5]]
    report.delivered_again = sum(count - 1 for count in receiver.accepted.values())
    wrong += [f"{seen} came with {len(bodies)} bodies" for seen, bodies in receiver.bodies.items() if len(bodies) > 1]
    _audit_alerts(server, report, usage, alerts)


def _audit_alerts(server: Server, report: Report, usage: events.Run, alerts: Sequence[str]) -> None:
    """Every alert has fired once for each customer whose usage has come to it, and for nobody else."""
    used = dict(
        _rows(
            server,
            "SELECT c.id, sum(e.value) FROM meters_meterevent e JOIN customers_customer c ON c.ref = e.customer_ref"
            f" WHERE e.identifier LIKE '{usage.name}-%' GROUP BY 1",
        )
    )
    wanted = {(alert, id) for alert, step in zip(alerts, STEPS, strict=True) for id, sum in used.items() if sum >= step}
    fired = Counter(
        (alert, id) for alert, id in _rows(server, "SELECT alert_id, customer_id FROM alerts_alerttriggered")
    )
    told = Counter(
        (alert, id)
        for alert, id in _rows(
            server,
            "SELECT data->'object'->'alert'->>'id', data->'object'->>'customer' FROM webhooks_event"
            " WHERE type = 'billing.alert.triggered'",
        )
    )
    report.alerts = len(fired)
    for name, found in (("fired", fired), ("told", told)):
        report.wrong += [
            f"{pair} has {name} {found[pair]} times"
            for pair in wanted | found.keys()
            if found[pair] != (pair in wanted)
        ]


def _rows(server: Server, sql: str) -> list[Any]:
    with psycopg.connect(database_url(server)) as connection:
        return connection.execute(sql).fetchall()  # type: ignore[call-overload]
