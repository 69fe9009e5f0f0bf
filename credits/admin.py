"""Credit grants and their ledger in the admin; on the page of a customer what it has, and how that came to be."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RelatedDropdownFilter
from unfold.decorators import display

from core import clock
from core.admin import ReadOnlyAdmin, VerbAdmin
from core.admin_filters import DayRangeFilter
from core.buttons import Button, add_button
from core.panels import Panel, show_on
from credits.admin_forms import EndForm, GrantChangeForm, GrantForm
from credits.grants import create_grant, expire_grant, update_grant, void_grant
from credits.hold_admin import CreditHoldAdmin as CreditHoldAdmin
from credits.models import CreditGrant, CreditTransaction
from credits.recurring_admin import RecurringCreditGrantAdmin as RecurringCreditGrantAdmin
from credits.statements import WORDS, amount_words, scope_words, statement_of, statement_of_customer, words_of
from credits.summary import balances_of
from customers.models import Customer
from meters.models import Meter

STATES = {"Pending": "info", "Granted": "success", "Depleted": None, "Expired": None, "Voided": "danger"}
LATEST = 20  # rows of the ledger on a customer's page


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name.lower(), name) for name in STATES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """By the time of each customer."""
        if self.value() is None:
            return queryset
        now = Coalesce("customer__test_clock__frozen_time", Value(clock.now()))
        return queryset.annotate(now=now).in_state(self.value(), F("now"))  # type: ignore[attr-defined]


@admin.register(CreditGrant)
class CreditGrantAdmin(VerbAdmin):
    form = GrantForm
    change_form = GrantChangeForm
    panels_first = True
    empty_list = (
        "A credit grant is what a customer may use without paying for it again. Create one, of money or of units."
    )
    search_fields = ("name", "id", "customer__name", "customer__email", "customer__id")
    search_help_text = "Search by name, customer or id"
    list_display = ("__str__", "customer", "standing", "granted_words", "left", "category", "priority", "ends")
    list_filter = (
        StateFilter,
        "category",
        "currency",
        ("meter", RelatedDropdownFilter),
        ("customer", AutocompleteSelectFilter),
        ("created_at", DayRangeFilter),
    )
    list_select_related = ("customer__test_clock", "meter")
    autocomplete_fields = ("customer", "meter")
    terms = ("customer", "name", "granted_words", "scope", "category", "priority", "effective_at")
    readonly_fields = (*terms, "standing", "left", "id", "created_at", "updated_at", "voided_at")
    fieldsets = (
        (None, {"fields": ("standing", "left", "expires_at", "metadata")}),
        ("Terms, which never change", {"fields": terms}),
        ("More", {"classes": ("collapse",), "fields": ("id", "created_at", "updated_at", "voided_at")}),
    )
    add_fieldsets = (
        (None, {"fields": ("customer", "granted", "currency", "meter", "name", "category")}),
        ("When it is used", {"fields": ("only_for", "priority", "effective_at", "expires_at")}),
        ("More", {"classes": ("collapse",), "fields": ("reason", "metadata")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "meter":
            kwargs["queryset"] = Meter.objects.listed()
        if db_field.name == "customer":
            kwargs["queryset"] = Customer.objects.live()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def create(self, form: GrantForm, formsets: Sequence[Any], *, at: datetime) -> CreditGrant:
        return create_grant(form.cleaned_data["customer"].pk, form.new(), at=at)

    def update(self, row: CreditGrant, form: GrantChangeForm, *, at: datetime) -> CreditGrant:
        changes = form.changes(leave=("metadata",))
        return update_grant(row.pk, at=at, metadata=form.metadata_to_merge(), changes=changes)

    @display(description="State", label=STATES)
    def standing(self, row: CreditGrant) -> str:
        return state_of(row).capitalize()

    @display(description="Granted", ordering="amount")
    def granted_words(self, row: CreditGrant) -> str:
        return amount_words(row, row.amount)

    @display(description="Left", ordering="balance")
    def left(self, row: CreditGrant) -> str:
        return amount_words(row, row.balance)

    @display(description="Ends", ordering="expires_at")
    def ends(self, row: CreditGrant) -> Any:
        return row.expires_at or "never"

    @display(description="Pays for")
    def scope(self, row: CreditGrant) -> str:
        return scope_words(row)


@admin.register(CreditTransaction)
class CreditTransactionAdmin(ReadOnlyAdmin):
    empty_list = "Nothing has been granted yet. Every change of what is left of a grant is a row here, for good."
    search_fields = ("id", "grant__id", "grant__name", "customer__name", "customer__id", "invoice")
    search_help_text = "Search by grant, customer, id of the invoice or of the row"
    list_display = ("what", "customer", "grant", "amount_shown", "left_shown", "reason", "created_at")
    list_filter = ("type", ("customer", AutocompleteSelectFilter), ("created_at", DayRangeFilter))
    list_select_related = ("customer", "grant__meter")
    fieldsets = (
        (None, {"fields": ("what", "customer", "grant", "amount_shown", "left_shown", "reason")}),
        ("More", {"fields": ("invoice", "invoice_line", "sequence", "effective_at", "created_at", "id")}),
    )

    @display(description="What", ordering="type")
    def what(self, row: CreditTransaction) -> str:
        return WORDS[row.type]

    @display(description="Amount", ordering="amount")
    def amount_shown(self, row: CreditTransaction) -> str:
        return amount_words(row.grant, row.amount)

    @display(description="Left of the grant", ordering="ending_balance")
    def left_shown(self, row: CreditTransaction) -> str:
        return amount_words(row.grant, row.ending_balance)


def state_of(grant: CreditGrant) -> str:
    return grant.state(grant.customer.now(clock.now()))


def ledger_of(grant: CreditGrant, at: datetime) -> dict[str, Any]:
    return {"entries": statement_of(grant)}


def sides_of(row: CreditTransaction, at: datetime) -> dict[str, Any]:
    """Both sides of a transaction."""
    entries = [(entry.get_account_display(), amount_words(row.grant, entry.amount)) for entry in row.entries.all()]
    return {"entries": entries}


def credits_of(customer: Customer, at: datetime) -> dict[str, Any] | None:
    """What a customer has, and the latest rows of its ledger with a running balance."""
    entries = statement_of_customer(customer, LATEST + 1)
    if not entries:
        return None
    balances = balances_of(customer, CreditGrant.objects.filter(customer=customer), at=customer.now(at))
    meters = Meter.objects.in_bulk([one.meter for one in balances if one.meter])
    return {
        "customer": customer,
        "balances": [
            {
                "available": words_of(one.available, one.currency, meters.get(one.meter)),
                "ledger": words_of(one.ledger, one.currency, meters.get(one.meter)),
                "live": words_of(one.live, one.currency, meters.get(one.meter)),
            }
            for one in balances
        ],
        "entries": entries[:LATEST],
        "more": len(entries) > LATEST,
        "latest": LATEST,
    }


def _may_end(grant: CreditGrant) -> bool:
    return state_of(grant) not in ("expired", "voided")


show_on(CreditGrant, Panel("Statement", "credits/admin/_statement.html", ledger_of, order=10))
show_on(CreditTransaction, Panel("Both sides", "credits/admin/_sides.html", sides_of, order=10))
show_on(Customer, Panel("Credits", "credits/admin/_credits.html", credits_of, order=55))
add_button(
    CreditGrant,
    Button(
        name="expire",
        label="Expire now",
        icon="hourglass_disabled",
        question="What is left of the grant is gone at once. What invoices have used of it stays used.",
        done="The grant has ended.",
        run=lambda row, at, answers: expire_grant(row.pk, at=at, reason=answers["reason"]),
        form=EndForm,
        when=_may_end,
        danger=True,
    ),
)
add_button(
    CreditGrant,
    Button(
        name="void",
        label="Void",
        icon="block",
        question="The grant is taken back as if it had never been: possible while no invoice has used any of it.",
        done="The grant is void.",
        run=lambda row, at, answers: void_grant(row.pk, at=at, reason=answers["reason"]),
        form=EndForm,
        when=lambda row: (
            _may_end(row) and not row.transactions.filter(type=CreditTransaction.Type.CREDITS_APPLIED).exists()
        ),
        danger=True,
    ),
)
