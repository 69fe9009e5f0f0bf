"""The official client, and short ways to make over the wire what tests begin with."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

_names = itertools.count(1)
DAY = 86_400


def client_of(url: str, key: str, **options: Any) -> stripe.StripeClient:
    """A client with only its base addresses changed."""
    addresses = {"api": url, "meter_events": url, "files": url, "connect": url}
    return stripe.StripeClient(key, base_addresses=addresses, **options)


def unix(year: int, month: int = 1, day: int = 1, *time: int) -> int:
    return int(datetime(year, month, day, *time, tzinfo=UTC).timestamp())


def refused(
    kind: type[stripe.StripeError], call: Callable[..., Any], *args: Any, status: int = 400, **kwargs: Any
) -> stripe.StripeError:
    """The exception that a call raises; it always has a message, a status and the request's id."""
    with pytest.raises(kind) as caught:
        call(*args, **kwargs)
    error = caught.value
    assert error.http_status == status, error
    assert error.user_message
    assert str(error.request_id).startswith("req_")
    return error


def invalid(call: Callable[..., Any], *args: Any, **kwargs: Any) -> stripe.StripeError:
    """The `InvalidRequestError` of a refused call (400)."""
    return refused(stripe.InvalidRequestError, call, *args, **kwargs)


def missing(call: Callable[..., Any], *args: Any, **kwargs: Any) -> stripe.StripeError:
    """The `InvalidRequestError` for an address that names nothing (404)."""
    error = refused(stripe.InvalidRequestError, call, *args, status=404, **kwargs)
    assert error.code == "resource_missing"
    return error


@dataclass(frozen=True)
class Wire:
    """One installation as a caller sees it. `v1` is where the calls are."""

    client: stripe.StripeClient
    url: str
    key: str

    @property
    def v1(self) -> Any:
        return self.client.v1

    def clock(self, at: int = unix(2026)) -> Any:
        return self.v1.test_helpers.test_clocks.create({"frozen_time": at})

    def customer(self, on: Any = None, **fields: Any) -> Any:
        clock = {"test_clock": on.id} if on else {}
        return self.v1.customers.create({"name": "Ada"} | clock | fields)

    def meter(self, formula: str = "sum", **fields: Any) -> Any:
        number = next(_names)
        settings = {"display_name": f"Meter {number}", "event_name": f"meter_{number}"}
        return self.v1.billing.meters.create(settings | {"default_aggregation": {"formula": formula}} | fields)

    def price(self, meter: Any = None, *, interval: str = "month", count: int = 1, **fields: Any) -> Any:
        """A price with its own product; metered if there is a meter, else licensed."""
        usage = {"usage_type": "metered", "meter": meter.id} if meter else {}
        settings = {
            "currency": "usd",
            "product_data": {"name": "Product"},
            "recurring": {"interval": interval, "interval_count": count, **usage},
        }
        if not fields.keys() & {"unit_amount", "unit_amount_decimal", "tiers"}:
            settings["unit_amount"] = 5
        return self.v1.prices.create(settings | fields)

    def tiered(self, meter: Any, mode: str, tiers: Iterable[tuple[Any, Any, Any]], **fields: Any) -> Any:
        """A tiered price; each tier (up_to, unit, flat), amounts as decimals in minor units, None for absent."""
        shown = [
            {"up_to": end}
            | ({} if each is None else {"unit_amount_decimal": each})
            | ({} if flat is None else {"flat_amount_decimal": flat})
            for end, each, flat in tiers
        ]
        return self.price(meter, billing_scheme="tiered", tiers_mode=mode, tiers=shown, **fields)

    def subscribe(self, customer: Any, /, *prices: Any, **fields: Any) -> Any:
        items = [{"price": price.id} for price in prices]
        return self.v1.subscriptions.create({"customer": customer.id, "items": items} | fields)

    def send(self, meter: Any, customer: Any, value: str = "1", at: int | None = None, **fields: Any) -> Any:
        """Send one event."""
        payload = {meter.customer_mapping.event_payload_key: customer.id, meter.value_settings.event_payload_key: value}
        when = {} if at is None else {"timestamp": at}
        return self.v1.billing.meter_events.create({"event_name": meter.event_name, "payload": payload} | when | fields)

    def advance(self, clock: Any, to: int) -> Any:
        """Advance a clock, and do what a worker does then; beat's task finds the clock."""
        from customers.tasks import advance_test_clocks

        advancing = self.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": to})
        assert (advancing.status, advancing.status_details.advancing.target_frozen_time) == ("advancing", to)
        advance_test_clocks()
        ready = self.v1.test_helpers.test_clocks.retrieve(clock.id)
        assert (ready.status, ready.frozen_time) == ("ready", to)
        return ready

    def invoices(self, customer: Any, **filters: Any) -> list[Any]:
        """The customer's invoices, oldest first."""
        return self.v1.invoices.list({"customer": customer.id, "limit": 100} | filters).data[::-1]
