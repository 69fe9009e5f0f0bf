"""Of every formula: a finalized line opens to exactly the events it has counted, in words that fit the formula."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from invoices.models import InvoiceLine
from meters.adjustments import cancel_event
from meters.aggregations import AGGREGATIONS
from meters.ingest import record_event
from meters.usage import usage
from portal.breakdown import LineUsage, adds_up
from portal.tests.scenes import DAY, END_OF_JANUARY, FEB, HOUR, JAN, bill, enter
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)

SENT = ((2, "4"), (3, "-1"), (26, "4"), (27, "9"), (700, "3"))  # hours since the start of January, and values
QUANTITIES = {
    "sum": "19",
    "count": "5",
    "last": "3",
    "last_ever": "3",
    "max": "9",
    "min": "-1",
    "unique": "4",
    "average": "3.8",
    # 4 for 1 hour, -1 for 23, 4 for 1, 9 for 673, 3 for the 44 to the end of January
    "time_weighted_sum": "6174",
}


class Scene:
    """A customer on a clock with a priced meter, and a browser that may look at its line."""

    def __init__(self, formula: str, **fields: Any) -> None:
        self.clock = make.clock()
        self.customer = make.customer(on=self.clock)
        self.meter = make.meter(formula=formula, **fields)
        make.subscribe(self.customer, make.price(meter=self.meter, unit="1"))
        make.move(self.clock, END_OF_JANUARY)

    def send(self, value: str, *, at: datetime, identifier: str, **more: str) -> None:
        payload = {"stripe_customer_id": self.customer.pk, "value": value} | more
        record_event("tokens", payload=payload, at=at, timestamp=at, identifier=identifier)

    def line(self) -> InvoiceLine:
        return bill(self.customer, self.clock).lines.get()

    def used(self, line: InvoiceLine) -> LineUsage:
        return LineUsage(line, line.invoice.customer)


def shown(scene: Scene, line: InvoiceLine, rest: str = "") -> str:
    answer = enter(scene.customer).get(f"/portal/invoices/{line.invoice_id}/lines/{line.pk}{rest}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def billed(formula: str, **fields: Any) -> tuple[Scene, InvoiceLine]:
    scene = Scene(formula, **fields)
    for hours, value in SENT:
        scene.send(value, at=JAN + hours * HOUR, identifier=f"event-{hours}")
    return scene, scene.line()


def test_every_formula_is_tested_here():
    assert QUANTITIES.keys() == AGGREGATIONS.keys()


@pytest.mark.parametrize("formula", QUANTITIES)
def test_a_line_opens_to_its_events_also_when_they_are_cancelled_afterwards(formula):
    scene, line = billed(formula)
    used, aggregation = scene.used(line), AGGREGATIONS[formula]
    assert line.usage_quantity == Decimal(QUANTITIES[formula])
    before = [shown(scene, line, rest).split("</header>")[1] for rest in ("", "?by=hour", "/events")]

    cancel_event("tokens", "event-27", any_time=True)
    scene.send("50", at=JAN + 5 * HOUR, identifier="late")

    assert [shown(scene, line, rest).split("</header>")[1] for rest in ("", "?by=hour", "/events")] == before
    page = used.page(1)
    assert [row.event.identifier for row in page.rows] == [f"event-{hours}" for hours, _ in SENT]
    assert [row.sent.replace("−", "-") for row in page.rows] == [
        "1" if formula == "count" else value for _, value in SENT
    ]
    now = usage(scene.meter, scene.customer, start=JAN, end=FEB)
    assert now.quantity != line.usage_quantity or formula in ("last", "last_ever", "count", "min", "unique")
    assert adds_up(used.buckets("day"), line.usage_quantity, aggregation) or not aggregation.parts_add_up
    for text in before:
        assert 'class="problem"' not in text


def test_words_of_formulas_that_add_up():
    scene, line = billed("sum")

    page, events = shown(scene, line), shown(scene, line, "/events")

    assert ">Quantity</th>" in page
    assert "3 days with usage add up to 19, the usage of the line" in page
    assert "Running total" in events
    assert "<dt>Counted by</dt><dd>Sum of the values</dd>" in events


@pytest.mark.parametrize(
    ("formula", "deciding"),
    [("last", "event-700"), ("last_ever", "event-700"), ("max", "event-27"), ("min", "event-3")],
)
def test_words_of_formulas_where_one_event_decides(formula, deciding):
    scene, line = billed(formula)

    page, events = shown(scene, line), shown(scene, line, "/events")

    label = AGGREGATIONS[formula].label
    assert f">{label}</th>" in page
    assert "One event alone decides" in page
    assert f"(event <code>{deciding}</code>)" in page
    assert "<tfoot>" not in page
    assert 'class="check"' not in page
    assert "Running total" not in events
    assert events.count(" yes</td>") == 1
    assert events.count(">no</td>") == 4


@pytest.mark.parametrize("formula", ["unique", "average"])
def test_words_of_formulas_where_all_decide_together(formula):
    scene, line = billed(formula)

    page, events = shown(scene, line), shown(scene, line, "/events")

    assert f">{AGGREGATIONS[formula].label}</th>" in page
    assert "decide together, so the figures of days and hours do not add up" in page
    assert "<tfoot>" not in page
    assert "alone decides" not in page
    assert "there is no running total" in events
    assert "Running total" not in events
    assert events.count(" yes</td>") == 5


def test_of_different_values_the_texts_are_shown():
    scene = Scene("unique", event_time_window="day")
    for number, user in enumerate(["ada@example.com", "bob", "bob"]):
        scene.send(user, at=JAN + number * DAY, identifier=f"u{number}")
    scene.send("replaced", at=JAN + 3 * DAY, identifier="u3")
    scene.send("<b>", at=JAN + 3 * DAY + HOUR, identifier="u4")
    line = scene.line()

    events = shown(scene, line, "/events")

    assert line.usage_quantity == 3
    assert "ada@example.com" in events
    assert "&lt;b&gt;" in events
    assert events.count(">replaced</td>") == 2  # the text sent, and what became of it
    assert events.count(" yes</td>") == 4


def test_levels_hold_on_from_before_the_period_and_add_up():
    scene = Scene("time_weighted_sum", dimension_payload_keys=["region"])
    scene.send("10", at=JAN - DAY, identifier="before", region="eu")
    scene.send("1", at=JAN - 2 * DAY, identifier="replaced before", region="eu")
    scene.send("7", at=JAN + DAY, identifier="other", region="us")
    scene.send("2", at=JAN + DAY + HOUR / 3, identifier="within", region="eu")
    line = scene.line()
    whole = 10 * Decimal(24) + 10 / Decimal(3) + 7 * Decimal(720) + 2 * (Decimal(720) - 1 / Decimal(3))
    assert line.usage_quantity == round(whole, 12)
    scene.send("1000", at=JAN + HOUR, identifier="late", region="us")

    rows = scene.used(line).page(1).rows
    assert [(row.event.identifier, row.carried) for row in rows] == [
        ("before", True),
        ("other", False),
        ("within", False),
    ]
    assert [row.hours for row in rows] == [Decimal("24.333333333333"), 720, Decimal("719.666666666667")]
    assert rows[-1].running == line.usage_quantity
    events = shown(scene, line, "/events")
    assert "Levels 1 to 3 of 3; all of them add up to" in events
    assert "since Dec 31, 2025, 00:00:00" in events
    assert "region: us" in events
    assert ">late<" not in events

    page = shown(scene, line)
    assert ">Level × hours</th>" in page
    assert "31 days with usage add up to" in page
    day = shown(scene, line, "/events?day=2026-01-02")
    assert "Levels 1 to 3 of 3; all of them add up to 218.666666666667." in day
    quiet = shown(scene, line, "?day=2026-01-20")
    assert "24 hours with usage add up to 216." in quiet
    assert 'class="problem"' not in page + quiet


def test_levels_are_paged():
    scene = Scene("time_weighted_sum")
    for number in range(101):
        scene.send("1", at=JAN + number * HOUR, identifier=f"l{number}")
    line = scene.line()

    last = shown(scene, line, "/events?page=9")

    assert "Levels 101 to 101 of 101; all of them add up to 744" in last
    assert line.usage_quantity == 744


def test_a_level_is_only_said_to_hold_until_now():
    scene = Scene("time_weighted_sum")
    scene.send("3", at=JAN, identifier="a")
    client = enter(scene.customer)

    so_far = 3 * Decimal(31 * 24) - 3 * 1 / Decimal(60)  # the clock stands a minute before the end
    for path in ("/portal/", "/portal/usage", "/portal/usage?range=30d"):
        text = client.get(path).content.decode()
        assert "Level times hours" in text
        if "30d" not in path:
            assert f'<p class="figure">{so_far:,.2f}</p>' in text
    ahead = client.get("/portal/usage?range=custom&from=2026-02-05&to=2026-02-06").content.decode()
    assert '<p class="figure">0</p>' in ahead
