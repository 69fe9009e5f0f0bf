"""How a process of ours is started so that it cannot outlive us, and how it is ended with all it started."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
# Set for the product's processes under a supervisor; their own forks then ask to die with them, too.
SUPERVISED = "COUNTINGHOUSE_SUPERVISED"


class StartError(Exception):
    """Something cannot be started; the message tells the operator why and what to do."""


class Stopped(BaseException):
    """SIGINT, SIGTERM or SIGHUP came: end everything."""


def die_with_parent(number: int) -> Callable[[], None]:
    """A function for a new process: the kernel sends it signal `number` when its maker ends, by kill -9 too.

    Linux only; elsewhere it does nothing. The "maker" is the thread that forked: start from the main one.
    """
    libc, parent = ctypes.CDLL(None), os.getpid()

    def arrange() -> None:
        if sys.platform == "linux":
            libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
            if os.getppid() != parent:  # it went before we asked
                os._exit(1)

    return arrange


def die_with_supervised_parent() -> None:
    """In a fork of a supervised process: die at once when that process does."""
    if sys.platform == "linux" and os.environ.get(SUPERVISED):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Child:
    """One command in a process group of its own, so that it and all it starts can be ended together."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        inherit: Sequence[int] = (),
        cwd: Path | None = None,
    ) -> None:
        self.name, self.command, self.env = name, list(command), env
        self.inherit, self.cwd = tuple(inherit), cwd
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603
            self.command,
            env=self.env,
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=self.inherit,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def output(self) -> IO[bytes] | None:
        return self.process.stdout if self.process else None

    def exit_code(self) -> int | None:
        """None while it runs (or before it was started)."""
        return self.process.poll() if self.process else None

    def ask_to_stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def kill(self) -> None:
        """End the whole group now; also clears away what a leader that died left behind."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
