"""What a figure has to be, and whether it is."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    name: str
    what: str
    found: str
    met: bool


def told(goals: Sequence[Goal]) -> bool:
    """Prints each; whether all are met."""
    print()
    for goal in goals:
        print(f"{'met' if goal.met else 'NOT MET':8}{goal.name:4} {goal.what}: {goal.found}", flush=True)
    return all(goal.met for goal in goals)
