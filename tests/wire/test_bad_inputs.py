"""Bad inputs to metering, pricing and balances, each with its exact answer: `bad_inputs.jsonl`, one a line.

In a line `{customer}`, `{meter}` and `{key}` stand for ids of this test and a secret key, and a body of
`["a=", "x", 9]` for "a=" and nine times "x"; a null header is left out. The clock stands still.

Where answers change on purpose, REWRITE_BAD_INPUTS=1 writes the file anew, and its diff says what has changed.
"""

import json
import os
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from api.keys import Rights, create_api_key
from core import clock
from customers.models import CustomerBalanceTransaction
from meters.models import MeterEvent
from pricing.coupons import CouponSpec, create_coupon
from pricing.promotion_codes import PromotionCodeSpec, create_promotion_code
from tests import make
from tests.make import utc

FORM = "application/x-www-form-urlencoded"
AT = utc(2026, 1, 20, 12)
FILE = Path(__file__).parent / "bad_inputs.jsonl"
LINES = [json.loads(line) for line in FILE.read_text().splitlines()]


CLIENT = Client(raise_request_exception=False)


def send(given: dict[str, Any], names: dict[str, str]) -> Any:
    """The answer to one line."""
    path, body = given["path"], given.get("body", "")
    if isinstance(body, list):
        before, middle, times = body
        body = before + middle * times
    headers = {"Authorization": "Bearer {key}"} | given.get("headers", {})
    for name, value in names.items():
        path, body = path.replace(f"{{{name}}}", value), body.replace(f"{{{name}}}", value)
        headers = {header: text and text.replace(f"{{{name}}}", value) for header, text in headers.items()}
    kind = headers.pop("Content-Type", FORM)
    kept = {header: text for header, text in headers.items() if text is not None}
    return CLIENT.generic(given["method"], path, body.encode(), content_type=kind, headers=kept)


@pytest.fixture
def names(db: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    def still() -> datetime:
        return AT

    customer, meter = make.customer(), make.meter("calls")
    make.meter("visits", formula="count")
    make.event(customer, "calls", "5", at=AT, identifier="taken")
    reader = create_api_key("reader", AT, rights=Rights(["usage:read"]))[1]
    monkeypatch.setattr(clock, "now", still)
    create_coupon(spec=CouponSpec(id="SPRING", percent_off=Decimal(10), max_redemptions=5), at=AT)
    create_promotion_code(spec=PromotionCodeSpec("SPRING", code="TAKEN"), at=AT)
    secret = create_api_key("bad inputs", AT)[1]
    return {"customer": customer.pk, "meter": meter.pk, "key": secret, "reader": reader}


def told(answer: Any, names: dict[str, str]) -> dict[str, Any]:
    """What a line says of an answer."""
    error = answer.json()["error"]
    message = error["message"]
    for name, value in names.items():
        message = message.replace(value, f"{{{name}}}")
    return {"status": answer.status_code} | error | {"message": message}


def sent(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "answer"}


def test_each_bad_input_has_its_answer(names: dict[str, str]) -> None:
    before, wrong = MeterEvent.objects.count(), []
    for given in LINES:
        answer = send(given, names)
        found = told(answer, names)
        assert answer["Request-Id"].startswith("req_")
        assert answer["Content-Type"] == "application/json"
        if found != given["answer"]:
            wrong.append(given | {"answer": found})
    if os.environ.get("REWRITE_BAD_INPUTS"):
        asked = {json.dumps(sent(line)): line for line in [*LINES, *wrong]}
        FILE.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in asked.values()))
    assert wrong == []
    assert MeterEvent.objects.count() == before
    assert not CustomerBalanceTransaction.objects.exists()


def test_the_lines_are_many_and_differ() -> None:
    assert len(LINES) >= 200
    assert max(Counter(json.dumps(sent(line)) for line in LINES).values()) == 1
    assert {line["answer"]["status"] for line in LINES} == {400, 401, 403, 404}
