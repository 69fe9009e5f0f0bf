"""Clients that keep a log of what was acknowledged, while the servers behind them are killed: who is missing, who is
there twice?"""

import http.client
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg

from billing_project import home
from tests.stack import Server, wait_for

EVENT = "fault_tokens"
CLIENTS = 4
UNREACHABLE = (OSError, http.client.HTTPException, ValueError)
Name = str


class Api:
    """One connection to the API, made again after it broke."""

    def __init__(self, server: Server) -> None:
        self.server, self.connection = server, None
        self.headers = {
            "Authorization": f"Bearer {server.secret_key}",
            "Content-Type": "application/x-www-form-urlencoded",
        }

    def call(self, method: str, path: str, **data: str) -> tuple[int, dict]:
        """Status and body; raises one of UNREACHABLE when there is no answer."""
        try:
            self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=15)
            self.connection.request(method, path, urlencode(data), self.headers)
            answer = self.connection.getresponse()
            return answer.status, json.loads(answer.read())
        except UNREACHABLE:
            self.connection.close()
            self.connection = None
            raise

    def make(self, path: str, **data: str) -> str:
        status, body = self.call("POST", path, **data)
        assert status == 200, body
        return body["id"]


@dataclass
class Report:
    """What a run has shown."""

    sent: int
    acknowledged: int
    resent: int
    refused: dict[str, int]
    lost: int
    doubled: int
    other: int
    kills: dict[str, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.other or self.refused)


class Client(threading.Thread):
    """Sends one event after the other and writes each acknowledgement to disk before it sends the next."""

    def __init__(self, server: Server, customer: str, number: int, log: Path) -> None:
        super().__init__(daemon=True)
        self.api, self.customer, self.number = Api(server), customer, number
        self.log = open(log, "ab")  # noqa: SIM115
        self.sent: dict[str, int] = {}
        self.acknowledged: set[str] = set()
        self.refused: dict[str, int] = {}
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            number = len(self.sent)
            identifier = f"client-{self.number}-event-{number}"
            self.sent[identifier] = 1 + number % 97
            if not self.send(identifier):
                time.sleep(0.25)

    def send(self, identifier: str) -> bool:
        """Whether it is settled: acknowledged, now or before."""
        payload = {"payload[stripe_customer_id]": self.customer, "payload[value]": str(self.sent[identifier])}
        try:
            status, body = self.api.call(
                "POST", "/v1/billing/meter_events", event_name=EVENT, identifier=identifier, **payload
            )
        except UNREACHABLE:
            return False
        duplicate = status == 400 and "already exists with identifier" in body["error"]["message"]
        if status == 200 or duplicate:
            self.acknowledged.add(identifier)
            self.log.write(identifier.encode() + b"\n")
            self.log.flush()
            os.fsync(self.log.fileno())
            return True
        if status < 500:
            self.refused[str(body)] = self.refused.get(str(body), 0) + 1
        return False

    def settle(self) -> int:
        """Send again, under the same identifier, what was never acknowledged; how many these were."""
        open_ = [identifier for identifier in self.sent if identifier not in self.acknowledged]
        for identifier in open_:
            wait_for(lambda identifier=identifier: self.send(identifier), timeout=60)
        return len(open_)


class Run:
    """Clients at work against one server."""

    def __init__(self, server: Server, log: Path) -> None:
        self.server, self.began = server, int(time.time())
        api = Api(server)
        self.meter = api.make(
            "/v1/billing/meters",
            display_name="Fault tokens",
            event_name=EVENT,
            **{"default_aggregation[formula]": "sum"},
        )
        self.customers = [api.make("/v1/customers", name=f"Fault {number}") for number in range(CLIENTS)]
        self.clients = [Client(server, customer, n, log) for n, customer in enumerate(self.customers)]
        self.log = log

    def acknowledged(self) -> int:
        return sum(len(client.acknowledged) for client in self.clients)

    def start(self) -> "Run":
        for client in self.clients:
            client.start()
        return self

    def until_flowing(self, events: int = 40) -> None:
        wanted = self.acknowledged() + events
        wait_for(lambda: self.acknowledged() >= wanted, timeout=120)

    def kill(self, name: Name) -> None:
        """kill -9, at some moment while events are flowing."""
        self.until_flowing()
        time.sleep(random.random() * 0.3)
        os.kill(self.server.pid(name), signal.SIGKILL)

    def finish(self) -> Report:
        for client in self.clients:
            client.stopping.set()
        for client in self.clients:
            client.join(60)
        acknowledged = self.acknowledged()
        logged = set(self.log.read_text().split())
        stored = self.stored()
        lost = len(logged - stored.keys())
        resent = sum(client.settle() for client in self.clients)
        stored = self.stored()
        sent = {name: value for client in self.clients for name, value in client.sent.items()}
        return Report(
            sent=len(sent),
            acknowledged=acknowledged,
            resent=resent,
            refused={what: count for client in self.clients for what, count in client.refused.items()},
            lost=lost,
            doubled=self.counted() - sum(stored[name] for name in sent if name in stored),
            other=len(stored.keys() ^ sent.keys()) - len(logged - stored.keys()),
        )

    def stored(self) -> dict[str, int]:
        """What the database holds, read around the product."""
        with psycopg.connect(database_url(self.server)) as connection:
            rows = connection.execute("SELECT identifier, value::int FROM meters_meterevent").fetchall()
        return {identifier: value for identifier, value in rows if identifier.startswith("client-")}

    def counted(self) -> int:
        """What the API says was used."""
        start = self.began - self.began % 60
        window = f"start_time={start}&end_time={start + 86400}"
        total, api = 0, Api(self.server)  # the connection of the beginning is long dead
        for customer in self.customers:
            path = f"/v1/billing/meters/{self.meter}/event_summaries?customer={quote(customer)}&{window}"
            status, body = api.call("GET", path)
            assert status == 200, body
            total += sum(int(row["aggregated_value"]) for row in body["data"])
        return total


def database_url(server: Server, user: str = home.APP) -> str:
    return f"postgresql://{user}@/{home.APP}?host={home.short_dir(server.home / 'pg')}&port=5432"


def forget_the_last_moment(server: Server) -> None:
    """Let PostgreSQL acknowledge what it has not written yet: the control, which has to lose events."""
    with psycopg.connect(database_url(server, "postgres"), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_commit = off")
        connection.execute("SELECT pg_reload_conf()")


def run(
    server: Server,
    kills: list[Name],
    log: Path,
    *,
    forgetful: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Send events while the named processes are killed, one after the other."""
    running = Run(server, log)
    if forgetful:
        forget_the_last_moment(server)
    running.start()
    done: dict[str, int] = {}
    for name in kills:
        running.kill(name)
        done[name] = done.get(name, 0) + 1
        say(f"killed {name} ({sum(done.values())} of {len(kills)}), {running.acknowledged()} acknowledged")
    running.until_flowing()
    report = running.finish()
    report.kills = done
    return report
