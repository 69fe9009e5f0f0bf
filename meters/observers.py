"""Shows new usage of watched customers to whom it concerns, in the transaction that stores it.

Ingestion does not know what they do with it, and no failure of theirs is one of it: what they cannot do now is marked,
and done by the next sweep.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from core.sql import time_limit
from core.sweep import database_is_gone
from customers import watch
from meters.records import Checked

MILLISECONDS = 3000  # the longest statement of an observer, waiting for others included; what takes longer is marked

Observer = Callable[[Sequence[Checked], datetime], None]
_observers: list[Observer] = []
log = logging.getLogger(__name__)


def observe(observer: Observer) -> None:
    """Call `observer` with events that were stored and count, all of watched customers, and the time when they came.

    Called from `AppConfig.ready`. Nobody else evaluates these customers meanwhile, and whatever was stored for them
    before can be seen.
    """
    _observers.append(observer)


def show(stored: Sequence[Checked], *, at: datetime) -> None:
    """Tell the observers. Locks: the customers' watches, until the transaction ends."""
    refs = {entry.event.customer_ref for entry in stored}
    if not refs or not _observers:
        return
    try:
        with time_limit(MILLISECONDS):
            watched = watch.lock(refs)
            known = [entry for entry in stored if entry.event.customer_ref in watched]
            for observer in _observers if known else ():
                observer(known, at)
    except Exception:
        if database_is_gone():
            raise
        log.exception("new usage of %s customers is evaluated later", len(refs))
        watch.mark(list(refs), at=at, of_usage=True)
