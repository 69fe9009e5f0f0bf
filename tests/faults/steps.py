"""The steps of a verb, each SQL statement and both sides of each COMMIT, and ways to stop at any one of them."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, connections

Verb = Callable[[], Any]
LONGEST_WAIT = 5.0  # seconds; whoever waits longer for a lock waits for ever
BEFORE_COMMIT, AFTER_COMMIT = "before COMMIT", "after COMMIT"
# `FAULTS=all` (`script/faults steps`) tries every step; else every so many, and those around each COMMIT where it is
# known beforehand which these are.
ALL = os.environ.get("FAULTS") == "all"
STRIDE = 1 if ALL else 5


class Crash(BaseException):
    """The process has died; nothing of ours may catch it."""


@contextlib.contextmanager
def each_step(act: Callable[[int, str], None]) -> Iterator[None]:
    """Call `act(number, what)` before each step that this thread makes; the first has the number 1."""
    number = 0

    def step(what: str) -> None:
        nonlocal number
        number += 1
        act(number, what)

    def statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        step(sql)
        return execute(sql, params, many, context)

    real = connections["default"]
    commit = real.commit

    def committing() -> None:
        step(BEFORE_COMMIT)
        commit()
        step(AFTER_COMMIT)

    real.commit = committing
    try:
        with connection.execute_wrapper(statement):
            yield
    finally:
        del real.commit


def tried(steps: Sequence[str]) -> list[int]:
    """The numbers of the steps that a test tries."""
    around = {number for number, what in enumerate(steps, start=1) if what in (BEFORE_COMMIT, AFTER_COMMIT)}
    return sorted({*range(1, len(steps) + 1, STRIDE), *around})


def steps_of(verb: Verb) -> list[str]:
    """Run `verb` and list its steps."""
    seen: list[str] = []
    with each_step(lambda number, what: seen.append(what)):
        verb()
    return seen


def crash_at(number: int, verb: Verb) -> bool:
    """Run `verb` and lose its connection before step `number`; False where it is done before."""
    crashed = False

    def act(step: int, what: str) -> None:
        nonlocal crashed
        if step == number:
            crashed = True
            connection.connection.pgconn.finish()  # PostgreSQL sees the end of the stream and rolls back
            raise Crash(what)

    try:
        with each_step(act):
            verb()
    except BaseException:  # a verb may end in another error, on its way out, over the connection it has lost
        if not crashed:
            raise
    finally:
        connection.close()
    return crashed


def die_at(number: int, verb: Verb) -> bool:
    """Run `verb` in a process of its own that ends like one killed before step `number`."""
    connection.close()
    connections["default"].close_pool()  # what a fork shares it must not use
    pid = os.fork()
    if pid == 0:
        try:
            with each_step(lambda step, what: os._exit(137) if step == number else None):
                verb()
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 137), f"the forked process ended with {code}"
    return code == 137


@dataclass
class Run:
    """A verb in a thread with a connection of its own; it can be paused before one of its steps."""

    verb: Verb
    pause_before: int | None = None
    value: Any = None
    error: BaseException | None = None
    backend: int | None = None
    paused: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    def start(self) -> "Run":
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def _run(self) -> None:
        try:
            connection.ensure_connection()
            self.backend = connection.connection.info.backend_pid
            with each_step(self._step):
                self.value = self.verb()
        except BaseException as error:
            self.error = error
        finally:
            connection.close()
            self.done.set()

    def _step(self, number: int, what: str) -> None:
        if number == self.pause_before:
            self.paused.set()
            if not self.go.wait(4 * LONGEST_WAIT):
                sys.exit("nobody let it go on")

    def wait_until_paused(self) -> bool:
        """True when it stands before the step; False when it ended without coming there."""
        return _wait(lambda: self.paused.is_set() or self.done.is_set()) and self.paused.is_set()

    def wait_until_stuck(self) -> bool:
        """True when it waits for a lock of somebody else; False when it ended."""
        return _wait(lambda: self.done.is_set() or self._is_blocked()) and not self.done.is_set()

    def _is_blocked(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [self.backend])
            return cursor.fetchone()[0]

    def finish(self) -> "Run":
        self.go.set()
        assert self.done.wait(LONGEST_WAIT), "waits for ever"
        return self


def run_pair(first: Verb, second: Verb, *, before: int) -> tuple[Run, Run] | None:
    """Stop `first` before a step, let `second` run to its end or into a lock, then let `first` go on.

    None where `first` has no such step: it is done then, and `second` has not begun.
    """
    one, two = Run(first, pause_before=before).start(), Run(second)
    if not one.wait_until_paused():
        one.finish()
        return None
    two.start().wait_until_stuck()
    return one.finish(), two.finish()


def at_once(*verbs: Verb) -> list[Run]:
    """Run all of them at the same time, each in its thread."""
    barrier = threading.Barrier(len(verbs))

    def begin(verb: Verb) -> Any:
        connection.ensure_connection()
        barrier.wait(LONGEST_WAIT)
        return verb()

    runs = [Run(lambda verb=verb: begin(verb)).start() for verb in verbs]
    return [run.finish() for run in runs]


def _wait(condition: Callable[[], bool], *, timeout: float = LONGEST_WAIT) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.001)
    return True
