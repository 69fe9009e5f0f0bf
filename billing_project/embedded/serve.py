"""What `script/server` runs: the servers where none are given, the database made ready, then the product."""

import http.client
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from billing_project import credentials, home
from billing_project.embedded.lock import home_lock
from billing_project.embedded.postgres import Postgres
from billing_project.embedded.processes import SUPERVISED, Child, StartError
from billing_project.embedded.supervisor import Supervisor
from billing_project.embedded.valkey import Valkey

ROOT = Path(__file__).resolve().parent.parent.parent
# A connection that a client keeps is closed late, or the client would find it closed when it sends. On a stop,
# requests get less time to end than the supervisor gives their process (STOP_WITHIN).
WEB_OPTIONS = ["--loop", "uvloop", "--http", "httptools", "--ws", "none", "--lifespan", "on", "--no-proxy-headers"]
WEB_OPTIONS += ["--no-server-header", "--no-access-log", "--log-level", "warning"]
WEB_OPTIONS += ["--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "10", "--timeout-worker-healthcheck", "10"]


def positive(name: str, default: int) -> int:
    """The environment variable `name`, a whole number above zero."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise StartError(f"{name} must be a whole number above 0, not {text!r}.")
    return int(text)


@dataclass(frozen=True)
class Address:
    host: str
    port: int

    @staticmethod
    def from_environment() -> "Address":
        return Address(os.environ.get("HOST") or "127.0.0.1", positive("PORT", 8000))

    @property
    def near(self) -> str:
        """How this machine itself reaches it."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104

    @property
    def url(self) -> str:
        host = f"[{self.near}]" if ":" in self.near else self.near
        return f"http://{host}:{self.port}"

    def check_free(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
            except (OSError, OverflowError) as error:
                raise StartError(
                    f"Port {self.port} on {self.host} cannot be used ({error}). "
                    "Set PORT to another one, for example PORT=8001 script/server"
                ) from error

    def answers(self) -> bool:
        connection = http.client.HTTPConnection(self.near, self.port, timeout=5)
        try:
            connection.request("GET", "/healthz", headers={"Host": "localhost"})
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def product(address: Address, *, inherit: tuple[int, ...]) -> list[Child]:
    """Web, worker, beat, and the deliverer of webhooks."""
    positive("WEB_THREADS", 4)  # read in settings; refused here, before anything runs
    python = [sys.executable, "-m"]
    web = [*python, "uvicorn", "billing_project.asgi:application", "--host", address.host, "--port", str(address.port)]
    web += ["--workers", str(positive("WEB_WORKERS", 1)), *WEB_OPTIONS]
    celery = [*python, "celery", "--quiet", "-A", "billing_project"]
    worker = [*celery, "worker", "--concurrency", str(positive("WORKER_CONCURRENCY", 1))]
    worker += ["--without-gossip", "--without-mingle"]
    beat = [*celery, "beat", "--pidfile="]
    webhooks = [sys.executable, "manage.py", "deliver_webhooks"]
    commands = {"web": web, "worker": worker, "beat": beat, "webhooks": webhooks}
    return [child(name, command, inherit=inherit) for name, command in commands.items()]


def child(name: str, command: list[str], *, inherit: tuple[int, ...]) -> Child:
    own = {SUPERVISED: "1", "PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "billing_project.settings"}
    return Child(name, command, env=os.environ | own, inherit=inherit, cwd=ROOT)


def serve(*, demo: bool) -> None:
    """Run the product until a signal comes."""
    address = Address.from_environment()
    home.database_url()  # refuses what is not PostgreSQL before anything is started
    supervisor = Supervisor()
    with home_lock(home.app_home()) as lock, supervisor.until_stopped():
        address.check_free()
        start_servers(supervisor, lock)
        prepare = [sys.executable, "manage.py", "prepare", *([] if demo else ["--no-demo"])]
        if code := supervisor.run_to_end(child("setup", prepare, inherit=(lock,))):
            raise StartError(f"The database could not be made ready (exit code {code}); see above.")
        for process in product(address, inherit=(lock,)):
            supervisor.add(process)
        supervisor.watch(until=address.answers, may_die=False)
        supervisor.screen.plain(welcome(address))
        supervisor.watch()


def start_servers(supervisor: Supervisor, lock: int) -> None:
    """The embedded PostgreSQL and Valkey, each unless the environment names another."""
    if not os.environ.get("DATABASE_URL"):
        supervisor.add(Postgres(home.postgres_dir(), inherit=(lock,)))
    if not os.environ.get("BROKER_URL"):
        supervisor.add(Valkey(home.valkey_dir(), inherit=(lock,)))


def welcome(address: Address) -> str:
    password, key = credentials.admin_password(), credentials.api_key()
    lines = ["", f"Countinghouse is running at {address.url}", ""]
    lines.append(f"  Admin      {address.url}/admin/")
    lines.append(f"  Login      {credentials.ADMIN}  {password or '(its password was changed)'}")
    lines.append(f"  API key    {key or '(make one: manage.py create_api_key --name NAME)'}")
    lines.append(f"  Data       {home.app_home()}")
    return "\n".join([*lines, "", "Ctrl-C stops it.", ""])
