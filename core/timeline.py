"""What time drives, as one list: every app enters the work it does when an instant has come.

Two doors read the list. In real time a beat task asks each entry for its due rows and calls its verb with one id
at a time. A test clock asks all entries for the earliest instant up to its target, moves its frozen time there,
and runs what is due, so that side effects happen in the order in which time would have brought them.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class TimedWork:
    """One kind of work that becomes due at an instant kept in a row.

    next_at: the earliest instant at which a row is due, for the rows of one test clock (its id), or of none (None).
    due: ids of rows due at `at`, oldest first, at most `limit`; rows of the given test clock, or of none (None).
    run: the verb; does the work of one id if it is still due at `at`, else returns None. Safe to repeat and to race.
    run_many: the same for many ids at once, in one transaction; returns those it has done, and leaves out what others
    are at work on. None where there is no such verb.
    order: of two works due at the same instant the lower number goes first.
    """

    name: str
    order: int
    next_at: Callable[[str | None], datetime | None]
    due: Callable[[datetime, str | None, int], Sequence[str]]
    run: Callable[[str, datetime], object]
    run_many: Callable[[Sequence[str], datetime], Collection[str]] | None = None
    batch: int = 100  # ids asked for at once


_works: dict[str, TimedWork] = {}


def register(work: TimedWork) -> None:
    """Enter `work`; called once per entry from `AppConfig.ready`."""
    _works[work.name] = work


def works() -> list[TimedWork]:
    """All entries, in the order in which they run at one instant."""
    return sorted(_works.values(), key=lambda work: (work.order, work.name))


def work(name: str) -> TimedWork:
    return _works[name]
