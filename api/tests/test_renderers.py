from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.utils.translation import gettext_lazy

from api.renderers import to_json


def test_json_has_no_floats_for_decimals() -> None:
    assert to_json({"a": Decimal("0.10"), "b": gettext_lazy("x")}) == b'{"a":"0.1","b":"x"}'
    for value in (datetime(2026, 1, 1, tzinfo=UTC), object()):
        with pytest.raises(TypeError):
            to_json(value)
