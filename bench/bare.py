"""The statement that stores events, made from the product's own, without the part that keeps the rollup."""

from django.db import connection

from meters import epochs, event_writes

_before, _rollup = event_writes.STORE.split(",\nday AS (", 1)
_, _after = _rollup.split("\n){more}", 1)
BARE = f"{_before}{{more}}{_after}".replace("INTO meters_meterevent ", "INTO bare ")
assert "usageday" not in BARE
assert "INTO bare " in BARE


def make_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bare (LIKE meters_meterevent INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)"
        )


def store(made: object) -> tuple[int, None]:
    """Events in it are in no rollup, and so in a table of their own with the same indexes."""
    assert isinstance(made, list)
    epoch = epochs.current()
    statement = BARE.format(epoch=epoch.number, given=event_writes.GIVEN, unknown="", more="")
    with event_writes._planned_once() as cursor:
        for batch in made:
            cursor.execute(statement, event_writes.parameters(batch))
            assert event_writes.outcome(batch, cursor.fetchone())
    return sum(len(batch.events) for batch in made), None
