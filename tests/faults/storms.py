"""Many senders over HTTP who say the same thing, or contradict each other, or touch the same rows in any order."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import psycopg

from tests.faults.events import BATCH, Api, database_url, proof_of_rollups
from tests.stack import Server

THREADS = 8
DAY = 86_400
PROVED = "The rollup is what the events say."
Event = dict[str, Any]


@dataclass
class Storm:
    """What a storm has left behind; `answers` counts what the senders were told."""

    answers: dict[str, int]
    wrong: list[str] = field(default_factory=list)


def duplicates(server: Server, *, identifiers: int, sends: int, chance: random.Random) -> Storm:
    """Each event is sent many times, by all threads, singly and in batches: it is stored and counted once."""
    place = _Place(server, "storm_duplicates", "sum")
    events = [place.event(f"duplicate-{n}", value=str(1 + n % 97)) for n in range(identifiers)]
    calls = [event for event in events for _ in range(sends)]
    chance.shuffle(calls)
    answers = place.from_all_threads(_mixed(calls, chance))
    stored = place.stored("duplicate-%")
    wrong = _unless(len(stored) == identifiers, f"{len(stored)} events stored of {identifiers}")
    wrong += _unless(
        answers == {"stored": identifiers, "duplicate": identifiers * (sends - 1)}, f"the answers were {answers}"
    )
    wanted = sum(int(event["payload"]["value"]) for event in events)
    wrong += _unless(place.counted() == wanted, f"{place.counted()} counted instead of {wanted}")
    return Storm(answers, wrong + place.rollups())


def conflicts(server: Server, *, identifiers: int, chance: random.Random) -> Storm:
    """Of several contents under one identifier exactly one stands, and who sent another is told so."""
    place = _Place(server, "storm_conflicts", "sum")
    calls = [
        place.event(f"conflict-{n}", value=str(content))
        for n in range(identifiers)
        for content in range(1, THREADS + 1)
    ]
    chance.shuffle(calls)
    told: list[tuple[Event, str]] = []
    answers = place.from_all_threads(_mixed(calls, chance), told)
    stored = place.stored("conflict-%")
    winners = {event["identifier"]: int(event["payload"]["value"]) for event, answer in told if answer == "stored"}
    wrong = _unless(
        answers == {"stored": identifiers, "conflict": identifiers * (THREADS - 1)}, f"the answers were {answers}"
    )
    wrong += _unless(stored == winners, "what is stored is not what was acknowledged")
    wrong += _unless(place.counted() == sum(winners.values()), "what is counted is not what was acknowledged")
    return Storm(answers, wrong + place.rollups())


def crossing(server: Server, *, rounds: int, size: int, chance: random.Random) -> Storm:
    """Batches that all touch the same days, values and combinations of dimensions, each in an order of its own: none
    waits for another that waits for it."""
    places = [
        _Place(server, "storm_sum", "sum", dimensions=("model", "region")),
        _Place(server, "storm_unique", "unique"),
    ]
    customers = [places[0].customer, *(places[0].new_customer() for _ in range(3))]
    before = _deadlocks(server)
    batches = []
    for number in range(rounds * THREADS):
        events = [
            chance.choice(places).event(
                f"crossing-{number}-{n}",
                value=str(chance.randrange(20)),
                customer=chance.choice(customers),
                timestamp=int(time.time()) - chance.randrange(5) * DAY,
                model=chance.choice("abc"),
                region=chance.choice("xy"),
            )
            for n in range(size)
        ]
        batches.append(events)
    answers = places[0].from_all_threads(batches)
    wanted = {"stored": rounds * THREADS * size}
    wrong = _unless(answers == wanted, f"the answers were {answers}, not {wanted}")
    wrong += _unless(_deadlocks(server) == before, f"{_deadlocks(server) - before} deadlocks")
    return Storm(answers, wrong + places[0].rollups())


class _Place:
    """A meter and a customer for one storm."""

    def __init__(self, server: Server, event_name: str, formula: str, *, dimensions: Sequence[str] = ()) -> None:
        self.server, self.api = server, Api(server)
        self.event_name = f"{event_name}_{time.time_ns()}"
        keys = {f"dimension_payload_keys[{n}]": key for n, key in enumerate(dimensions)}
        self.meter = self.api.make(
            "/v1/billing/meters",
            display_name=event_name,
            event_name=self.event_name,
            **({"default_aggregation[formula]": formula} | keys),
        )
        self.customer = self.new_customer()
        self.began = int(time.time()) // 60 * 60

    def new_customer(self) -> str:
        return self.api.make("/v1/customers", name="Storm")

    def event(
        self, identifier: str, *, value: str, customer: str = "", timestamp: int | None = None, **payload: str
    ) -> Event:
        names = {"stripe_customer_id": customer or self.customer, "value": value} | payload
        found = {"event_name": self.event_name, "identifier": f"{identifier}-{self.event_name}", "payload": names}
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(timestamp)) if timestamp else None
        return found | ({"timestamp": at} if at else {})

    def from_all_threads(
        self, requests: Sequence[Sequence[Event]], told: list[tuple[Event, str]] | None = None
    ) -> dict[str, int]:
        """Send these, each a single event or a batch; how often each answer came."""
        shares = [requests[place::THREADS] for place in range(THREADS)]
        with ThreadPoolExecutor(THREADS) as threads:
            answers = [pair for share in threads.map(self._send_all, shares) for pair in share]
        if told is not None:
            told += answers
        return dict(Counter(answer for _, answer in answers))

    def _send_all(self, requests: Sequence[Sequence[Event]]) -> list[tuple[Event, str]]:
        api = Api(self.server)
        return [pair for events in requests for pair in zip(events, _answers(api, events), strict=True)]

    def stored(self, like: str) -> dict[str, int]:
        """Value by identifier, read around the product."""
        with psycopg.connect(database_url(self.server)) as connection:
            rows = connection.execute(
                "SELECT identifier, value::int FROM meters_meterevent WHERE identifier LIKE %s",
                [f"{like}-{self.event_name}"],
            )
            return dict(rows.fetchall())

    def counted(self) -> int:
        window = f"start_time={self.began - 3600}&end_time={self.began + 3600}"
        path = f"/v1/billing/meters/{self.meter}/event_summaries?customer={quote(self.customer)}&{window}"
        status, body = Api(self.server).call("GET", path)
        assert status == 200, body
        return sum(int(row["aggregated_value"]) for row in body["data"])

    def rollups(self) -> list[str]:
        said = proof_of_rollups(self.server).strip()
        return _unless(said == PROVED, said)


def _mixed(calls: Sequence[Event], chance: random.Random) -> list[list[Event]]:
    """Some singly, some in batches, in which nothing is there twice: a batch answers for its first alone."""
    requests: list[list[Event]] = []
    waiting: list[Event] = []
    for call in calls:
        if chance.random() < 0.5:
            requests.append([call])
            continue
        if any(call["identifier"] == other["identifier"] for other in waiting) or len(waiting) == 20:
            requests.append(waiting)
            waiting = []
        waiting.append(call)
    return [*requests, waiting] if waiting else requests


def _answers(api: Api, events: Sequence[Event]) -> list[str]:
    """Of each event: stored, duplicate, conflict, or what else came."""
    if len(events) > 1:
        status, body = api.send_json(BATCH, {"events": list(events)})
        return [one["status"] for one in body["results"]] if status == 200 else [json.dumps(body)] * len(events)
    (event,) = events
    payload = {f"payload[{name}]": text for name, text in event["payload"].items()}
    named = {"event_name": event["event_name"], "identifier": event["identifier"]}
    status, body = api.call("POST", "/v1/billing/meter_events", **(named | payload))
    if status == 200:
        return ["stored"]
    message = body["error"]["message"]
    if "already exists with identifier" not in message:
        return [message]
    return ["duplicate" if message.endswith(f"{event['identifier']}.") else "conflict"]


def _deadlocks(server: Server) -> int:
    with psycopg.connect(database_url(server)) as connection:
        row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
        assert row
        return int(row[0])


def _unless(holds: bool, what: str) -> list[str]:
    return [] if holds else [what]


ALL: dict[str, Callable[[Server, random.Random], Storm]] = {
    "200 identifiers, 50 sends each": lambda server, chance: duplicates(
        server, identifiers=200, sends=50, chance=chance
    ),
    "200 identifiers, 8 contents each": lambda server, chance: conflicts(server, identifiers=200, chance=chance),
    "800 batches of 100 in any order": lambda server, chance: crossing(server, rounds=100, size=100, chance=chance),
}
