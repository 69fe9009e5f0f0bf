"""Credit grants, and the ledger of what became of them."""

from datetime import datetime
from decimal import Decimal
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import BooleanField, ExpressionWrapper, F, Min, Q
from django.db.models.expressions import Combinable

from core.ids import IdField
from core.money import MAX_AMOUNT
from credits.hold_models import CreditHold as CreditHold  # these for Django to find them
from credits.recurring_models import RecurringCreditGrant as RecurringCreditGrant
from credits.top_up_models import AutoTopUp as AutoTopUp
from credits.top_up_models import TopUp as TopUp
from customers.models import Customer
from meters.models import Meter

LOWEST_PRIORITY = 100
MOST_PRICES = 20
NOT_CARRIED = ExpressionWrapper(Q(rolled_over_from__isnull=True), output_field=BooleanField())


class CreditGrantQuerySet(models.QuerySet["CreditGrant"]):
    def unused(self, at: datetime) -> Self:
        """Grants that count towards the limit: with something left of them, or still to begin."""
        return self.filter(voided_at=None, balance__gt=0).exclude(expires_at__lte=at)

    def usable(self, at: datetime) -> Self:
        """Grants with something left of them that can be used at an instant."""
        return self.unused(at).filter(effective_at__lte=at)

    def in_state(self, state: str, at: datetime | Combinable) -> Self:
        """Those of which `CreditGrant.state` says so at an instant."""
        if state == "voided":
            return self.exclude(voided_at=None)
        if state == "expired":
            return self.filter(voided_at=None, expires_at__lte=at)
        running = self.filter(voided_at=None).exclude(expires_at__lte=at)
        if state == "depleted":
            return running.filter(balance=0)
        begun = Q(effective_at__gt=at) if state == "pending" else Q(effective_at__lte=at)
        return running.filter(begun, balance__gt=0)

    def in_order_of_use(self) -> Self:
        """As Stripe has it: priority, the end that comes first, promotional before paid, the oldest. What was carried
        over from a period goes before what its own has brought."""
        return self.order_by(
            "priority",
            F("expires_at").asc(nulls_last=True),
            "-category",
            NOT_CARRIED.asc(),
            "effective_at",
            "created_at",
            "pk",
        )

    def to_expire(self, at: datetime) -> Self:
        """Grants that have ended with something left of them that is not booked as expired."""
        return self._expiring().filter(expires_at__lte=at)

    def to_settle(self, at: datetime) -> Self:
        """Grants of periods that are over, of which it is to be decided what becomes of the rest."""
        return self.filter(settles_at__lte=at)

    def on_clock(self, clock: str | None) -> Self:
        """Those of one test clock, or of none."""
        return self.filter(customer__test_clock=clock)

    def next_expiry(self) -> datetime | None:
        first: datetime | None = self._expiring().aggregate(first=Min("expires_at"))["first"]
        return first

    def next_settlement(self) -> datetime | None:
        first: datetime | None = self.aggregate(first=Min("settles_at"))["first"]
        return first

    def _expiring(self) -> Self:
        return self.filter(balance__gt=0, settles_at=None)


class CreditGrant(models.Model):
    """What a customer may use without paying for it again: money, or units of a meter.

    `amount` and `balance` are whole minor units of `currency`, or a quantity of `meter`. The balance follows the
    ledger: a trigger writes it. Which usage it pays for: that of `prices`, or of every metered price.

    One of a `recurring` grant is for the invoices of its time, and until `settles_at` (at the earliest) what is left of
    it stays: the last of these invoices is made when that time is over.
    """

    class Category(models.TextChoices):
        PAID = "paid"
        PROMOTIONAL = "promotional"

    class PriceType(models.TextChoices):
        METERED = "metered"

    id = IdField(prefix="credgr")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="credit_grants", db_index=False)
    name = models.CharField(max_length=100, blank=True, default="")
    currency = models.CharField(max_length=3, blank=True, default="", help_text="Of a grant of money.")
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    amount = models.DecimalField(max_digits=38, decimal_places=12)
    balance = models.DecimalField(max_digits=38, decimal_places=12, default=0, editable=False)
    balance_sequence = models.PositiveIntegerField(default=0, editable=False)
    price_type = models.CharField(max_length=10, choices=PriceType, blank=True, default="")
    prices = ArrayField(models.CharField(max_length=64), default=list, blank=True, size=MOST_PRICES)
    category = models.CharField(max_length=12, choices=Category, default=Category.PAID)
    priority = models.PositiveSmallIntegerField(default=50, help_text="0 is used first, 100 last.")
    effective_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    voided_at = models.DateTimeField(null=True, editable=False)
    recurring = models.ForeignKey(
        RecurringCreditGrant, on_delete=models.PROTECT, null=True, editable=False, related_name="grants", db_index=False
    )
    period = models.PositiveIntegerField(null=True, editable=False, help_text="0, 1, 2 … of the recurring grant.")
    rolled_over_from = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, editable=False, related_name="rolled_over_to", db_index=False
    )
    settles_at = models.DateTimeField(null=True, editable=False)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)

    objects = CreditGrantQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=["-created_at", "-id"], name="credit_grant_newest"),
            models.Index(fields=["customer", "-created_at"], name="credit_grant_of_customer"),
            models.Index(fields=["customer"], condition=Q(balance__gt=0), name="credit_grant_unused"),
            models.Index(fields=["expires_at"], condition=Q(balance__gt=0), name="credit_grant_to_expire"),
            models.Index(fields=["settles_at"], condition=Q(settles_at__isnull=False), name="credit_grant_to_settle"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(balance__gte=0) & Q(balance__lte=F("amount")), name="credit_grant_balance_within_amount"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="credit_grant_amount_above_zero"),
            models.CheckConstraint(
                condition=Q(meter__isnull=True, currency__regex=r"^[a-z]{3}$", amount__lte=MAX_AMOUNT)
                | Q(meter__isnull=False, currency=""),
                name="credit_grant_of_money_or_units",
            ),
            models.CheckConstraint(
                condition=Q(price_type="metered", prices=[]) | (Q(price_type="") & ~Q(prices=[])),
                name="credit_grant_has_one_scope",
            ),
            models.CheckConstraint(
                condition=Q(category__in=["paid", "promotional"]), name="credit_grant_category_known"
            ),
            models.CheckConstraint(condition=Q(priority__lte=LOWEST_PRIORITY), name="credit_grant_priority_to_100"),
            models.CheckConstraint(
                condition=Q(voided_at__isnull=True) | Q(balance=0), name="credit_grant_voided_has_nothing_left"
            ),
            models.UniqueConstraint(
                fields=["recurring", "period"],
                condition=Q(recurring__isnull=False, rolled_over_from=None),
                name="credit_grant_one_a_period",
            ),
            models.UniqueConstraint(
                fields=["rolled_over_from"],
                condition=Q(rolled_over_from__isnull=False),
                name="credit_grant_rolled_over_once",
            ),
            models.CheckConstraint(
                condition=Q(recurring=None, period=None, rolled_over_from=None)
                | Q(recurring__isnull=False, period__isnull=False),
                name="credit_grant_of_a_period_names_it",
            ),
            models.CheckConstraint(
                condition=Q(settles_at=None) | Q(expires_at__isnull=False, recurring__isnull=False, voided_at=None),
                name="credit_grant_settles_after_its_end",
            ),
        )

    def __str__(self) -> str:
        return self.name or self.id

    @property
    def is_of_money(self) -> bool:
        return bool(self.currency)

    @property
    def is_voided(self) -> bool:
        return self.voided_at is not None

    def has_expired(self, at: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= at

    def is_over(self, at: datetime) -> bool:
        """Whether it has expired and nothing of it waits for invoices of its time any more."""
        return self.has_expired(at) and self.settles_at is None

    def state(self, at: datetime) -> str:
        """pending, granted, depleted, expired or voided; derived, not a column, as Stripe has it."""
        if self.is_voided:
            return "voided"
        if self.has_expired(at):
            return "expired"
        if not self.balance:
            return "depleted"
        return "pending" if self.effective_at > at else "granted"

    def pays_for(self, period_end: datetime, at: datetime) -> bool:
        """Whether it can be used at `at` on an invoice whose period ends then.

        Stripe names the two conditions on the period; that an expired grant gives nothing from that instant, however
        late the invoice is made, is ours (docs/decisions/0038). One of a period pays for the invoices whose periods end
        in its time, until it is settled (docs/decisions/0039).
        """
        if self.settles_at is not None and self.expires_at is not None:
            return self.effective_at < period_end <= self.expires_at
        if self.is_voided or self.has_expired(at) or self.has_expired(period_end):
            return False
        return self.effective_at <= period_end


class CreditTransaction(models.Model):
    """One change of what is left of a grant; on the wire a `billing.credit_balance_transaction`.

    The rows of a grant make one chain: each goes on where the one before it ended, which a trigger checks. Nothing is
    ever changed. Invoices belong to an app above, so only their ids are kept.
    """

    class Type(models.TextChoices):
        CREDITS_GRANTED = "credits_granted"
        CREDITS_APPLIED = "credits_applied"
        CREDITS_APPLICATION_INVOICE_VOIDED = "credits_application_invoice_voided"
        CREDITS_EXPIRED = "credits_expired"
        CREDITS_VOIDED = "credits_voided"

    id = IdField(prefix="cbtxn")
    grant = models.ForeignKey(CreditGrant, on_delete=models.PROTECT, related_name="transactions", db_index=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+", db_index=False)
    sequence = models.PositiveIntegerField(help_text="1, 2, 3 … of its grant.")
    type = models.CharField(max_length=40, choices=Type)
    amount = models.DecimalField(max_digits=38, decimal_places=12, help_text="Below zero where something is used up.")
    ending_balance = models.DecimalField(max_digits=38, decimal_places=12)
    invoice = models.CharField(max_length=64, blank=True, default="")
    invoice_line = models.CharField(max_length=64, blank=True, default="")
    reason = models.CharField(max_length=500, blank=True, default="")
    effective_at = models.DateTimeField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=["-created_at", "-id"], name="credit_transaction_newest"),
            models.Index(fields=["customer", "-created_at", "-id"], name="credit_transaction_customer"),
            models.Index(fields=["invoice"], condition=~Q(invoice=""), name="credit_transaction_of_invoice"),
        )
        constraints = (
            models.UniqueConstraint(fields=["grant", "sequence"], name="credit_transaction_one_a_step"),
            # Whoever books the same thing twice is refused.
            models.UniqueConstraint(
                fields=["grant", "invoice_line", "type"],
                condition=Q(type__in=["credits_applied", "credits_application_invoice_voided"]),
                name="credit_transaction_once_a_line",
            ),
            models.UniqueConstraint(
                fields=["grant", "type"],
                condition=Q(type__in=["credits_granted", "credits_voided"]),
                name="credit_transaction_granted_once",
            ),
            models.CheckConstraint(condition=Q(ending_balance__gte=0), name="credit_transaction_leaves_no_debt"),
            models.CheckConstraint(
                condition=Q(type__in=["credits_granted", "credits_application_invoice_voided"], amount__gt=0)
                | Q(type__in=["credits_applied", "credits_expired", "credits_voided"], amount__lt=0),
                name="credit_transaction_sign_of_type",
            ),
            models.CheckConstraint(
                condition=(
                    Q(type__in=["credits_applied", "credits_application_invoice_voided"])
                    & ~Q(invoice="")
                    & ~Q(invoice_line="")
                )
                | (
                    Q(type__in=["credits_granted", "credits_expired", "credits_voided"])
                    & Q(invoice="", invoice_line="")
                ),
                name="credit_transaction_names_its_line",
            ),
        )

    def __str__(self) -> str:
        return self.id

    @property
    def is_credit(self) -> bool:
        return self.amount > 0

    @property
    def size(self) -> Decimal:
        """The amount without its sign."""
        return abs(self.amount)


class LedgerEntry(models.Model):
    """One side of a transaction: what it adds to an account, in the currency or the meter of its grant.

    The entries of a transaction sum to zero, which the database checks at commit. `outstanding` is what customers
    have; the others say where it came from and went.
    """

    class Account(models.TextChoices):
        OUTSTANDING = "outstanding"
        GRANTED = "granted"
        APPLIED = "applied"
        EXPIRED = "expired"
        VOIDED = "voided"

    transaction = models.ForeignKey(CreditTransaction, on_delete=models.PROTECT, related_name="entries")
    account = models.CharField(max_length=12, choices=Account)
    amount = models.DecimalField(max_digits=38, decimal_places=12)

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = (
            models.UniqueConstraint(fields=["transaction", "account"], name="ledger_entry_one_an_account"),
            models.CheckConstraint(
                condition=Q(account__in=["outstanding", "granted", "applied", "expired", "voided"]),
                name="ledger_entry_account_known",
            ),
            models.CheckConstraint(condition=~Q(amount=0), name="ledger_entry_is_something"),
        )

    def __str__(self) -> str:
        return f"{self.account} {self.amount}"
