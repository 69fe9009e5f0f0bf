"""What something records: its events, or only their types."""

from collections.abc import Callable
from typing import Any

from webhooks.models import Event


def of(act: Callable[[], Any]) -> list[Event]:
    """The events that `act` records, in their order."""
    last = Event.objects.first()
    act()
    return list(Event.objects.filter(pk__gt=last.pk if last else "").order_by("pk"))


def types(act: Callable[[], Any]) -> list[str]:
    return [event.type for event in of(act)]


def told(act: Callable[[], Any]) -> list[tuple[str, Any]]:
    """Each type with the names of the attributes that changed, or with None."""
    return [(event.type, _names(event.data)) for event in of(act)]


def changed(act: Callable[[], Any], type: str) -> list[str]:
    """The attributes that the one event of `type` says have changed."""
    [names] = [_names(event.data) for event in of(act) if event.type == type]
    return list(names)


def _names(data: dict[str, Any]) -> Any:
    return sorted(data["previous_attributes"]) if "previous_attributes" in data else None
