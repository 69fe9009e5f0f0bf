"""What records are checked against, kept in this process and forgotten when the database tells of a change."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from meters.hot_path.kept import Kept
from meters.hot_path.threads import in_thread
from meters.ingest import catalogue_of
from meters.models import Meter
from meters.records import Catalogue, Owner, Record

SECONDS = (
    300.0  # a value is used for twice as long at most; changes are told of, so this only bounds what is never used
)
MOST_METERS, MOST_OWNERS = 2_000, 250_000
TOGETHER = 1_000  # records for which one reading is made


class KeptCatalogue:
    """Meters and customers by the texts that events name them with; `changed` forgets them.

    Only what exists is kept: a customer made a moment ago is found at once. A customer on a test clock is not kept:
    its time is part of the answer. While `is_told` of changes is false, nothing is kept.
    """

    def __init__(self) -> None:
        self.meters: Kept[Meter] = Kept(seconds=SECONDS, most=MOST_METERS)
        self.owners: Kept[Owner] = Kept(seconds=SECONDS, most=MOST_OWNERS)
        self.kept = Catalogue(cast(Any, self.meters), cast(Any, self.owners))  # mappings as far as `get` goes
        self.is_told = False
        self.changes = 0
        self.missing: list[tuple[Record, asyncio.Future[Catalogue]]] = []
        self.reading: asyncio.Task[None] | None = None

    def changed(self) -> None:
        self.changes += 1
        self.meters.forget()
        self.owners.forget()

    async def for_record(self, record: Record) -> Catalogue:
        """A catalogue with the meter and the customer of `record`, where there are such."""
        meter = self.meters.get(record.event_name)
        if meter is not None and self.owners.get(record.payload.get(meter.customer_key)) is not None:
            return self.kept
        found: asyncio.Future[Catalogue] = asyncio.get_running_loop().create_future()
        self.missing.append((record, found))
        if self.reading is None:
            self.reading = asyncio.create_task(self._read())
        return await found

    async def _read(self) -> None:
        """Read for all that miss something, then for those who have come meanwhile."""
        while self.missing:
            waiting, self.missing = self.missing[:TOGETHER], self.missing[TOGETHER:]
            try:
                found = await self._read_for([record for record, _ in waiting])
            except Exception as error:
                for _, future in waiting:
                    if not future.done():
                        future.set_exception(error)
            else:
                for _, future in waiting:
                    if not future.done():
                        future.set_result(found)
        self.reading = None

    async def _read_for(self, records: Sequence[Record]) -> Catalogue:
        before = self.changes
        found = await in_thread(catalogue_of, records)
        if self.is_told and self.changes == before:
            self.meters.keep(found.meters)
            self.owners.keep({text: owner for text, owner in found.owners.items() if owner.frozen_time is None})
        return found
