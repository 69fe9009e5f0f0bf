"""What would become of records, without storing any."""

from collections.abc import Sequence
from datetime import datetime

from meters import event_writes
from meters import ingest as core
from meters.ingest import EventRefused, Outcome, Record, Result


def check(given: Sequence[Record], *, at: datetime) -> list[Result]:
    """What `ingest` would answer; STORED means that the event would be stored. Stores nothing, locks nothing.

    To be replaced by `meters.ingest.check` as soon as that is there: it knows the parts that are used here.
    """
    checked = list(core._check(given, at))
    firsts: dict[str, core._Checked] = {}
    for entry in checked:
        if isinstance(entry, core._Checked):
            firsts.setdefault(entry.event.ident, entry)
    stored = set(event_writes.known(list(firsts)))
    compare = core._comparison(firsts, stored)
    return [
        Result(Outcome.REJECTED, error=entry)
        if isinstance(entry, EventRefused)
        else Result(Outcome.STORED, entry.accepted)
        if firsts[entry.event.ident] is entry and entry.event.ident not in stored
        else compare(entry)
        for entry in checked
    ]
