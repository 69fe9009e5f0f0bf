"""Records what has happened, in the transaction in which it happens.

A snapshot is what the API would answer for the object at that moment, nothing expanded. It is read from the database,
so write first, then record; what is to be deleted is recorded before.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import orjson
from django.db.models import Model

from api import cause, resources
from api.middleware import API_VERSION
from api.renderers import to_json
from api.resources import Resource
from core.ids import new_ids
from webhooks.models import Event, ThinEvent
from webhooks.previous import previous_attributes

Told = frozenset[tuple[str, str]]  # (type of event, id of an object)
# What a `telling` further out tells already; None: nothing is recorded at all.
_told: ContextVar[Told | None] = ContextVar("told", default=frozenset())


def record(type: str, resource: str, row: Model, *, at: datetime) -> None:
    """Write down that `type` happened to `row`, an object of the API's `resource`, at the customer's time `at`.

    Not idempotent: who must record once does so in the transaction that only one can carry out.
    """
    record_many(type, resource, [row], at=at)


def record_many(type: str, resource: str, rows: Collection[Model], *, at: datetime) -> None:
    """The same for several objects, in their order, with as many statements as for one."""
    if _told.get() is None:
        return
    shown = snapshots(resource, [row.pk for row in rows])
    record_objects(type, [shown[row.pk] for row in rows], at=at)


def record_objects(type: str, shown: Sequence[dict[str, Any]], *, at: datetime) -> None:
    """The same of wire objects that are no rows, as an invoice that is only expected."""
    _store([(type, {"object": one}) for one in shown], at)


def record_replaced(type: str, resource: str, old: Model, new: Model, *, at: datetime) -> None:
    """Record that `new` has taken the place of `old`, with what was different."""
    if _told.get() is None:
        return
    shown = snapshots(resource, [old.pk, new.pk])
    data = {"object": shown[new.pk], "previous_attributes": previous_attributes(shown[old.pk], shown[new.pk])}
    _store([(type, data)], at)


@contextmanager
def telling(type: str, resource: str, ids: Collection[str], *, at: datetime) -> Iterator[None]:
    """Record `type` of each of these objects that what happens inside changes, with their former values.

    Begin it behind the lock. One within another that tells the same says nothing: there is one event of a change.
    """
    told = _told.get()
    if told is None:
        yield
        return
    own = [id for id in dict.fromkeys(ids) if (type, id) not in told]
    before = snapshots(resource, own)
    token = _told.set(told | {(type, id) for id in own})
    try:
        yield
    finally:
        _told.reset(token)
    after = snapshots(resource, list(before))
    changed = [(id, previous_attributes(before[id], after[id])) for id in own if id in before and id in after]
    _store([(type, {"object": after[id], "previous_attributes": old}) for id, old in changed if old], at)


@contextmanager
def silence() -> Iterator[None]:
    """Record nothing inside: for what is tried out and undone."""
    token = _told.set(None)
    try:
        yield
    finally:
        _told.reset(token)


def snapshots(resource: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The objects with these ids as callers see them now."""
    if not ids:
        return {}
    kind = resources.get(resource)
    rows = list(kind.rows().filter(pk__any_of=list(ids)))
    # Through JSON and back: what an event keeps and compares is what a reader of the wire gets.
    shown = orjson.loads(to_json(resources.render(kind, rows)))
    return {row.pk: one for row, one in zip(rows, shown, strict=True)}


def _store(told: Sequence[tuple[str, Mapping[str, Any]]], at: datetime) -> None:
    """Write events of these types with these data."""
    if not told or _told.get() is None:
        return
    by = cause.current()
    Event.objects.bulk_create(
        Event(
            id=id,
            type=type,
            created_at=at,
            api_version=API_VERSION,
            object_id=data["object"].get("id") or "",
            data=data,
            request_id=by.request_id if by else None,
            idempotency_key=by.idempotency_key if by else None,
        )
        for id, (type, data) in zip(new_ids("evt", len(told)), told, strict=True)
    )


def record_thin_event(
    type: str,
    *,
    at: datetime,
    related: tuple[Resource, str] | None = None,
    data: Mapping[str, Any] | None = None,
    reason: Mapping[str, Any] | None = None,
) -> ThinEvent:
    """Write down an event of `type`; it is there if and only if the caller's transaction commits.

    related: the kind and the id of the object that it is about. data: what events of this type say, as JSON.
    reason: as on the wire, `{"type": "request", "request": {"id", "idempotency_key"}}`; None if no request caused it.
    Not idempotent: who must record once marks what was told in the same transaction.
    """
    columns = {}
    if related is not None:
        resource, id = related
        columns = {"related_id": id, "related_type": resource.name, "related_url": f"{resource.path}/{id}"}
    return ThinEvent.objects.create(
        type=type,
        created_at=at.replace(microsecond=at.microsecond // 1000 * 1000),
        data=data,
        reason=reason,
        **columns,
    )
