"""Does the due work of real time, row by row, so that one message is enough and a bad row stops no other."""

import logging
from datetime import datetime

from django.db import InterfaceError, OperationalError

from core.timeline import TimedWork

BATCH = 100
log = logging.getLogger(__name__)


def sweep(work: TimedWork, at: datetime) -> int:
    """Do all that is due at `at` for rows in real time; returns how many were done.

    Safe to run many times and at once: each row is claimed by its verb. A row that fails is logged and left for the
    next sweep; a lost database connection ends this one.
    """
    done, left = 0, set[str]()
    while ids := [id for id in work.due(at, None, BATCH + len(left)) if id not in left]:
        for id in ids:
            try:
                if work.run(id, at) is None:
                    left.add(id)
                else:
                    done += 1
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                log.exception("%s failed for %s", work.name, id)
                left.add(id)
    return done
