"""Whether usage of the past is still to be invoiced: known to an app above, which enters its answer here."""

from collections.abc import Callable
from datetime import datetime

# Takes the id of a customer whose lock is held, and an instant; says, in words, what of the time until then no final
# invoice has billed yet, or "".
Unbilled = Callable[[str, datetime], str]
_answers: list[Unbilled] = []


def use(answer: Unbilled) -> None:
    """Name who answers; called once, from `AppConfig.ready`."""
    _answers[:] = [answer]


def unbilled_until(customer_id: str, until: datetime) -> str:
    return _answers[0](customer_id, until)
