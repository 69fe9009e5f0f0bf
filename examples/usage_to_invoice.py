"""From usage to a finalized invoice, with the official Stripe client and only its base addresses changed.

    python examples/usage_to_invoice.py --url http://127.0.0.1:8000 --key sk_test_...

A company sells a language model: prompt tokens in graduated tiers, completion tokens by the started thousand, both
for fractions of a cent. This script sets that up, sends the usage of real requests, and bills it. Time is simulated
by a test clock, so a month takes a second.
"""

import argparse
import csv
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import stripe

SAMPLE = Path(__file__).with_name("llm_requests_sample.csv")
HOUR, DAY = 3600, 86_400


@dataclass(frozen=True)
class Request:
    """One request to the model: when (Unix time), and how many tokens went in and came out."""

    timestamp: int
    prompt_tokens: int
    completion_tokens: int


def connect(url: str, key: str) -> stripe.StripeClient:
    """The official client. Without `base_addresses` it would call Stripe; nothing else is different."""
    return stripe.StripeClient(key, base_addresses={"api": url, "meter_events": url}, max_network_retries=3)


def read_requests(path: Path) -> list[Request]:
    """Rows of (time, prompt tokens, completion tokens) below a line of headings; times in UTC."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [Request(unix(row[0]), int(row[1]), int(row[2])) for row in rows]


def unix(text: str) -> int:
    """`2023-11-16 18:15:46.6805900` in whole seconds."""
    return int(datetime.strptime(text[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp())


# --- what is sold -----------------------------------------------------------------------------------------------------


def find_or_create_meter(client: stripe.StripeClient, event_name: str, display_name: str) -> Any:
    """A meter adds up the events of one name. Only one active meter can have a name, so look for it first."""
    for meter in client.v1.billing.meters.list({"status": "active", "limit": 100}).auto_paging_iter():
        if meter.event_name == event_name:
            return meter
    return client.v1.billing.meters.create(
        {"display_name": display_name, "event_name": event_name, "default_aggregation": {"formula": "sum"}}
    )


def create_prompt_price(client: stripe.StripeClient, meter: Any) -> Any:
    """Graduated: the first 50,000 tokens at 0.00025 cents each and a base fee of 5 dollars, later ones cheaper.

    Amounts are in minor units (cents); `_decimal` amounts may have up to 12 decimal places.
    """
    return client.v1.prices.create(
        {
            "currency": "usd",
            "product_data": {"name": "Prompt tokens", "unit_label": "token"},
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "tiers": [
                {"up_to": 50_000, "unit_amount_decimal": "0.00025", "flat_amount": 500},
                {"up_to": 1_000_000, "unit_amount_decimal": "0.0002"},
                {"up_to": "inf", "unit_amount_decimal": "0.00015"},
            ],
        }
    )


def create_completion_price(client: stripe.StripeClient, meter: Any) -> Any:
    """A package: 0.75 cents for every started 1,000 tokens."""
    return client.v1.prices.create(
        {
            "currency": "usd",
            "product_data": {"name": "Completion tokens", "unit_label": "token"},
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
            "unit_amount_decimal": "0.75",
            "transform_quantity": {"divide_by": 1000, "round": "up"},
        }
    )


# --- time -------------------------------------------------------------------------------------------------------------


def advance(client: stripe.StripeClient, clock: Any, to: int) -> None:
    """Move a test clock. Everything that time brings happens on the way: periods end, invoices are finalized."""
    clocks = client.v1.test_helpers.test_clocks
    clocks.advance(clock.id, {"frozen_time": to})
    deadline = time.monotonic() + 120
    while (moving := clocks.retrieve(clock.id)).status == "advancing":
        if time.monotonic() > deadline:
            raise SystemExit("The clock does not arrive. Does the worker run?")
        time.sleep(0.2)
    if moving.status != "ready":
        raise SystemExit(f"The clock is {moving.status}.")


# --- usage ------------------------------------------------------------------------------------------------------------


def events_of(customer: Any, requests: list[Request], meters: tuple[Any, Any]) -> Iterator[dict[str, Any]]:
    """Two events a request. The identifier makes it safe to send one again: it is counted once."""
    for number, request in enumerate(requests):
        for meter, tokens in zip(meters, (request.prompt_tokens, request.completion_tokens), strict=True):
            yield {
                "event_name": meter.event_name,
                "payload": {"stripe_customer_id": customer.id, "value": str(tokens)},
                "timestamp": request.timestamp,
                "identifier": f"{customer.id}-{number}-{meter.event_name}",
            }


def send(client: stripe.StripeClient, events: Iterator[dict[str, Any]], *, threads: int = 4) -> int:
    """Send the events, a few at once; how many were sent."""
    with ThreadPoolExecutor(threads) as pool:
        return sum(1 for _ in pool.map(client.v1.billing.meter_events.create, events))


# --- the invoice ------------------------------------------------------------------------------------------------------


def show(invoice: Any) -> None:
    """Print an invoice line by line. `lines` shows the first ten; the iterator fetches what is beyond."""
    print(f"\nInvoice {invoice.number or '(preview)'}: {invoice.status}")
    for line in invoice.lines.auto_paging_iter():
        print(f"  {line.description:<74} {money(line.amount, line.currency):>12}")
    print(f"  {'Total':<74} {money(invoice.total, invoice.currency):>12}")


def money(amount: int, currency: str) -> str:
    return f"{amount // 100}.{amount % 100:02} {currency.upper()}"


def main() -> None:
    options = arguments()
    client = connect(options.url, options.key)
    requests = read_requests(options.csv)
    first, last = requests[0].timestamp, max(request.timestamp for request in requests)

    # 1. What is sold: meters count, prices say what the count costs.
    prompt = find_or_create_meter(client, "prompt_tokens", "Prompt tokens")
    completion = find_or_create_meter(client, "completion_tokens", "Completion tokens")
    prices = create_prompt_price(client, prompt), create_completion_price(client, completion)

    # 2. Who buys it: a customer on a test clock that shows the day of the first request, and a subscription.
    clock = client.v1.test_helpers.test_clocks.create({"frozen_time": first - first % DAY, "name": "usage to invoice"})
    customer = client.v1.customers.create({"name": "Example customer", "test_clock": clock.id})
    subscription = client.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id} for price in prices]}
    )

    # 3. What was used. Events may not lie more than five minutes ahead, so the clock goes to the last request first.
    advance(client, clock, last)
    count = send(client, events_of(customer, requests, (prompt, completion)))
    print(f"Sent {count} events of {len(requests)} requests.")

    # 4. What it will cost, as things stand.
    show(client.v1.invoices.create_preview({"subscription": subscription.id}))

    # 5. The month ends, the invoice is drafted; late usage is taken for another hour, then it is finalized.
    period_end = subscription.items.data[0].current_period_end
    advance(client, clock, period_end + HOUR)
    subscription = client.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})
    show(subscription.latest_invoice)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_connection(parser)
    parser.add_argument("--csv", type=Path, default=SAMPLE, help="requests: time, prompt tokens, completion tokens")
    return parser.parse_args()


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Where the server is, and the key it printed; also from the environment."""
    url, key = os.environ.get("COUNTINGHOUSE_URL", "http://127.0.0.1:8000"), os.environ.get("COUNTINGHOUSE_KEY")
    parser.add_argument("--url", default=url, help=f"address of the server (default {url})")
    parser.add_argument("--key", default=key, required=key is None, help="a secret API key, as script/server prints it")


if __name__ == "__main__":
    main()
