"""A button on a row's page in the admin: asks first, then carries out one verb.

Pressing leads to a page that says what will happen, with a form where the verb needs to know more; only its POST
acts. Like panels, buttons may come from an app above the one of the page.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.db.models import Model
from django.http import HttpRequest

from core.foresight import Foresight, foresight_of

Run = Callable[[Any, datetime, Mapping[str, Any]], Any]


class Confirmation(forms.Form):
    """Nothing more to ask. A subclass has fields; it gets the row it is about."""

    # Answers that change nothing of what is foreseen, such as a reason.
    aside: Collection[str] = ()

    def __init__(self, *args: Any, row: Any = None, **kwargs: Any) -> None:
        self.row = row
        super().__init__(*args, **kwargs)

    def field_of(self, param: str | None) -> str | None:
        """The field that a parameter of the verb comes from; None where there is none."""
        return param if param in self.fields else None

    def sections(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields as the page shows them: under titles, or under none."""
        return [("", self.visible_fields())]

    def defaults(self) -> dict[str, Any]:
        """What the form answers as it is first shown; None where a question has no answer of its own."""
        return {name: self.get_initial_for_field(field, name) for name, field in self.fields.items()}

    def choices(self, answers: Mapping[str, Any]) -> str:
        """Those answers that decide what is done, in words; an empty one is none."""
        said = {name: getattr(given, "pk", given) for name, given in answers.items() if given and name in self.fields}
        return repr(sorted((name, str(given)) for name, given in said.items() if name not in self.aside))


@dataclass(frozen=True)
class Button:
    """`run(row, at, answers)` carries out the verb; `when` says for which rows the button is there.

    Among the answers is `pressed_by`, the name of the user.

    `answer`: a template that shows what `tell` makes of the outcome, where that is shown once; else the page of the
    row is shown again, or the list where the row `deletes`.

    `foreseen`: its outcome is shown first, and done when it is confirmed (see `core/foresight.py`); `run` then answers
    with the row as it is afterwards, or with what its own `foresight` tells of. `at_once`: it is shown with the
    question, as the form's own answers need nothing more.
    """

    name: str
    label: str
    question: str
    done: str
    run: Run
    when: Callable[[Any], bool] = lambda row: True
    form: type[Confirmation] = Confirmation
    icon: str = "play_arrow"
    danger: bool = False
    deletes: bool = False
    foreseen: bool = False
    foresight: Foresight | None = None  # where it is another than that of the rows
    at_once: bool = False
    answer: str | None = None
    tell: Callable[[Any, HttpRequest], Mapping[str, Any]] = lambda outcome, request: {"outcome": outcome}

    def foresight_for(self, row: Model) -> Foresight | None:
        """What tells its outcome before it is done; None where it is done at once."""
        return (self.foresight or foresight_of(type(row))) if self.foreseen else None


_buttons: dict[type[Model], list[Button]] = {}


def add_button(model: type[Model], button: Button) -> None:
    """Enter a button for the pages of `model`; called while the `admin` modules are loaded."""
    _buttons.setdefault(model, []).append(button)


def buttons_of(row: Model) -> list[Button]:
    """The buttons that a row has as it is now, the dangerous ones last."""
    found = [button for button in _buttons.get(type(row), ()) if button.when(row)]
    return sorted(found, key=lambda button: button.danger)
