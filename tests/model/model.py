"""What billing should do, in plain Python: no database, no code of the product, fractions until a line is rounded."""

from calendar import monthrange
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from tests.invoice_oracle import settled
from tests.oracle import exact_lines, nearest

Instant = datetime
Span = tuple[datetime, datetime]
Key = tuple[str, str, datetime]  # subscription, reason, end
Amount = tuple[str, int]
ONE = Fraction(1)


class Refused(Exception):
    """The product has to say no."""


@dataclass(frozen=True, eq=False)
class Price:
    """`wire` as on Stripe's wire. Metered with a `meter` (its formula), else licensed. Months, or days, a period."""

    name: str
    wire: dict
    meter: str | None = None
    months: int = 0
    days: int = 0

    def __deepcopy__(self, memo: object) -> "Price":
        return self


@dataclass
class Event:
    meter: str
    at: Instant
    value: Fraction
    cancelled: bool = False


@dataclass
class Slice:
    start: Instant
    end: Instant


@dataclass
class Subscription:
    key: str
    start: Instant
    anchor: Instant
    items: dict[Price, int]
    running: dict[Price, Slice] = field(default_factory=dict)
    cancel_at: Instant | None = None
    ended_at: Instant | None = None

    def told(self) -> list[tuple[str, Instant, Instant]]:
        return sorted((price.name, running.start, running.end) for price, running in self.running.items())


@dataclass
class Grant:
    """`left` as booked: what has expired is there until its end is booked. `prices` by name; none: all metered ones."""

    key: str
    amount: int
    left: int
    place: tuple[object, ...]  # in the order of use
    effective: Instant
    expires: Instant | None
    prices: tuple[str, ...]
    applied: bool = False
    voided: bool = False

    def has_ended(self, at: Instant) -> bool:
        return self.expires is not None and self.expires <= at

    def pays(self, end: Instant, at: Instant) -> bool:
        return self.effective <= end and not (self.voided or self.has_ended(at) or self.has_ended(end))


@dataclass(frozen=True)
class Part:
    """One price over a time: `share` of it for a quantity, or for the usage of that time."""

    price: Price
    start: Instant
    end: Instant
    quantity: int = 0
    share: Fraction = ONE


@dataclass
class Invoice:
    subscription: str
    reason: str
    end: Instant
    parts: list[Part]
    finalizes_at: Instant | None = None
    status: str = "draft"
    amounts: list[Amount] = field(default_factory=list)
    starting: int = 0
    ending: int = 0
    due: int = 0
    credits: list[tuple[str, str, int]] = field(default_factory=list)  # price, grant, amount

    @property
    def key(self) -> Key:
        return self.subscription, self.reason, self.end

    def told(self) -> tuple[object, ...]:
        final = (self.starting, self.ending, self.due) if self.status != "draft" else ()
        return (self.status, self.finalizes_at, sorted(self.amounts), sorted(self.credits), *final)


def boundary(anchor: Instant, price: Price, n: int) -> Instant:
    if price.days:
        return anchor + timedelta(days=n * price.days)
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + n * price.months, 12)
    return anchor.replace(year=year, month=month + 1, day=min(anchor.day, monthrange(year, month + 1)[1]))


def span(anchor: Instant, price: Price, at: Instant) -> Span:
    """The whole period that an instant is in."""
    n = 0
    while boundary(anchor, price, n) > at:
        n -= 1
    while boundary(anchor, price, n + 1) <= at:
        n += 1
    return boundary(anchor, price, n), boundary(anchor, price, n + 1)


class Model:
    """One customer."""

    def __init__(self, grace: timedelta) -> None:
        self.grace = grace
        self.balance = 0
        self.events: dict[str, Event] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.invoices: dict[Key, Invoice] = {}
        self.grants: dict[str, Grant] = {}

    # --- credits

    def grant(self, grant: Grant) -> None:
        self.grants[grant.key] = grant

    def expire(self, grant: Grant, at: Instant) -> None:
        if grant.voided or grant.has_ended(at):
            raise Refused
        grant.expires, grant.left = at, 0

    def void_grant(self, grant: Grant, at: Instant) -> None:
        if grant.voided or grant.has_ended(at) or grant.applied:
            raise Refused
        grant.voided, grant.left = True, 0

    def book_ends(self, at: Instant) -> int:
        """Book that grants have ended; how many of them had something left."""
        ended = [grant for grant in self.grants.values() if grant.left and grant.has_ended(at)]
        for grant in ended:
            grant.left = 0
        return len(ended)

    def use_credits(self, invoice: Invoice, at: Instant, left: dict[str, int]) -> list[tuple[str, str, int]]:
        """What each line takes of each grant, line by line; `left` is of the grants, and reduced."""
        used = []
        items = list(self.subscriptions[invoice.subscription].items)
        usable = [grant for grant in self.grants.values() if grant.pays(invoice.end, at)]
        usable.sort(key=lambda grant: grant.place)
        for part in sorted(invoice.parts, key=lambda part: -items.index(part.price)):
            for name, amount in self.amounts([part]) if part.price.meter else ():
                for grant in usable:
                    if not grant.prices or name in grant.prices:
                        taken = max(0, min(amount, left[grant.key]))
                        amount, left[grant.key] = amount - taken, left[grant.key] - taken
                        used += [(name, grant.key, taken)] if taken else []
        return used

    # --- usage

    def usage_of(self, part: Part) -> Fraction:
        found = [event for event in self.events.values() if event.meter == part.price.meter and not event.cancelled]
        values = [event.value for event in found if part.start <= event.at < part.end]
        if part.price.meter == "count":
            return Fraction(len(values))
        return max(values, default=Fraction(0)) if part.price.meter == "max" else sum(values, Fraction(0))

    def use(self, name: str, meter: str, at: Instant, value: Fraction) -> None:
        self.events[name] = Event(meter, at, value)

    def cancel_event(self, name: str) -> None:
        if self.events[name].cancelled:
            raise Refused
        self.events[name].cancelled = True

    def amounts(self, parts: list[Part]) -> list[Amount]:
        """What each line says, by the name of its price."""
        return [
            (part.price.name, nearest(exact * part.share))
            for part in parts
            for _, _, exact in exact_lines(
                self.usage_of(part) if part.price.meter else Fraction(part.quantity), part.price.wire
            )
        ]

    # --- subscriptions

    def subscribe(self, key: str, items: dict[Price, int], at: Instant, anchor: Instant | None, prorate: bool) -> None:
        made = Subscription(key, at, anchor or at, items)
        self.subscriptions[key] = made
        parts = []
        for price in items:
            part = self._open(made, price, at)
            if not price.meter and (prorate or part.share == 1):
                parts.append(part)
        if parts:
            self._settle(self._invoice(Invoice(key, "subscription_create", at, parts), at), at)

    def close(self, subscription: Subscription, at: Instant) -> Invoice | None:
        """Close what has ended first; the invoice of it, if there is anything on it."""
        end = min(running.end for running in subscription.running.values())
        parts = []
        for price, ended in list(subscription.running.items()):
            if ended.end != end:
                continue
            if price.meter:
                parts.append(Part(price, ended.start, end))
            del subscription.running[price]
            if subscription.cancel_at is None or end < subscription.cancel_at:
                part = self._open(subscription, price, end)
                if not price.meter:
                    parts.append(part)
        over = not subscription.running
        if over:
            self._end(subscription, end)
        if not parts:
            return None
        return self._invoice(
            Invoice(subscription.key, "subscription_cycle", end, parts, None if over else at + self.grace), at
        )

    def due(self, at: Instant) -> list[Subscription]:
        return [
            subscription
            for subscription in self.subscriptions.values()
            if any(running.end <= at for running in subscription.running.values())
        ]

    def catch_up(self, subscription: Subscription, at: Instant) -> None:
        """Every change begins with what is due."""
        while subscription in self.due(at):
            invoice = self.close(subscription, at)
            if invoice and invoice.finalizes_at and not self.grace:
                self._settle(invoice, at)

    def cancel(self, subscription: Subscription, at: Instant, invoice_now: bool) -> None:
        self.catch_up(subscription, at)
        if subscription.ended_at:
            raise Refused
        parts = [Part(price, running.start, at) for price, running in subscription.running.items() if price.meter]
        subscription.running = {}
        self._end(subscription, at)
        if parts and invoice_now:
            self._settle(self._invoice(Invoice(subscription.key, "subscription_update", at, parts), at), at)

    def end_at(self, subscription: Subscription, at: Instant, when: Instant) -> None:
        """Without any proration: what was billed in advance stays billed."""
        self.catch_up(subscription, at)
        if subscription.ended_at:
            raise Refused
        subscription.cancel_at = when
        for price, running in subscription.running.items():
            running.end = min(span(subscription.anchor, price, running.start)[1], when)

    # --- invoices

    def finalize(self, invoice: Invoice, at: Instant) -> None:
        if invoice.status != "draft":
            raise Refused
        self._settle(invoice, at)

    def pay(self, invoice: Invoice, at: Instant) -> None:
        if invoice.status in ("paid", "void"):
            raise Refused
        if invoice.status == "draft":
            self._settle(invoice, at)
        invoice.status = "paid"

    def void(self, invoice: Invoice, at: Instant) -> None:
        if invoice.status not in ("open", "uncollectible"):
            raise Refused
        invoice.status = "void"
        self.balance -= invoice.ending - invoice.starting
        for _, key, amount in invoice.credits:
            if not self.grants[key].has_ended(at):
                self.grants[key].left += amount

    def write_off(self, invoice: Invoice, at: Instant) -> None:
        if invoice.status != "open":
            raise Refused
        invoice.status = "uncollectible"

    def to_finalize(self, at: Instant) -> list[Invoice]:
        drafts = [invoice for invoice in self.invoices.values() if invoice.status == "draft"]
        return [invoice for invoice in drafts if invoice.finalizes_at and invoice.finalizes_at <= at]

    def told(self) -> dict[str, object]:
        """All that can be compared."""
        return {
            "balance": self.balance,
            "grants": {one.key: (one.left, one.expires, one.voided) for one in self.grants.values()},
            "subscriptions": {one.key: (one.ended_at, one.told()) for one in self.subscriptions.values()},
            "invoices": {one.key: one.told() for one in self.invoices.values()},
        }

    def reached(self) -> list[str]:
        """What has happened, in words that can be counted."""
        invoices = list(self.invoices.values())
        words = [f"{invoice.reason} {invoice.status}" for invoice in invoices]
        words += ["with money" for invoice in invoices if invoice.due]
        words += ["from balance" for invoice in invoices if invoice.starting != invoice.ending]
        words += ["credits" for invoice in invoices if invoice.credits and invoice.status != "draft"]
        words += ["credits back" for invoice in invoices if invoice.credits and invoice.status == "void"]
        words += ["two grants" for invoice in invoices if len({grant for _, grant, _ in invoice.credits}) > 1]
        words += ["usage" for invoice in invoices for part in invoice.parts if self.usage_of(part)]
        words += ["share" for invoice in invoices for part in invoice.parts if part.share != 1]
        return words + ["ended" for subscription in self.subscriptions.values() if subscription.ended_at]

    # --- inside

    def _open(self, subscription: Subscription, price: Price, start: Instant) -> Part:
        whole = span(subscription.anchor, price, start)
        end = min(whole[1], subscription.cancel_at or whole[1])
        subscription.running[price] = Slice(start, end)
        share = Fraction((end - start) // timedelta(seconds=1), (whole[1] - whole[0]) // timedelta(seconds=1))
        return Part(price, start, end, subscription.items[price], share)

    def _end(self, subscription: Subscription, at: Instant) -> None:
        subscription.ended_at = at
        for invoice in self.invoices.values():
            if invoice.subscription == subscription.key:
                invoice.finalizes_at = None

    def _invoice(self, invoice: Invoice, at: Instant) -> Invoice:
        invoice.amounts = self.amounts(invoice.parts)
        invoice.credits = self.use_credits(invoice, at, {grant.key: grant.left for grant in self.grants.values()})
        self.invoices[invoice.key] = invoice
        return invoice

    def _settle(self, invoice: Invoice, at: Instant) -> None:
        invoice.amounts = self.amounts(invoice.parts)
        left = {grant.key: grant.left for grant in self.grants.values()}
        invoice.credits = self.use_credits(invoice, at, left)
        for _, key, _ in invoice.credits:
            self.grants[key].left, self.grants[key].applied = left[key], True
        total = sum(amount for _, amount in invoice.amounts) - sum(amount for _, _, amount in invoice.credits)
        told = settled(total, self.balance, 0)
        invoice.starting, invoice.ending, invoice.due = self.balance, told["ending_balance"], told["amount_due"]
        self.balance, invoice.finalizes_at = invoice.ending, None
        invoice.status = "open" if invoice.due else "paid"
