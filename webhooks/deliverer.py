"""The process that delivers: takes what is due, sends it in threads, writes down what came of it.

Killed at any point it loses nothing: what it had taken is sent again when its lease ends, under the same id. Any
number of them work at once. One thread talks to the database; those that send only wait for receivers, a few for each
endpoint at most, so that one that hangs costs the others nothing.
"""

import logging
import threading
import time
from collections import Counter, deque
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue

import psycopg
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from core import clock, secrecy
from core.health import DELIVERER
from core.mail import send_due_mail
from core.models import Heartbeat
from webhooks import signatures, transport
from webhooks.bodies import body_of
from webhooks.claims import Claim, claim_due
from webhooks.endpoint_models import Endpoint
from webhooks.outcomes import record_outcome
from webhooks.transport import Answer

CHANNEL = "countinghouse_deliveries"
POLL_SECONDS = 1.0
HEARTBEAT_EVERY = timedelta(seconds=5)
STOP_SECONDS = 3.0  # what is being sent may end within these; else it is sent again

log = logging.getLogger(__name__)


class Deliverer:
    """One process's work. `run` is its main thread."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        # What ended, or None: there may be something to do.
        self.told: SimpleQueue[tuple[Claim, Answer] | None] = SimpleQueue()
        self.ended: deque[tuple[Claim, Answer]] = deque()
        self.busy: Counter[str] = Counter()
        self.beat_at: datetime | None = None

    def run(self) -> None:
        """Deliver until `stop`."""
        for work in (self._listen, self._send_mail):
            threading.Thread(target=work, daemon=True).start()
        while not self.stopped.is_set():
            self._wait(POLL_SECONDS)
            self._try_step()
        end = time.monotonic() + STOP_SECONDS
        while self.busy.total() and time.monotonic() < end:
            self._wait(0.1)
        self._try_record()

    def stop(self) -> None:
        self.stopped.set()
        self.told.put(None)

    def step(self, at: datetime) -> None:
        """Write down what has ended, and begin what is due and has room."""
        self._record(at)
        self._beat(at)
        enabled = Endpoint.objects.enabled().values_list("pk", flat=True)
        room = {id: settings.WEBHOOKS_AT_ONCE - self.busy[id] for id in enabled}
        for claim in claim_due(room, at):
            self.busy[claim.endpoint.pk] += 1
            threading.Thread(target=self._send, args=[claim], daemon=True).start()

    def _send(self, claim: Claim) -> None:
        """In a thread of its own, without the database. An error of ours is an outcome too: it stops no other."""
        try:
            answer = send(claim, clock.now())
        except Exception:
            log.exception("delivery %s could not be sent", claim.delivery.pk)
            answer = Answer(problem="not sent: an error of ours, see the log")
        self.told.put((claim, answer))

    def _wait(self, seconds: float) -> None:
        """Until something ends or is told, or for so long; then take all of it."""
        try:
            one = self.told.get(timeout=seconds)
            while True:
                if one is not None:
                    self.busy[one[0].endpoint.pk] -= 1
                    self.ended.append(one)
                one = self.told.get_nowait()
        except Empty:
            return

    def _record(self, at: datetime) -> None:
        """What cannot be written down now, because somebody has its endpoint, holds up nothing else."""
        for _ in range(len(self.ended)):
            claim, answer = self.ended[0]
            if not record_outcome(claim, answer, at=at):
                self.ended.append((claim, answer))
            self.ended.popleft()

    def _beat(self, at: datetime) -> None:
        if self.beat_at is None or at - self.beat_at >= HEARTBEAT_EVERY:
            Heartbeat.objects.update_or_create(name=DELIVERER, defaults={"beat_at": at})
            self.beat_at = at

    def _try_step(self) -> None:
        try:
            self.step(clock.now())
        except (OperationalError, InterfaceError) as error:  # the database is away, or somebody holds a row
            log.warning("nothing is delivered for now: %s", str(error).strip())
            connection.close()
            self.stopped.wait(POLL_SECONDS)

    def _try_record(self) -> None:
        try:
            self._record(clock.now())
        except (OperationalError, InterfaceError) as error:
            log.warning("what was sent last will be sent again: %s", str(error).strip())

    def _listen(self) -> None:
        """Hear from the database when something is put into the outbox."""
        while not self.stopped.is_set():
            try:
                with psycopg.connect(**connection.get_connection_params(), autocommit=True) as own:
                    own.execute(f"LISTEN {CHANNEL}")
                    while not self.stopped.is_set():
                        for _ in own.notifies(timeout=POLL_SECONDS, stop_after=1):
                            self.told.put(None)
            except (psycopg.Error, OSError):
                self.stopped.wait(POLL_SECONDS)

    def _send_mail(self) -> None:
        """Mail servers can be slow, too."""
        while not self.stopped.wait(POLL_SECONDS):
            try:
                send_due_mail()
            except (OperationalError, InterfaceError):
                connection.close()


def send(claim: Claim, at: datetime) -> Answer:
    """One attempt, signed anew."""
    body = body_of(claim.delivery, claim.endpoint, claim.event)
    keys = [secrecy.unseal(sealed) for sealed in claim.sealed]
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Countinghouse/1 (webhooks)"}
    headers |= signatures.headers(body, event_id=claim.event.pk, unix=int(at.timestamp()), keys=keys)
    return transport.post(claim.endpoint.url, body, headers)
