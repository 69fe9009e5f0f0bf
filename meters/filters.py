"""Which events of its name a meter counts: conditions on the payload, all of which must hold. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Condition(NamedTuple):
    """About one key of the payload. `exists`: it must be there, or must not. Its text must be one of `in_values` and
    none of `not_in_values`, if there are any; a key that is not there has no text, and so is none of them."""

    key: str
    exists: bool | None = None
    in_values: tuple[str, ...] = ()
    not_in_values: tuple[str, ...] = ()

    def holds(self, payload: Mapping[str, str]) -> bool:
        text = payload.get(self.key)
        if self.exists is not None and self.exists is not (text is not None):
            return False
        if self.in_values and text not in self.in_values:
            return False
        return text not in self.not_in_values


def all_hold(stored: Sequence[Mapping[str, Any]], payload: Mapping[str, str]) -> bool:
    """`stored`: the conditions as a meter keeps them, each a hash of the fields of `Condition`."""
    return all(Condition(**condition).holds(payload) for condition in stored)
