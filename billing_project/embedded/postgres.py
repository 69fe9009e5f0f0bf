"""The embedded PostgreSQL: made once, run as our child on a socket that only its owner can reach."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from billing_project import home
from billing_project.embedded.binaries import (
    Owner,
    describe,
    find_postgres,
    popen_user,
    reachable_programs,
    run_as,
)
from billing_project.embedded.processes import StartError, die_with_parent
from billing_project.embedded.sockets import private_dir

PORT = 5432  # only names the socket: nothing listens on TCP
ROLE = DATABASE = home.APP
SETTINGS = {"listen_addresses": "", "unix_socket_permissions": "0700", "max_connections": "200"}
# For data that is thrown away: nothing is forced to disk.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "4GB"}


class Postgres:
    """One cluster and its server. `data` is made if absent; `fast` is for tests only."""

    name = "postgres"

    def __init__(self, data: Path, *, fast: bool = False, inherit: Sequence[int] = ()) -> None:
        self.data, self.fast, self.inherit = data.absolute(), fast, tuple(inherit)
        self.socket_dir = home.short_dir(self.data)
        self.log = self.data.with_name(f"{self.data.name}.log")
        self.owner = Owner.of(self.data)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C.UTF-8"}
        self.programs = find_postgres()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def exit_code(self) -> int | None:
        return self.process.poll() if self.process else None

    def url(self, *, user: str = ROLE, database: str = DATABASE) -> str:
        return f"postgresql://{user}@/{database}?host={self.socket_dir}&port={PORT}"

    def start(self, timeout: float = 60) -> None:
        """Return when the server answers and our role and database exist."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        copy = self.data.with_name("pg-bin")
        self.programs = reachable_programs(self.programs, self.owner, copy, self.env)
        self._make_cluster()
        self._make_socket_dir()
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self._remove_stale_pid_file()
            self._spawn()
            if self._answers_before(deadline):
                self._make_role_and_database()
                return
            time.sleep(0.25)  # processes of a killed server hold its memory for about a second
        self.kill()
        raise StartError(f"PostgreSQL did not start; its log is {self.log}.")

    def ask_to_stop(self) -> None:
        """Fast shutdown: running statements are cancelled, what is committed is written."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT if self.fast else signal.SIGINT)

    def kill(self) -> None:
        """Its own processes follow the postmaster by themselves."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def stop(self, timeout: float = 20) -> None:
        self.ask_to_stop()
        if self.process:
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()

    def _make_cluster(self) -> None:
        """initdb beside the place and rename: an interrupted one leaves nothing that looks whole."""
        if (self.data / "PG_VERSION").exists():
            self._check_version()
            return
        draft = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if self.owner:
            os.chown(draft, self.owner.uid, self.owner.gid)
        command = [self.programs / "initdb", "-D", draft, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        command += ["--locale=C.UTF-8", "--no-instructions", *(["--no-sync"] if self.fast else [])]
        done = run_as(self.owner, *command, env=self.env)
        if done.returncode:
            raise StartError(
                f"initdb failed as user {describe(self.owner)}: {done.stderr.strip()}\n"
                "If this is about permissions, set APP_HOME to a directory that other users can enter."
            )
        if self.data.exists():
            self.data.rmdir()
        draft.rename(self.data)

    def _check_version(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        version = run_as(self.owner, self.programs / "postgres", "--version", env=self.env).stdout.split()
        if version and version[-1].split(".")[0] != made_by:
            raise StartError(
                f"{self.data} was made by PostgreSQL {made_by}; {version[-1]} cannot read it. "
                "Set PG_BIN_DIR to the programs of the old version, or dump and restore."
            )

    def _make_socket_dir(self) -> None:
        if self.socket_dir != self.data:
            owner = self.owner or Owner(os.geteuid(), os.getegid())
            private_dir(self.socket_dir, owner=owner.uid, group=owner.gid)

    def _remove_stale_pid_file(self) -> None:
        """A pid file whose number now belongs to some other program stops PostgreSQL from starting."""
        path = self.data / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(path.read_text().split()[0])
            if "postgres" not in Path(f"/proc/{pid}/comm").read_text():
                path.unlink()

    def _spawn(self) -> None:
        settings = SETTINGS | (FAST if self.fast else {})
        command = [self.programs / "postgres", "-D", self.data, "-k", self.socket_dir, "-p", PORT]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                [str(part) for part in command],
                cwd="/",
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=self.inherit,
                preexec_fn=die_with_parent(signal.SIGINT),
                **popen_user(self.owner),
            )

    def _answers_before(self, deadline: float) -> bool:
        """True when the pid file says that this very process is ready; False when it ended."""
        path = self.data / "postmaster.pid"
        while self.process and self.process.poll() is None and time.monotonic() < deadline:
            lines = path.read_text().splitlines() if path.exists() else []
            if len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(0.01)
        return False

    def _make_role_and_database(self) -> None:
        """The application is an ordinary role: a superuser could run programs as the server's user."""
        with psycopg.connect(self.url(user="postgres", database="postgres"), autocommit=True) as connection:
            role, database = sql.Identifier(ROLE), sql.Identifier(DATABASE)
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
                createdb = sql.SQL("CREATEDB" if self.fast else "NOCREATEDB")
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER {}").format(role, createdb))
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
