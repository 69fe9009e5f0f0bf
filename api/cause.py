"""Which request causes what happens now; what only time causes has none."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """A request by its id, with the key under which its caller may repeat it."""

    request_id: str
    idempotency_key: str | None = None


_cause: ContextVar[Cause | None] = ContextVar("cause", default=None)


def current() -> Cause | None:
    return _cause.get()


@contextmanager
def caused_by(cause: Cause) -> Iterator[None]:
    """What happens inside has this cause."""
    token = _cause.set(cause)
    try:
        yield
    finally:
        _cause.reset(token)
