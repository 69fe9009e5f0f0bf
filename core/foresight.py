"""Shows what a verb would do before it is done: the verb runs, its outcome is told, and all of it is undone unless
that is just what was seen.

So what is confirmed is what was shown, whatever has happened between. Like panels, what is told of a row may come from
an app above the one of its page.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Model

# For how long what was seen can be confirmed; it is then done as of the instant at which it was seen.
HOLDS_FOR = timedelta(minutes=15)

Act = Callable[[datetime], Any]  # the verb; its answer is the row as it is then


@dataclass(frozen=True)
class Outcome:
    """What has come of a verb: `data` for the template, and the `figures` that must be those that were seen."""

    data: Mapping[str, Any]
    figures: Any


@dataclass(frozen=True)
class Foresight:
    """`watch` notes what there is of a row (None: of one to be made) and locks it; `tell` what a verb has added."""

    template: str
    watch: Callable[[Any], Any]
    tell: Callable[[Any, Any, datetime], Outcome]


class Foreseen(Exception):
    """The outcome of a verb that nobody has seen yet. Nothing of it stays.

    `seen` is what the next call must be given to carry it out; `has_changed` says that another outcome was seen before.
    """

    def __init__(self, template: str, data: Mapping[str, Any], *, seen: str, has_changed: bool) -> None:
        super().__init__("not seen yet")
        self.template, self.data, self.seen, self.has_changed = template, data, seen, has_changed


_foresights: dict[type[Model], Foresight] = {}


def foresee(model: type[Model], foresight: Foresight) -> None:
    """Enter what is told of the rows of `model`; called while the `admin` modules are loaded."""
    _foresights[model] = foresight


def foresight_of(model: type[Model]) -> Foresight | None:
    return _foresights.get(model)


def carry_out(act: Act, by: Foresight, *, row: Model | None, choices: str, seen: str, now: datetime) -> Any:
    """Carry out what was seen, in one transaction.

    `choices` are what the verb is given, in words; `seen` is of the last look. Raises Foreseen where the outcome was
    not looked at, or is another by now; what `act` raises. Locks what `watch` locks.
    """
    looked = _Look.read(seen)
    at = looked.at if looked and looked.holds(choices, now) else now
    with transaction.atomic():
        known = by.watch(row)
        done = act(at)
        outcome = by.tell(done, known, at)
        look = _Look(at, _digest(choices), _digest(repr(outcome.figures)))
        if look != looked:
            has_changed = looked is not None and looked.choices == look.choices
            raise Foreseen(by.template, outcome.data, seen=str(look), has_changed=has_changed)
        return done


@dataclass(frozen=True)
class _Look:
    at: datetime
    choices: str
    figures: str

    @classmethod
    def read(cls, text: str) -> "_Look | None":
        try:
            at, choices, figures = text.split()
            moment = datetime.fromisoformat(at)
        except ValueError:
            return None
        return cls(moment, choices, figures) if moment.tzinfo else None

    def __str__(self) -> str:
        return f"{self.at.isoformat()} {self.choices} {self.figures}"

    def holds(self, choices: str, now: datetime) -> bool:
        return self.choices == _digest(choices) and self.at <= now < self.at + HOLDS_FOR


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
