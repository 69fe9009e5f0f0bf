"""Records what has happened, in the transaction in which it happens.

A snapshot is what the API would answer for the object at that moment, nothing expanded. It is read from the database,
so write first, then record; what is to be deleted is recorded before.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from django.db.models import Model

from api import cause, resources
from api.middleware import API_VERSION
from api.renderers import to_json
from api.resources import Resource
from core.copying import copy_models
from core.ids import new_id, new_ids
from webhooks.models import Event, ThinEvent
from webhooks.outbox import enqueue
from webhooks.previous import previous_attributes

# The last words of events that tell the end of an object; that is then not told as an update too.
ENDS = ("canceled", "completed", "deleted", "released")


@dataclass(frozen=True)
class Scope:
    """What a `telling` further out tells already: types with the ids of objects; and which objects have ended in it."""

    told: frozenset[tuple[str, str]] = frozenset()
    ended: set[str] = field(default_factory=set)


# None: nothing is recorded at all.
_scope: ContextVar[Scope | None] = ContextVar("scope", default=Scope())  # noqa: B039 - nobody ends in the outermost


WhenRecorded = Callable[[Sequence[Event]], None]
_when_recorded: list[WhenRecorded] = []


def when_recorded(act: WhenRecorded) -> None:
    """Let an upper app know of events in the transaction that records them; called from `AppConfig.ready`."""
    _when_recorded.append(act)


def record(type: str, resource: str, row: Model, *, at: datetime, place: str | None = None) -> None:
    """Write down that `type` happened to `row`, an object of the API's `resource`, at the customer's time `at`; where
    `place` is given, before what was recorded since that was taken.

    Not idempotent: who must record once does so in the transaction that only one can carry out.
    """
    if _scope.get() is None:
        return
    [shown] = snapshots(resource, [row.pk]).values()
    _store([(type, {"object": shown})], at, [place or take_place()])


def take_place() -> str:
    """A place in the order of events, for one that is recorded when more is known of its object."""
    return new_id("evt")


def record_many(type: str, resource: str, rows: Collection[Model], *, at: datetime) -> None:
    """The same for several objects, in their order, with as many statements as for one."""
    record_all(resource, [(type, row) for row in rows], at=at)


def record_all(resource: str, happened: Sequence[tuple[str, Model]], *, at: datetime) -> None:
    """The same where several things happened to some of them: types with rows, in their order."""
    if _scope.get() is None:
        return
    shown = snapshots(resource, list({row.pk: None for _, row in happened}))
    _store([(type, {"object": shown[row.pk]}) for type, row in happened], at)


def record_objects(type: str, shown: Sequence[dict[str, Any]], *, at: datetime) -> None:
    """The same of wire objects that are no rows, as an invoice that is only expected."""
    _store([(type, {"object": one}) for one in _as_read(shown)], at)


def record_replaced(type: str, resource: str, old: Model, new: Model, *, at: datetime) -> None:
    """Record that `new` has taken the place of `old`, with what was different."""
    if _scope.get() is None:
        return
    shown = snapshots(resource, [old.pk, new.pk])
    data = {"object": shown[new.pk], "previous_attributes": previous_attributes(shown[old.pk], shown[new.pk])}
    _store([(type, data)], at)


@contextmanager
def telling(type: str, resource: str, ids: Collection[str], *, at: datetime) -> Iterator[None]:
    """Record `type` of each of these objects that what happens inside changes, with their former values.

    Begin it behind the lock. One within another that tells the same says nothing: there is one event of a change.
    """
    outer = _scope.get()
    own = [id for id in dict.fromkeys(ids) if outer and (type, id) not in outer.told]
    if outer is None or not own:
        yield
        return
    before = snapshots(resource, own)
    inner = Scope(outer.told | {(type, id) for id in own}, outer.ended if outer.told else set())
    token = _scope.set(inner)
    try:
        yield
    finally:
        _scope.reset(token)
    after = snapshots(resource, [id for id in before if id not in inner.ended])
    changed = [(id, previous_attributes(before[id], after[id])) for id in own if id in after]
    _store([(type, {"object": after[id], "previous_attributes": old}) for id, old in changed if old], at)


@contextmanager
def silence() -> Iterator[None]:
    """Record nothing inside: for what is tried out and undone."""
    token = _scope.set(None)
    try:
        yield
    finally:
        _scope.reset(token)


def snapshots(resource: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The objects with these ids as callers see them now."""
    if not ids:
        return {}
    kind = resources.get(resource)
    rows = list(kind.rows().filter(pk__any_of=list(ids)))
    shown = _as_read(resources.render(kind, rows, shared=True))
    return {row.pk: one for row, one in zip(rows, shown, strict=True)}


def _as_read(shown: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Through JSON and back: what an event keeps and compares is what a reader of the wire gets."""
    found: list[dict[str, Any]] = orjson.loads(to_json(shown))
    return found


def _store(told: Sequence[tuple[str, Mapping[str, Any]]], at: datetime, places: Sequence[str] | None = None) -> None:
    """Write events of these types with these data."""
    scope, by = _scope.get(), cause.current()
    if not told or scope is None:
        return
    scope.ended.update(data["object"]["id"] for type, data in told if scope.told and type.endswith(ENDS))
    events = [
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
        for id, (type, data) in zip(places or new_ids("evt", len(told)), told, strict=True)
    ]
    copy_models(Event, events)
    enqueue(events)
    for act in _when_recorded:
        act(events)


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
    event = ThinEvent.objects.create(
        type=type,
        created_at=at.replace(microsecond=at.microsecond // 1000 * 1000),
        data=data,
        reason=reason,
        **columns,
    )
    enqueue([event])
    return event
