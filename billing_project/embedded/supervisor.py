"""Keeps the processes of one installation running, shows what they say, and ends them all together."""

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import IO, Protocol

from billing_project.embedded.output import Screen
from billing_project.embedded.processes import Child, StartError, Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0  # seconds between a death and the next start
STEADY_AFTER = 60.0  # a process that ran this long starts again with the first pause
STOP_WITHIN = 15.0  # seconds to end in good order, before kill -9
TICK = 0.1


class Service(Protocol):
    """Something that is started, watched and stopped: a server or one of our processes."""

    name: str

    @property
    def pid(self) -> int | None: ...
    def start(self) -> None: ...
    def exit_code(self) -> int | None: ...
    def ask_to_stop(self) -> None: ...
    def kill(self) -> None: ...


@dataclass
class Watched:
    service: Service
    started_at: float = 0.0
    pause: float = FIRST_PAUSE
    start_again_at: float | None = None


class Supervisor:
    """Services stop in the reverse of the order in which they were started."""

    def __init__(self, screen: Screen | None = None) -> None:
        self.screen = screen or Screen()
        self.watched: list[Watched] = []
        self.selector = selectors.DefaultSelector()
        self.stopping = False
        self.hurry = False

    @contextlib.contextmanager
    def until_stopped(self) -> Iterator[None]:
        """From here a signal ends everything; whatever happens inside, nothing started is left afterwards."""
        before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield
        except Stopped as stopped:
            with contextlib.suppress(BrokenPipeError):
                self.screen.plain(f"Stopping ({stopped}) ...")
        finally:
            self.stopping = True
            self.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.stopping:
            self.hurry = True  # asked twice
            return
        self.stopping = True
        raise Stopped(signal.Signals(number).name)

    def add(self, service: Service) -> None:
        """Start `service` and keep it running from now on."""
        watched = Watched(service)
        self.watched.append(watched)
        self._start(watched)

    def _start(self, watched: Watched) -> None:
        watched.start_again_at = None
        watched.started_at = time.monotonic()
        watched.service.start()
        self._watch_output(watched.service)

    def run_to_end(self, child: Child) -> int:
        """Run one command, show what it says, give its exit code."""
        watched = Watched(child)
        self.watched.append(watched)
        self._start(watched)
        while (code := child.exit_code()) is None:
            self._show_output()
        self._show_output(wait=0)
        self._let_go(child)
        self.watched.remove(watched)
        return code

    def watch(self, until: Callable[[], bool] = lambda: False, *, may_die: bool = True) -> None:
        """Keep everything running until `until` says true. Unless `may_die`, a death is an error."""
        while not until():
            self._show_output()
            for watched in self.watched:
                self._look_after(watched, may_die=may_die)

    def _look_after(self, watched: Watched, *, may_die: bool) -> None:
        service, now = watched.service, time.monotonic()
        if watched.start_again_at is None and (code := service.exit_code()) is not None:
            self._let_go(service)
            if not may_die:
                raise StartError(f"{service.name} ended {in_words(code)} before it was ready.")
            if now - watched.started_at > STEADY_AFTER:
                watched.pause = FIRST_PAUSE
            self._plan_restart(watched, f"ended {in_words(code)}")
        elif watched.start_again_at is not None and now >= watched.start_again_at:
            try:
                self._start(watched)
            except StartError as error:
                self._plan_restart(watched, str(error))
            else:
                self.screen.line(service.name, f"started again (pid {service.pid})")

    def _plan_restart(self, watched: Watched, why: str) -> None:
        watched.start_again_at = time.monotonic() + watched.pause
        self.screen.line(watched.service.name, f"{why}; starting again in {watched.pause:g} s")
        watched.pause = min(watched.pause * 2, LONGEST_PAUSE)

    def _watch_output(self, service: Service) -> None:
        if isinstance(service, Child) and service.output:
            self.selector.register(service.output, selectors.EVENT_READ, service.name)

    def _show_output(self, wait: float = TICK) -> None:
        for key, _ in self.selector.select(wait):
            if data := os.read(key.fd, 65536):
                self.screen.feed(key.data, data)
            else:
                self._close(key.fileobj)  # type: ignore[arg-type]
        if not self.selector.get_map():
            time.sleep(wait)

    def _close(self, pipe: IO[bytes]) -> None:
        self.screen.finish(self.selector.unregister(pipe).data)
        pipe.close()

    def _let_go(self, service: Service) -> None:
        """After a death: also end what the dead process had started, and show its last words."""
        service.kill()
        if isinstance(service, Child) and service.output and not service.output.closed:
            while service.output in self._registered():
                self._show_output(wait=0)

    def _registered(self) -> set[object]:
        return {key.fileobj for key in self.selector.get_map().values()}

    def stop(self) -> None:
        """Ask our own processes first, then the servers they use; kill what takes too long."""
        services = [watched.service for watched in reversed(self.watched)]
        processes = [service for service in services if isinstance(service, Child)]
        servers = [service for service in services if not isinstance(service, Child)]
        groups: tuple[Sequence[Service], ...] = (processes, servers)
        for group in groups:
            with contextlib.suppress(BrokenPipeError):  # nobody reads what we say any more
                self._stop_together(group)
            for service in group:
                service.kill()
        self.watched.clear()

    def _stop_together(self, group: Sequence[Service]) -> None:
        deadline = time.monotonic() + STOP_WITHIN
        for service in group:
            service.ask_to_stop()
        while not self.hurry and time.monotonic() < deadline:
            if all(service.pid is None or service.exit_code() is not None for service in group):
                return
            self._show_output(wait=0.02)


def in_words(code: int) -> str:
    if code < 0:
        return f"by {signal.Signals(-code).name}"
    return f"with exit code {code}"
