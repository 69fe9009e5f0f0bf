"""Two beats and four workers share one installation, while workers are killed and stopped and the broker is emptied."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import redis

from billing_project import home
from billing_project.embedded.processes import SUPERVISED
from tests.stack import ROOT, Server

CELERY = ("-m", "celery", "--quiet", "-A", "billing_project")
EXTRA_WORKERS = 3
WEEKS = 4  # whole periods that have ended for each subscription


def in_django(server: Server, code: str) -> object:
    """The value of an expression over `tests.faults.seed`, in the installation."""
    told = server.manage(
        "shell", "-v", "0", "-c", f"import json; from tests.faults import seed; print(json.dumps({code}))"
    )
    return json.loads(told.splitlines()[-1])


class Extra:
    """A process beside those of the supervisor, in a group of its own."""

    def __init__(self, server: Server, *arguments: str, command: Sequence[str] = CELERY) -> None:
        own = {"DJANGO_SETTINGS_MODULE": "billing_project.settings", SUPERVISED: "1"}
        command = [sys.executable, *command, *arguments]
        with open(server.home / "extra.log", "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=server.env | own, stdout=log, stderr=log, start_new_session=True
            )

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def end(self) -> None:
        self.send(signal.SIGCONT)
        self.send(signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def crowd(server: Server) -> Iterator[list[Extra]]:
    """A second beat (the first of the list) and three more workers."""
    started = [Extra(server, "beat", "--pidfile=")]
    options = ("--concurrency", "1", "--without-gossip", "--without-mingle")
    started += [Extra(server, "worker", *options, "-n", f"extra{n}@%h") for n in range(EXTRA_WORKERS)]
    try:
        yield started
    finally:
        for extra in started:
            extra.end()


def run(
    server: Server, *, customers: int, kills: int, timeout: float, say: Callable[[str], None] = lambda line: None
) -> dict[str, object]:
    """Make much due, disturb whoever does it, and wait until all is done; returns the final state."""
    broker = redis.Redis(unix_socket_path=str(home.short_dir(server.home / "vk") / "broker.sock"))
    flushes = killed = stopped = 0
    deadline = time.monotonic() + timeout
    with crowd(server) as extras:
        in_django(server, f"(seed.hurry(), seed.subscribe_long_ago({customers}, {WEEKS}))")
        while time.monotonic() < deadline:
            for _ in range(5):
                time.sleep(random.random() * 0.4)
                broker.flushall()
                flushes += 1
            if killed < kills:
                extras[-1 - killed % 2].end()
                extras[-1 - killed % 2] = Extra(server, "worker", "--concurrency", "1", "-n", f"again{killed}@%h")
                killed += 1
            if stopped < kills:
                extras[1].send(signal.SIGSTOP)
                time.sleep(0.5)
                extras[1].send(signal.SIGCONT)
                stopped += 1
            state = in_django(server, "seed.state()")
            assert isinstance(state, dict)
            say(f"{state['invoices']} of {customers * WEEKS} invoices, {state['due']} due, {killed} killed")
            if killed >= kills and not state["due"] and state["invoices"]:
                break
    return state | {"flushes": flushes, "killed": killed, "stopped": stopped}
