"""The state machine, as it runs with all other tests; `script/model` runs it for longer."""

import os
from dataclasses import replace
from decimal import Decimal
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from core import timeline
from invoices import build
from pricing.rating import rate
from tests.faults import broken
from tests.model import catalog
from tests.model.machine import Billing

pytestmark = pytest.mark.django_db(transaction=True)
LONG = "MODEL_EXAMPLES" in os.environ
PROFILE = settings(
    max_examples=int(os.environ.get("MODEL_EXAMPLES", "40")),
    stateful_step_count=int(os.environ.get("MODEL_STEPS", "30")),
    deadline=None,
    database=None,
    derandomize=not LONG,
    phases=[Phase.generate, Phase.shrink] if "MODEL_SHRINK" in os.environ else [Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
REACHED = {
    "subscription_create paid", "subscription_create open", "subscription_create void",
    "subscription_cycle draft", "subscription_cycle open",
    "subscription_cycle paid", "subscription_update open", "with money", "from balance", "usage", "share", "ended",
    "credits", "credits back", "two grants",
}  # fmt: skip


def run(machine: type[Billing]) -> None:
    machine.catalog = catalog.build()
    machine.reached.clear()
    run_state_machine_as_test(machine, settings=PROFILE)


def test_the_product_does_what_the_model_does() -> None:
    run(Billing)

    print(Billing.reached)
    missed = REACHED - set(Billing.reached)
    assert len(missed) <= 3, missed  # what so few examples come to differs from run to run


def test_control_a_quantity_rounded_before_it_is_priced_is_found() -> None:
    def tens(quantity, terms):
        return rate(quantity.quantize(Decimal("1E1")), terms)

    with patch.object(build, "rate", tens), pytest.raises(AssertionError):
        run(Billing)


class Twice(Billing):
    """Drafts the invoice of a period again."""

    def work(self, name: str) -> timeline.TimedWork:
        work = timeline.work(name)
        return replace(work, run_many=broken.close_many_twice) if name == "close_periods" else work


RULES = {
    "invoices_invoice": ["invoice_one_per_subscription_and_cycle"],
    "invoices_invoiceline": ["invoice_line_billed_once"],
}


def test_control_a_second_invoice_of_a_period_is_found_where_no_rule_forbids_it() -> None:
    with broken.without_rules(**RULES), pytest.raises(AssertionError):
        run(Twice)
