"""One supervisor per home. The lock is held until the last process started under it is gone."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from billing_project.embedded.processes import StartError

LEFTOVERS_MAY_TAKE = 20.0  # seconds


@contextlib.contextmanager
def home_lock(home: Path) -> Iterator[int]:
    """Holds `home/lock`; gives its file descriptor, which every process we start inherits.

    So after a kill -9 of the supervisor the next start waits for what is still ending, instead of two servers
    meeting in one data directory.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = open(home / "lock", "a+")  # noqa: SIM115
    except OSError as error:
        raise StartError(f"{home} cannot be used ({error.strerror}); set APP_HOME to a directory of yours.") from error
    with file:
        _acquire(file, home)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


def _acquire(file: IO[str], home: Path) -> None:
    deadline = time.monotonic() + LEFTOVERS_MAY_TAKE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(file)
            if holder and _alive(holder):
                raise StartError(f"{home} is in use by a Countinghouse that runs as process {holder}.") from None
            if time.monotonic() > deadline:
                raise StartError(
                    f"{home} is still in use by processes of an earlier run: {_who_has_open(home / 'lock')}. "
                    "End them and start again."
                ) from None
            time.sleep(0.1)
        else:
            return


def _holder(file: IO[str]) -> int | None:
    file.seek(0)
    text = file.read().strip()
    return int(text) if text.isdecimal() else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    with contextlib.suppress(OSError, IndexError):  # a zombie has ended
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return True


def _who_has_open(path: Path) -> str:
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if link.readlink() == path:
                found.add(link.parts[2])
    found.discard(str(os.getpid()))
    return ", ".join(sorted(found)) or "unknown"
