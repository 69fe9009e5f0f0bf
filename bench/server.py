"""A PostgreSQL that forces everything to disk, with the settings that a busy installation should have; a broker and web
servers beside it, run as the product runs its own; and what CPU they all use."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import django
import psycopg
from django.core.management import call_command

from billing_project import home
from billing_project.embedded.postgres import Postgres
from billing_project.embedded.serve import WEB_OPTIONS, Address, product
from billing_project.embedded.valkey import Valkey

SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "30min"}
WITHIN = 60.0  # seconds in which a server has to answer


@contextmanager
def running(directory: Path) -> Iterator[Postgres]:
    postgres, valkey = Postgres(home.postgres_dir()), Valkey(home.valkey_dir())
    postgres.start()
    valkey.start()
    try:
        with psycopg.connect(postgres.url(user="postgres", database="postgres"), autocommit=True) as connection:
            for name, value in SETTINGS.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            connection.execute("GRANT pg_checkpoint TO countinghouse")
        postgres.stop()
        postgres.start()
        django.setup()
        call_command("migrate", verbosity=0)
        yield postgres
    finally:
        postgres.stop()
        valkey.kill()


class Web:
    """A running web server."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    def cpu(self) -> int:
        """Nanoseconds that its processes have used."""
        return cpu_of(self.process.pid)


@contextmanager
def product_web() -> Iterator[Web]:
    """The product's own, as `script/server` starts it (WEB_WORKERS, WEB_THREADS)."""
    port = free_port()
    web = next(child for child in product(Address("127.0.0.1", port), inherit=()) if child.name == "web")
    with _web(web.command, web.env, port) as started:
        yield started


@contextmanager
def other_web(application: str, *, workers: int, settings: str = "") -> Iterator[Web]:
    """The same server around another application."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", application, "--host", "127.0.0.1", "--port", str(port)]
    command += [*WEB_OPTIONS, "--lifespan", "off", "--workers", str(workers)]
    with _web(command, os.environ | ({"DJANGO_SETTINGS_MODULE": settings} if settings else {}), port) as started:
        yield started


@contextmanager
def _web(command: list[str], env: Mapping[str, str] | None, port: int) -> Iterator[Web]:
    process = subprocess.Popen(command, env=env)
    try:
        deadline = time.monotonic() + WITHIN
        while not _answers(port):
            assert process.poll() is None, f"{command} has ended"
            assert time.monotonic() < deadline, f"{command} does not answer"
            time.sleep(0.1)
        yield Web(process, port)
    finally:
        process.terminate()
        process.wait(WITHIN)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_of(pid: int) -> int:
    """Nanoseconds of CPU that a process and all below it have used, as far as they still run."""
    used = 0
    for task in Path(f"/proc/{pid}/task").glob("*"):
        used += int((task / "schedstat").read_text().split()[0])
        used += sum(cpu_of(int(child)) for child in (task / "children").read_text().split())
    return used
