"""Which events of its name a meter counts: conditions on the payload, all of which must hold. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Condition(NamedTuple):
    """About one key of the payload. `exists`: it must be there, or must not. `among`, `not_among`: its text must be one
    of these, or none of them; a key that is not there is none of them."""

    key: str
    exists: bool | None = None
    among: tuple[str, ...] = ()
    not_among: tuple[str, ...] = ()

    def holds(self, payload: Mapping[str, str]) -> bool:
        text = payload.get(self.key)
        if self.exists is not None and self.exists is not (text is not None):
            return False
        if self.among and text not in self.among:
            return False
        return text is None or text not in self.not_among


def conditions(stored: Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    """The conditions as a meter keeps them, in the words of the wire."""
    return tuple(
        Condition(one["key"], one.get("exists"), tuple(one.get("in") or ()), tuple(one.get("not_in") or ()))
        for one in stored
    )


def all_hold(stored: Sequence[Mapping[str, Any]], payload: Mapping[str, str]) -> bool:
    return all(condition.holds(payload) for condition in conditions(stored))
