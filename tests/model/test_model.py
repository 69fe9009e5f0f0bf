"""The state machine, as it runs with all other tests; `script/model` runs it for longer."""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model import catalog
from tests.model.machine import Billing

pytestmark = pytest.mark.django_db(transaction=True)
EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "25"))
STEPS = int(os.environ.get("MODEL_STEPS", "30"))
PROFILE = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink] if "MODEL_SHRINK" in os.environ else [Phase.generate],
    derandomize="MODEL_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)


def test_the_product_does_what_the_model_does() -> None:
    Billing.catalog = catalog.build()
    run_state_machine_as_test(Billing, settings=PROFILE)
