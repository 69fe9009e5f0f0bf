"""Clients that keep a log of what was acknowledged, while the servers behind them are killed: who is missing, who is
there twice?"""

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg

from billing_project import home
from tests.stack import Server, children, command_line, wait_for

EVENT = "fault_tokens"
SIZES = (1, 1, 1, 20, 20)  # events in a request of each client
ALREADY = "An event already exists with identifier {}."
BATCH = "/v2/billing/meter_event_batch"
# Whoever is killed again and again is else started again after up to half a minute.
HURRIED = (
    "-c",
    "import sys; from billing_project.embedded import __main__, supervisor;"
    " supervisor.LONGEST_PAUSE = 1.0; sys.exit(__main__.main())",
)
UNREACHABLE = (OSError, http.client.HTTPException, ValueError)
Name = str


class Api:
    """One connection to the API, made again after it broke."""

    def __init__(self, server: Server, *, key: str = "") -> None:
        self.server, self.connection = server, None
        self.authorization = {"Authorization": f"Bearer {key or server.secret_key}"}

    def call(self, method: str, path: str, **data: str) -> tuple[int, dict]:
        """Status and body; raises one of UNREACHABLE when there is no answer."""
        return self.send(method, path, urlencode(data).encode(), "application/x-www-form-urlencoded")

    def send_json(self, path: str, body: object) -> tuple[int, dict]:
        return self.send("POST", path, json.dumps(body).encode(), "application/json")

    def send(self, method: str, path: str, body: bytes, content_type: str) -> tuple[int, dict]:
        headers = self.authorization | {"Content-Type": content_type}
        try:
            self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=15)
            self.connection.request(method, path, body, headers)
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
    rollup: str
    kills: dict[str, int] = field(default_factory=dict)
    seed: int = 0

    @property
    def is_clean(self) -> bool:
        proved = self.rollup.strip() == "The rollup is what the events say."
        return proved and not (self.lost or self.doubled or self.other or self.refused)


class Client(threading.Thread):
    """Sends `size` events in each request, one request after the other, and writes each acknowledgement to disk before
    it sends the next. What is not acknowledged is sent again in the end, in requests of the same size."""

    def __init__(self, api: Api, customer: str, name: str, *, size: int, log: Path) -> None:
        super().__init__(daemon=True)
        self.api, self.customer, self.prefix, self.size = api, customer, name, size
        self.log = open(log, "ab")  # noqa: SIM115
        self.sent: dict[str, int] = {}
        self.acknowledged: set[str] = set()
        self.refused: dict[str, int] = {}
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            first = len(self.sent)
            names = [f"{self.prefix}-event-{first + place}" for place in range(self.size)]
            self.sent |= {name: 1 + place % 97 for place, name in enumerate(names, start=first)}
            if not self.send(names):
                time.sleep(0.25)

    def send(self, names: Sequence[str]) -> bool:
        """Whether all of them are settled: acknowledged, now or before."""
        try:
            settled = self._single(names[0]) if self.size == 1 else self._batch(names)
        except UNREACHABLE:
            return False
        self.acknowledged |= settled
        self.log.write("".join(f"{name}\n" for name in settled).encode())
        self.log.flush()
        os.fsync(self.log.fileno())
        return settled == set(names)

    def _single(self, name: str) -> set[str]:
        payload = {f"payload[{key}]": text for key, text in self._payload(name).items()}
        status, body = self.api.call("POST", "/v1/billing/meter_events", event_name=EVENT, identifier=name, **payload)
        if status == 200 or (status == 400 and body["error"]["message"] == ALREADY.format(name)):
            return {name}
        self._note(status, body)
        return set()

    def _batch(self, names: Sequence[str]) -> set[str]:
        events = [{"event_name": EVENT, "identifier": name, "payload": self._payload(name)} for name in names]
        status, body = self.api.send_json(BATCH, {"events": events})
        if status != 200:
            self._note(status, body)
            return set()
        for result in body["results"]:
            if result["status"] not in ("stored", "duplicate"):
                self._note(400, result)
        return {result["identifier"] for result in body["results"] if result["status"] in ("stored", "duplicate")}

    def _payload(self, name: str) -> dict[str, str]:
        return {"stripe_customer_id": self.customer, "value": str(self.sent[name])}

    def _note(self, status: int, body: object) -> None:
        """A refusal that says neither "later" nor "the server has failed": there has to be none."""
        if status < 500 and status != 429:
            self.refused[str(body)] = self.refused.get(str(body), 0) + 1

    def settle(self) -> int:
        """Send again, under the same identifiers, what was never acknowledged; how many these were."""
        open_ = [name for name in self.sent if name not in self.acknowledged]
        for start in range(0, len(open_), self.size):
            names = open_[start : start + self.size]
            wait_for(lambda names=names: self.send(names), timeout=60)
        return len(open_)


class Run:
    """Clients at work against servers that share a database; the first of them has it."""

    def __init__(self, servers: Sequence[Server], log: Path, chance: random.Random) -> None:
        self.servers, self.chance, self.log, self.began = servers, chance, log, int(time.time())
        self.name, self.key = f"client-{time.time_ns()}", servers[0].secret_key
        api = Api(servers[0])
        self.meter = api.make(
            "/v1/billing/meters",
            display_name="Fault tokens",
            event_name=EVENT,
            **{"default_aggregation[formula]": "sum"},
        )
        self.customers = [api.make("/v1/customers", name=f"Fault {number}") for number in range(len(SIZES))]
        self.clients = [
            Client(Api(server, key=self.key), customer, f"{self.name}-{place}-{number}", size=size, log=log)
            for place, server in enumerate(servers)
            for number, (customer, size) in enumerate(zip(self.customers, SIZES, strict=True))
        ]

    def acknowledged(self) -> int:
        return sum(len(client.acknowledged) for client in self.clients)

    def start(self) -> "Run":
        for client in self.clients:
            client.start()
        return self

    def until_flowing(self) -> None:
        """Until each client has been answered again."""
        before = [len(client.acknowledged) for client in self.clients]
        wait_for(lambda: all(len(c.acknowledged) > n for c, n in zip(self.clients, before, strict=True)), timeout=120)

    def kill(self, name: Name) -> None:
        """kill -9, at some moment while events are flowing; of web any one of its processes, of any server."""
        self.until_flowing()
        time.sleep(self.chance.random() * 0.3)
        if name == "web":
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.chance.choice(web_processes(self.chance.choice(self.servers))), signal.SIGKILL)
        else:
            os.kill(pid_of(self.servers[0], name), signal.SIGKILL)

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
            rollup=proof_of_rollups(self.servers[0]),
        )

    def stored(self) -> dict[str, int]:
        """What the database holds, read around the product."""
        with psycopg.connect(database_url(self.servers[0])) as connection:
            found = "SELECT identifier, value::int FROM meters_meterevent WHERE identifier LIKE %s"
            return dict(connection.execute(found, [f"{self.name}-%"]).fetchall())

    def counted(self) -> int:
        """What the API says was used."""
        start = self.began - self.began % 60
        window = f"start_time={start}&end_time={start + 86400}"
        total, api = 0, Api(self.servers[0])  # the connection of the beginning is long dead
        for customer in self.customers:
            path = f"/v1/billing/meters/{self.meter}/event_summaries?customer={quote(customer)}&{window}"
            status, body = api.call("GET", path)
            assert status == 200, body
            total += sum(int(row["aggregated_value"]) for row in body["data"])
        return total


def pid_of(server: Server, name: Name) -> int:
    """Of a process that may just be starting again: answers were on their way when the one before it was killed."""
    found: list[int] = []

    def is_there() -> bool:
        with contextlib.suppress(StopIteration):
            found.append(server.pid(name))
        return bool(found)

    wait_for(is_there, timeout=60)
    return found[0]


def web_processes(server: Server) -> list[int]:
    """The web server, and with WEB_WORKERS above one its workers."""
    first = pid_of(server, "web")
    return [first, *(pid for pid in children(first) if "resource_tracker" not in command_line(pid))]


def proof_of_rollups(server: Server) -> str:
    """What `rebuild_rollups --check` says."""
    try:
        return server.manage("rebuild_rollups", "--check")
    except subprocess.CalledProcessError as error:
        return str(error.stdout)


def database_url(server: Server, user: str = home.APP) -> str:
    return f"postgresql://{user}@/{home.APP}?host={home.short_dir(server.home / 'pg')}&port=5432"


@contextlib.contextmanager
def neighbour(server: Server, directory: Path) -> Iterator[Server]:
    """A second installation with a port of its own and the database and broker of the first."""
    broker = home.short_dir(server.home / "vk") / "broker.sock"
    shared = {"DATABASE_URL": database_url(server), "BROKER_URL": f"redis+socket://{broker}"}
    secret = {"SECRET_KEY": (server.home / "secret_key").read_text().strip()}
    made = Server(directory, environment=server.environment | shared | secret, program=server.program)
    try:
        yield made.start()
    finally:
        made.remove()


def forget_the_last_moment(server: Server) -> None:
    """Let PostgreSQL acknowledge what it has not written yet: the control, which has to lose events."""
    with psycopg.connect(database_url(server, "postgres"), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_commit = off")
        connection.execute("SELECT pg_reload_conf()")


def run(
    servers: Sequence[Server],
    kills: Sequence[Name],
    log: Path,
    *,
    forgetful: bool = False,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Send events while the named processes are killed, one after the other."""
    running = Run(servers, log, random.Random(seed))
    if forgetful:
        forget_the_last_moment(servers[0])
    running.start()
    done: dict[str, int] = {}
    for name in kills:
        running.kill(name)
        done[name] = done.get(name, 0) + 1
        say(f"killed {name} ({sum(done.values())} of {len(kills)}), {running.acknowledged()} acknowledged")
    running.until_flowing()
    report = running.finish()
    report.kills, report.seed = done, seed
    return report
