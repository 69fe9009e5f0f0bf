"""For each type of event that the product knows: it is recorded, or a reason why nothing causes it."""

from pathlib import Path

from webhooks.event_types import SNAPSHOT_TYPES

ROOT = Path(__file__).parents[1]
NO_PAYMENTS = "nothing collects payments yet"
NOT_CAUSED = {
    "customer.subscription.pending_update_applied": "an update never waits for a payment",
    "customer.subscription.pending_update_expired": "an update never waits for a payment",
    "subscription_schedule.aborted": NO_PAYMENTS,
    "invoice.payment_failed": NO_PAYMENTS,
    "invoice.payment_action_required": NO_PAYMENTS,
    "invoice.payment_attempt_required": NO_PAYMENTS,
    "invoice.overpaid": NO_PAYMENTS,
    "invoice_payment.paid": NO_PAYMENTS,
    "price.deleted": "a price is archived, not deleted",
    "plan.created": "prices have taken the place of plans",
    "plan.updated": "prices have taken the place of plans",
    "plan.deleted": "prices have taken the place of plans",
    "billing_portal.configuration.created": "there is one configuration, and it is not made",
    "billing_portal.configuration.updated": "there is one configuration, and it stays as it is",
}
# What is written in several pieces: `f"invoice.{what}"`.
IN_PIECES = {
    "invoice": ("invoices/", 'tell("{}"', '_tell_owed("{}"'),
    "subscription_schedule": ("subscriptions/", 'f"{{KIND}}.{}"'),
    "test_helpers.test_clock": ("customers/test_clocks.py", '_tell("{}"'),
    "billing.meter": ("meters/lifecycle.py", '_tell("{}"'),
}


def sources() -> dict[str, str]:
    """The code of the product that is no test, by its place; the list of all types says nothing."""
    found = {}
    for path in ROOT.glob("*/*.py"):
        place = str(path.relative_to(ROOT))
        if not place.startswith(("tests/", "bench/")) and place != "webhooks/event_types.py":
            found[place] = path.read_text()
    return found


def is_recorded(type: str, code: dict[str, str]) -> bool:
    if any(f'"{type}"' in text for text in code.values()):
        return True
    area, _, what = type.rpartition(".")
    place, *forms = IN_PIECES.get(area, ("-",))
    return any(form.format(what) in text for at, text in code.items() if at.startswith(place) for form in forms)


def test_each_type_is_recorded_or_has_a_reason_why_not() -> None:
    code = sources()
    silent = {type for type in SNAPSHOT_TYPES if not is_recorded(type, code)}
    assert silent == NOT_CAUSED.keys()
