"""Evaluates alerts as usage comes, in the transaction that stores it."""

from collections.abc import Sequence
from datetime import datetime

from alerts.candidates import pairs_of_news
from alerts.evaluate import evaluate
from meters.records import Checked


def usage_came(stored: Sequence[Checked], at: datetime) -> None:
    """An observer of `meters.observers`: the number of its statements does not depend on how much has come."""
    evaluate(pairs_of_news(stored, at), at)
