"""How the live balance of a customer's credits has come to be what it is: at each midnight (UTC) of the last days, and
now.

Each point is the burn-down as it stood then: the ledger of then, less what the usage until then would use, rated as the
invoices rated it or will rate it. It is told with what is known today: usage that came late counts on its own day,
discounts are today's, and holds are only told of now. The last point is the burn-down itself. A dozen statements, and
for each metered item whose usage no rollup keeps another one for each day.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db.models import Q

from credits.consumers import Unit
from credits.models import CreditGrant, CreditTransaction
from customers.models import Customer
from invoices.build import Billable, UsageRead
from invoices.burn_down import BurnDown, open_usage
from invoices.coming import Coming
from invoices.finalize import wanted_by
from invoices.gather import gather
from invoices.models import Invoice
from meters.usage_many import Question, is_plain, usage_many
from pricing.records import usage_of
from subscriptions.models import ItemPeriod

DAY = timedelta(days=1)
DAYS, LEAST_DAYS = 31, 8
MOST_STATEMENTS = 150  # for usage that is asked for day by day; where there is more of it, fewer days are shown
MOST_INVOICES = 100

Read = Mapping[tuple[int, datetime], UsageRead]
Type = CreditTransaction.Type


@dataclass(frozen=True)
class Level:
    """What was left of the grants of a unit that could be used, and how much had been used since the first moment."""

    left: Decimal
    used: Decimal


@dataclass(frozen=True)
class Moment:
    """How it stood at an instant of the customer's time; only units of which there were grants by then."""

    at: datetime
    levels: Mapping[Unit, Level]


@dataclass(frozen=True)
class History:
    """`moments` from the oldest to the present one, which is `now`."""

    now: BurnDown
    moments: Sequence[Moment]


def balance_history(customer: Customer, *, at: datetime) -> History:
    """The live balances of a customer over the last days and now. `at` is real time."""
    usage = open_usage([customer], at=at)[customer.pk]
    now = usage.burn_down()
    grants = _grants(customer, usage.at - DAYS * DAY)
    if not grants:
        return History(now, [Moment(usage.at, {})])
    midnights = _midnights(max(usage.at - DAYS * DAY, min(grant.created_at for grant in grants)), usage.at)
    past, since = _past(customer, midnights[0] if midnights else usage.at)
    coming = sorted([*past, *usage.coming], key=lambda one: (one.final_at, one.place))
    midnights = _thinned([each for each in midnights if each >= since], coming)
    ledger = _Ledger(grants, _changes(grants, midnights[0] if midnights else usage.at))
    read = _read_usage(customer, coming, midnights)
    moments = []
    for midnight in midnights:
        then = replace(
            usage,
            at=midnight,
            grants=ledger.grants_at(midnight),
            holds=(),
            coming=list(_coming_at(midnight, coming, read)),
        )
        moments.append(ledger.moment(then.burn_down()))
    return History(now, [*moments, ledger.moment(now)])


@dataclass(frozen=True)
class _Ledger:
    """The grants of a customer as they are now, in the order of use, and what has changed of them on the way."""

    grants: Sequence[CreditGrant]
    changes: Mapping[str, Sequence[CreditTransaction]]

    def grants_at(self, at: datetime) -> list[CreditGrant]:
        """Those that had something left, as they were."""
        found = (self._grant_at(grant, at) for grant in self.grants if grant.created_at <= at)
        return [grant for grant in found if grant.balance]

    def moment(self, found: BurnDown) -> Moment:
        units = {(grant.currency, grant.meter_id) for grant in self.grants if grant.created_at <= found.at}
        left, used = dict.fromkeys(units, Decimal(0)), dict.fromkeys(units, Decimal(0))
        for each in found.grants:
            unit = (each.grant.currency, each.grant.meter_id)
            left[unit] = left.get(unit, Decimal(0)) + each.live(found.at)
            used[unit] = used.get(unit, Decimal(0)) + each.used
        for grant in self.grants:
            for change in self.changes.get(grant.pk, ()):
                if change.invoice and change.created_at <= found.at:
                    used[grant.currency, grant.meter_id] -= change.amount
        return Moment(found.at, {unit: Level(left[unit], used[unit]) for unit in left})

    def _grant_at(self, grant: CreditGrant, at: datetime) -> CreditGrant:
        then = copy(grant)
        then.balance = grant.balance - sum(
            (one.amount for one in self.changes.get(grant.pk, ()) if one.created_at > at), Decimal(0)
        )
        if grant.voided_at is not None and grant.voided_at > at:
            then.voided_at = None
        if grant.recurring_id and then.balance and grant.settles_at is None:
            then.settles_at = grant.expires_at  # something was left of it, so it was not settled
        return then


def _grants(customer: Customer, since: datetime) -> list[CreditGrant]:
    """All that have something left, or of which something has become since."""
    changed = CreditTransaction.objects.filter(customer=customer, created_at__gt=since).values("grant")
    rows = CreditGrant.objects.filter(Q(balance__gt=0) | Q(pk__in=changed), customer=customer)
    return list(rows.in_order_of_use())


def _changes(grants: Sequence[CreditGrant], since: datetime) -> dict[str, list[CreditTransaction]]:
    found: dict[str, list[CreditTransaction]] = defaultdict(list)
    ids = [grant.pk for grant in grants]
    for row in CreditTransaction.objects.filter(grant__any_of=ids, created_at__gt=since):
        found[row.grant_id].append(row)
    return found


def _midnights(start: datetime, end: datetime) -> list[datetime]:
    """Those of [start, end)."""
    first = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = (first + number * DAY for number in range(DAYS + 2))
    return [midnight for midnight in days if start <= midnight < end]


def _past(customer: Customer, since: datetime) -> tuple[list[Coming], datetime]:
    """The invoices that have become final since, as they were to come then; and from when on that is the whole story.

    What a threshold has billed in mid-period is not taken apart again: the story begins after it.
    """
    rows = Invoice.objects.finalized().filter(customer=customer, subscription__isnull=False, finalized_at__gt=since)
    invoices = list(rows.select_related("subscription").order_by("-finalized_at", "-pk")[:MOST_INVOICES])
    ends = [invoices[-1].finalized_at] if len(invoices) == MOST_INVOICES else []
    ends += [one.finalized_at for one in invoices if one.billing_reason == Invoice.BillingReason.SUBSCRIPTION_THRESHOLD]
    since = max((since, *filter(None, ends)))
    invoices = [one for one in invoices if one.finalized_at is not None and one.finalized_at > since]
    for row in invoices:
        row.customer = customer
    found = []
    wanted = wanted_by(invoices) if invoices else []
    for place, (each, content) in enumerate(zip(wanted, gather(wanted, grants={}), strict=True)):
        invoice = each.invoice
        assert invoice is not None, "selected"
        assert invoice.finalized_at is not None, "selected"
        used_nothing = invoice.from_invoice_id or invoice.voided_at == invoice.finalized_at
        if any(slice_.price.is_metered for slice_ in each.slices) and not used_nothing:
            found.append(Coming(each, content, invoice.finalized_at, (False, invoice.created_at, place)))
    return found, since


def _metered(coming: Iterable[Coming]) -> Iterator[tuple[ItemPeriod, Billable]]:
    for one in coming:
        for slice_, billable in zip(one.wanted.slices, one.content.billables, strict=True):
            if billable.usage is not None:
                yield slice_, billable


def _question(customer: Customer, slice_: ItemPeriod, billable: Billable, until: datetime) -> Question:
    price = billable.price
    assert price.meter is not None, "it has usage"
    only = usage_of(slice_.item_id, of_records=price.takes_usage_records)
    return Question(price.meter, customer, slice_.starts_at, min(slice_.ends_at, until), only)


def _thinned(midnights: Sequence[datetime], coming: Sequence[Coming]) -> list[datetime]:
    """The last of them, fewer where there is much usage that is asked for day by day."""
    asked = (_question(one.wanted.customer, *each, each[0].ends_at) for one in coming for each in _metered([one]))
    alone = sum(not is_plain(question) for question in asked)
    most = DAYS if not alone else min(DAYS, max(LEAST_DAYS, MOST_STATEMENTS // alone))
    return list(midnights[-most:])


def _read_usage(customer: Customer, coming: Sequence[Coming], midnights: Sequence[datetime]) -> Read:
    """The usage of each slice until each midnight in it, by both."""
    asked = {
        (slice_.pk, midnight): _question(customer, slice_, billable, midnight)
        for one in coming
        for slice_, billable in _metered([one])
        for midnight in midnights
        if slice_.starts_at < midnight < slice_.ends_at and midnight < one.final_at
    }
    found = zip(asked, usage_many(list(asked.values())), strict=True)
    return {key: UsageRead(used.quantity, used.events, used.snapshot) for key, used in found}


def _coming_at(midnight: datetime, coming: Sequence[Coming], read: Read) -> Iterator[Coming]:
    """What was to come then, with the usage until then; what had not begun is left out."""
    for one in coming:
        slices = zip(one.wanted.slices, one.content.billables, strict=True)
        billables = [
            replace(billable, usage=read.get((slice_.pk, midnight), billable.usage))
            for slice_, billable in slices
            if slice_.starts_at < midnight or billable.usage is None
        ]
        if one.final_at > midnight and any(billable.usage is not None for billable in billables):
            yield replace(one, content=replace(one.content, billables=billables))
