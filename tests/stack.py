"""The whole running product, for tests of what only processes can show: the wire, crashes, the schedule."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOT_INHERITED = (
    "DATABASE_URL",
    "BROKER_URL",
    "SECRET_KEY",
    "DJANGO_SETTINGS_MODULE",
    "HOST",
    "DEBUG",
    "LIVEMODE",
)
NAMES = {"web": "uvicorn", "worker": "celery.*worker", "beat": "celery.*beat", "webhooks": "deliver_webhooks"}
NAMES |= {"postgres": "postgres -D", "valkey": "valkey-server"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def temporary_home() -> Path:
    """A home that the user PostgreSQL runs as can enter, also when we are root."""
    home = Path(tempfile.mkdtemp(prefix="countinghouse-home-"))
    home.chmod(0o711)
    return home


def children(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, path.read_text().split())
    return found


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def descendants(pid: int) -> list[int]:
    direct = children(pid)
    return direct + [other for child in direct for other in descendants(child)]


@dataclass
class Server:
    """One installation in a home and on a port of its own."""

    home: Path
    port: int = field(default_factory=free_port)
    environment: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = ("-m", "billing_project.embedded")
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def secret_key(self) -> str:
        return (self.home / "api_key").read_text()

    @property
    def admin_password(self) -> str:
        return (self.home / "admin_password").read_text()

    @property
    def log(self) -> str:
        return (self.home / "output.log").read_text()

    @property
    def env(self) -> dict[str, str]:
        """The environment in which `manage.py` meets the same database and broker."""
        kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        own = {"APP_HOME": str(self.home), "PORT": str(self.port), "DATABASE_POOL_SIZE": "8"}
        return kept | own | {"NO_COLOR": "1"} | self.environment

    def start(self, *arguments: str, timeout: float = 90) -> "Server":
        """Start it and wait until the address is printed."""
        command = [sys.executable, *self.program, "serve", *(arguments or ["--no-demo"])]
        with open(self.home / "output.log", "wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=log, stderr=log)
        wait_for(lambda: "Ctrl-C stops it" in self.log or self.process.poll() is not None, timeout=timeout)
        assert self.process.poll() is None, self.log
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def remove(self) -> None:
        if self.process and self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def pid(self, name: str) -> int:
        """The process of that name directly below the supervisor: web, worker, beat, webhooks, postgres, valkey."""
        return next(pid for pid in children(self.process.pid) if re.search(NAMES[name], command_line(pid)))

    def processes(self) -> list[int]:
        return [self.process.pid, *descendants(self.process.pid)]

    def get(self, path: str) -> tuple[int, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def answers(self, path: str = "/healthz") -> bool:
        try:
            return self.get(path)[0] == 200
        except OSError:
            return False

    def wait_until_ready(self, timeout: float = 60) -> None:
        wait_for(lambda: self.answers("/readyz"), timeout=timeout)

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.env, check=True, capture_output=True, text=True).stdout


def wait_for(condition, *, timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One running product for all tests of a worker; mark them `system` and `xdist_group("server")`."""
    running = Server(temporary_home())
    try:
        yield running.start()
    finally:
        running.remove()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A product that one test may break: not started yet."""
    made = Server(temporary_home())
    yield made
    made.remove()
