"""What a page of the admin shows beside its form: sections that the app of the page, or any app above it, adds.

A customer's page shows subscriptions and invoices, which the customers app may not know; so each app enters what it
knows about a row of another app here, when its `admin` module is loaded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Model


@dataclass(frozen=True)
class Panel:
    """A titled section. `read` gives the template its `data`, or None where there is nothing to be said of this row.

    Lower `order` stands higher on the page.
    """

    title: str
    template: str
    read: Callable[[Any, datetime], Mapping[str, Any] | None]
    order: int = 50


_panels: dict[type[Model], list[Panel]] = {}


def show_on(model: type[Model], panel: Panel) -> None:
    """Enter a panel for the pages of `model`; called while the `admin` modules are loaded."""
    _panels.setdefault(model, []).append(panel)


def panels_of(row: Model, at: datetime) -> list[dict[str, Any]]:
    """The panels of one row as its page shows them."""
    shown = []
    for panel in sorted(_panels.get(type(row), ()), key=lambda panel: panel.order):
        data = panel.read(row, at)
        if data is not None:
            shown.append({"title": panel.title, "template": panel.template, "data": data})
    return shown
