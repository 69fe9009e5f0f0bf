"""A Hypothesis state machine: the product and the model do the same things, and after each of them say the same.

Every call of the product commits, in real PostgreSQL. An example is one customer; the time is the machine's own.
"""

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core import timeline
from core.errors import BillingError
from core.sweep import sweep
from credits.grants import NewGrant, create_grant, expire_grant, void_grant
from customers.balance import adjust_balance
from invoices.finalize import finalize_invoice
from invoices.models import Invoice
from invoices.settle import mark_uncollectible, pay_invoice, void_invoice
from meters.adjustments import cancel_event
from meters.ingest import Outcome, Record, ingest
from subscriptions.cancel import cancel_subscription
from subscriptions.change import Cancellation, update_subscription
from subscriptions.models import Subscription
from subscriptions.subscribe import ItemSpec, SubscriptionSpec, create_subscription
from tests import make
from tests.faults.invariants import violations
from tests.make import utc
from tests.model import audits
from tests.model.catalog import Catalog
from tests.model.model import Grant, Model, Price, Refused, span
from tests.model.model import Invoice as Expected
from tests.model.model import Subscription as Running

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
MOST_SUBSCRIPTIONS, MOST_ADJUSTMENTS, MOST_GRANTS = 3, 4, 6
numbers = st.integers(0, 10**6)


class Billing(RuleBasedStateMachine):
    """Rules name what they act on by a number: it counts round what there is."""

    catalog: Catalog  # made once for all examples
    reached: Counter[str] = Counter()  # so that a run which comes to nothing is noticed

    @initialize(
        grace=st.sampled_from([timedelta(0), HOUR, 72 * HOUR]),
        start=st.sampled_from([utc(2026, 1, 1), utc(2026, 1, 31, 15, 30), utc(2027, 11, 30, 23, 59, 59)]),
        first=numbers,
        quantity=st.integers(1, 300),
    )
    def begin(self, grace: timedelta, start: datetime, first: int, quantity: int) -> None:
        self.now = start
        self.model, self.adjustments = Model(grace), 0
        self.customer = make.customer(start, late_usage="not_billed", invoice_grace_seconds=int(grace.total_seconds()))
        self.audit = audits.Audit(self.customer)
        prices = self.pick(self.catalog.combinations, first)
        self.start({price: 0 if price.meter else quantity for price in prices}, None, prorate=True)

    def teardown(self) -> None:
        """What is left of an example is never due again."""
        if hasattr(self, "customer"):
            Subscription.objects.filter(customer=self.customer).update(parked_at=self.now)
            Invoice.objects.drafts().filter(customer=self.customer).update(auto_advance=False)
            self.customer.credit_grants.update(expires_at=None)
            self.reached.update(self.model.reached())

    # --- time

    @rule(hours=st.integers(1, 45 * 24))
    def let_time_pass(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @precondition(lambda self: self.boundaries())
    @rule(which=numbers, beside=st.sampled_from([-SECOND, timedelta(0), SECOND]))
    def go_to_a_boundary(self, which: int, beside: timedelta) -> None:
        self.now = max(self.now, self.pick(self.boundaries(), which) + beside)

    @rule(twice=st.booleans())
    def close_what_is_due(self, twice: bool) -> None:
        before = self.finalized()
        done = sweep(self.work("close_periods"), self.now)
        closed, at_once = 0, []
        while due := self.model.due(self.now):
            closed += len(due)
            invoices = [self.model.close(subscription, self.now) for subscription in due]
            at_once += [invoice for invoice in invoices if invoice and invoice.finalizes_at and not self.model.grace]
        assert done == closed
        self.follow(at_once, before)
        if twice:
            assert sweep(self.work("close_periods"), self.now) == 0

    @rule(twice=st.booleans())
    def finalize_what_is_due(self, twice: bool) -> None:
        before = self.finalized()
        due = self.model.to_finalize(self.now)
        assert sweep(self.work("finalize_invoices"), self.now) == len(due)
        self.follow(due, before)
        if twice:
            assert sweep(self.work("finalize_invoices"), self.now) == 0

    @precondition(lambda self: any(at >= self.now for at in self.boundaries()))
    @rule(finalizes=st.booleans())
    def renew(self, finalizes: bool) -> None:
        """What time brings most often: the next period ends, and the grace of its invoice."""
        self.now = min(at for at in self.boundaries() if at >= self.now)
        self.close_what_is_due(twice=False)
        if finalizes:
            self.now += self.model.grace
            self.finalize_what_is_due(twice=False)

    # --- usage

    @rule(
        meter=st.sampled_from(["sum", "count", "max"]),
        value=st.one_of(st.integers(-20, 400).map(Decimal), st.decimals(-5, 50, places=3)),
        hours=st.integers(-60 * 24, 24),
        which=numbers,
        beside=st.sampled_from([None, -SECOND, timedelta(0), SECOND]),
    )
    def use(self, meter: str, value: Decimal, hours: int, which: int, beside: timedelta | None) -> None:
        """On time, late, ahead of time, and at or just beside a boundary."""
        at = self.now + timedelta(hours=hours)
        if beside is not None and self.boundaries():
            at = self.pick(self.boundaries(), which) + beside
        name = make.new_name()
        assert self.send(name, meter, value, at) == Outcome.STORED
        self.model.use(name, meter, at, Fraction(value))

    @precondition(lambda self: self.model.events)
    @rule(which=numbers, same=st.booleans())
    def send_an_event_again(self, which: int, same: bool) -> None:
        name = self.pick(list(self.model.events), which)
        event = self.model.events[name]
        value = Decimal(event.value.numerator) / event.value.denominator
        outcome = self.send(name, event.meter, value + (0 if same else 1), event.at)
        assert outcome == (Outcome.DUPLICATE if same else Outcome.CONFLICT)

    @precondition(lambda self: self.model.events)
    @rule(which=numbers)
    def cancel_an_event(self, which: int) -> None:
        name = self.pick(list(self.model.events), which)
        event = self.catalog.event_names[self.model.events[name].meter]
        self.both(
            lambda: cancel_event(event, name, any_time=True),
            lambda: self.model.cancel_event(name),
        )

    # --- subscriptions

    @precondition(lambda self: len(self.model.subscriptions) < MOST_SUBSCRIPTIONS)
    @rule(data=st.data(), ahead=st.one_of(st.none(), st.integers(1, 6 * 24)), prorate=st.booleans())
    def subscribe(self, data: st.DataObject, ahead: int | None, prorate: bool) -> None:
        prices = data.draw(st.sampled_from(self.catalog.combinations))
        items = {price: 0 if price.meter else data.draw(st.integers(0, 7)) for price in prices}
        self.start(items, None if ahead is None else self.now + timedelta(hours=ahead), prorate=prorate)

    def start(self, items: dict[Price, int], anchor: datetime | None, *, prorate: bool) -> None:
        spec = SubscriptionSpec(
            [ItemSpec(self.catalog.ids[price], None if price.meter else count) for price, count in items.items()],
            billing_cycle_anchor=anchor,
            prorate=prorate,
        )
        made = create_subscription(self.customer.pk, spec=spec, at=self.now)
        self.model.subscribe(made.pk, items, self.now, anchor, prorate)

    @precondition(lambda self: self.model.subscriptions)
    @rule(which=numbers, invoice_now=st.booleans())
    def cancel(self, which: int, invoice_now: bool) -> None:
        subscription = self.subscription(which)
        self.both(
            lambda: cancel_subscription(subscription.key, at=self.now, invoice_now=invoice_now),
            lambda: self.model.cancel(subscription, self.now, invoice_now),
        )

    @precondition(lambda self: self.model.subscriptions)
    @rule(which=numbers, hours=st.integers(1, 60 * 24))
    def cancel_at(self, which: int, hours: int) -> None:
        subscription, when = self.subscription(which), self.now + timedelta(hours=hours)
        if subscription.cancel_at is None:
            wish = Cancellation(cancel_at=when, prorate=False)
            self.both(
                lambda: update_subscription(subscription.key, changes={}, at=self.now, cancellation=wish),
                lambda: self.model.end_at(subscription, self.now, when),
            )

    # --- invoices and money

    @precondition(lambda self: self.model.invoices)
    @rule(which=numbers, act=st.sampled_from(["finalize", "pay", "void", "write_off"]))
    def act_on_an_invoice(self, which: int, act: str) -> None:
        """Legal or not."""
        expected = self.pick(list(self.model.invoices.values()), which)
        key, at = self.stored(expected).pk, self.now
        verbs: dict[str, Callable[[], Any]] = {
            "finalize": lambda: finalize_invoice(key, at=at),
            "pay": lambda: pay_invoice(key, at=at, paid_out_of_band=True),
            "void": lambda: void_invoice(key, at=at),
            "write_off": lambda: mark_uncollectible(key, at=at),
        }
        self.both(verbs[act], lambda: getattr(self.model, act)(expected, self.now))

    @precondition(lambda self: self.adjustments < MOST_ADJUSTMENTS)
    @rule(amount=st.integers(-20_000, 5_000).filter(bool))
    def adjust_the_balance(self, amount: int) -> None:
        self.adjustments += 1
        adjust_balance(self.customer.pk, amount, currency="usd", at=self.now)
        self.model.balance += amount

    # --- credits

    @precondition(lambda self: len(self.model.grants) < MOST_GRANTS)
    @rule(
        amount=st.integers(1, 30_000),
        priority=st.sampled_from([0, 50, 100]),
        promotional=st.booleans(),
        scope=st.sampled_from([(), (), ("tokens",), ("calls", "peak")]),
        begins=st.integers(-24, 40 * 24),
        lasts=st.one_of(st.none(), st.integers(1, 90 * 24)),
        which=numbers,
        beside=st.sampled_from([None, -SECOND, timedelta(0), SECOND]),
    )
    def grant(
        self,
        amount: int,
        priority: int,
        promotional: bool,
        scope: tuple[str, ...],
        begins: int,
        lasts: int | None,
        which: int,
        beside: timedelta | None,
    ) -> None:
        """From any time until any time, and until a boundary or just beside it."""
        effective = self.now + timedelta(hours=max(begins, 0))
        expires = None if lasts is None else max(self.now, effective) + timedelta(hours=lasts)
        if beside is not None and self.boundaries():
            expires = max(self.pick(self.boundaries(), which) + beside, effective + SECOND, self.now + SECOND)
        new = NewGrant(
            Decimal(amount),
            currency="usd",
            prices=[self.catalog.ids[price] for price in self.catalog.ids if price.name in scope],
            priority=priority,
            category="promotional" if promotional else "paid",
            effective_at=effective,
            expires_at=expires,
        )
        made = create_grant(self.customer.pk, new, at=self.now)
        last = datetime.max.replace(tzinfo=UTC)
        place = (priority, expires or last, not promotional, effective, self.now, made.pk)
        self.model.grant(Grant(made.pk, amount, amount, place, effective, expires, scope))

    @precondition(lambda self: self.metered() and len(self.model.grants) < MOST_GRANTS)
    @rule(amount=st.integers(1, 900), value=st.integers(50, 400), which=numbers)
    def use_what_is_granted(self, amount: int, value: int, which: int) -> None:
        """What credits are for: a grant, usage in the period that runs, and the invoice of it."""
        self.grant(amount, 50, False, (), 0, None, 0, None)
        self.use(self.pick(self.metered(), which), Decimal(value), 0, 0, None)
        self.renew(finalizes=True)

    @precondition(lambda self: self.model.grants)
    @rule(which=numbers, void=st.booleans())
    def end_a_grant(self, which: int, void: bool) -> None:
        grant = self.pick(list(self.model.grants.values()), which)
        if void:
            self.both(lambda: void_grant(grant.key, at=self.now), lambda: self.model.void_grant(grant, self.now))
        else:
            self.both(lambda: expire_grant(grant.key, at=self.now), lambda: self.model.expire(grant, self.now))

    @rule(twice=st.booleans())
    def expire_what_is_due(self, twice: bool) -> None:
        assert sweep(self.work("expire_credit_grants"), self.now) == self.model.book_ends(self.now)
        if twice:
            assert sweep(self.work("expire_credit_grants"), self.now) == 0

    # --- what must hold after each step

    @invariant()
    def both_tell_the_same(self) -> None:
        if hasattr(self, "model"):
            found = audits.differences(self.model.told(), audits.told(self.customer))
            assert found == [], "\n".join(map(str, found))

    @invariant()
    def nothing_is_violated(self) -> None:
        if hasattr(self, "model"):
            assert violations(self.customer) == []
            assert self.audit.violations(self.model) == []

    # --- inside

    def work(self, name: str) -> timeline.TimedWork:
        return timeline.work(name)

    def both(self, product: Callable[[], Any], model: Callable[[], Any]) -> None:
        """The product refuses what the model refuses, and nothing else; nothing of what is refused stays."""
        refusal, before = None, deepcopy(self.model)
        try:
            product()
        except BillingError as error:
            refusal = error
        try:
            model()
        except Refused:
            self.model = before
            assert refusal, "should have been refused"
        else:
            assert refusal is None, refusal

    def follow(self, due: list[Expected], before: set[str]) -> None:
        """The model finalizes in the order that the product chose among equals."""
        rows = Invoice.objects.finalized().filter(customer=self.customer).exclude(pk__in=before)
        keys = [audits.key_of(row) for row in rows.order_by("number")]
        assert sorted(keys) == sorted(invoice.key for invoice in due)
        for key in keys:
            self.model.finalize(self.model.invoices[key], self.now)

    def finalized(self) -> set[str]:
        return set(Invoice.objects.finalized().filter(customer=self.customer).values_list("pk", flat=True))

    def stored(self, expected: Expected) -> Invoice:
        return Invoice.objects.get(
            subscription=expected.subscription, billing_reason=expected.reason, period_end=expected.end
        )

    def subscription(self, which: int) -> Running:
        return self.pick(list(self.model.subscriptions.values()), which)

    def metered(self) -> list[str]:
        """The meters of periods that have not ended."""
        periods = [pair for one in self.model.subscriptions.values() for pair in one.running.items()]
        return sorted({price.meter for price, running in periods if price.meter and running.end >= self.now})

    def boundaries(self) -> list[datetime]:
        """Ends of periods, and the whole periods around them."""
        found = set()
        for subscription in self.model.subscriptions.values():
            for price, running in subscription.running.items():
                found |= {running.start, running.end, *span(subscription.anchor, price, running.start)}
        return sorted(found)

    def send(self, name: str, meter: str, value: Decimal, at: datetime) -> Outcome:
        payload = {"stripe_customer_id": self.customer.pk, "value": format(value.normalize(), "f")}
        record = Record(self.catalog.event_names[meter], payload, name, at)
        (result,) = ingest([record], at=at)
        return result.outcome

    @staticmethod
    def pick(found: list[Any], which: int) -> Any:
        return found[which % len(found)]
