"""Coupons, promotion codes and their redemptions in the admin."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from core import clock
from core.admin import ReadOnlyAdmin, VerbAdmin
from core.admin_filters import DayRangeFilter
from core.buttons import Button, add_button
from core.money import format_minor, plain
from core.panels import Panel, show_on
from customers.models import Customer
from pricing import coupons, promotion_codes
from pricing.coupon_admin_forms import (
    CouponChangeForm,
    CouponForm,
    GiveDiscountForm,
    PromotionCodeChangeForm,
    PromotionCodeForm,
)
from pricing.discounts import Owner, remove_discount, set_discounts
from pricing.models import Coupon, Discount, Product, PromotionCode
from pricing.redeem import Sale

STANDINGS = {"Valid": "success", "Active": "success", "Holds": "success", "Deleted": "danger"}


@admin.register(Coupon)
class CouponAdmin(VerbAdmin):
    form = CouponForm
    change_form = CouponChangeForm
    empty_list = "A coupon takes something off, in percent or as an amount. Create one, then give out codes for it."
    search_fields = ("id", "name")
    search_help_text = "Search by name or id"
    list_display = ("__str__", "off", "lasts", "redeemed", "redeem_by", "standing", "id", "created_at")
    list_filter = ("duration", ("created_at", DayRangeFilter))
    autocomplete_fields = ("applies_to",)
    readonly_fields = ("id", "off", "lasts", "products", "redeemed", "redeem_by", "standing", "created_at")
    fieldsets = (
        (None, {"fields": ("name", "metadata")}),
        ("Terms, which never change", {"fields": ("off", "lasts", "products", "redeemed", "redeem_by", "standing")}),
        ("More", {"classes": ("collapse",), "fields": ("id", "created_at")}),
    )
    add_fieldsets = (
        (None, {"fields": ("name", "percent_off", "amount_off", "currency", "duration", "duration_in_months")}),
        ("Limits", {"fields": ("max_redemptions", "redeem_by", "applies_to")}),
        ("More", {"classes": ("collapse",), "fields": ("id", "metadata")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.deleted_at is None)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_manytomany(db_field, request, **kwargs | {"queryset": Product.objects.live()})

    def create(self, form: CouponForm, formsets: Sequence[Any], *, at: datetime) -> Coupon:
        return coupons.create_coupon(spec=form.spec(), at=at)

    def update(self, row: Coupon, form: CouponChangeForm, *, at: datetime) -> Coupon:
        return coupons.update_coupon(row.pk, name=form.cleaned_data["name"], metadata=form.metadata_to_merge(), at=at)

    @display(description="Takes off")
    def off(self, row: Coupon) -> str:
        if row.percent_off is not None:
            return f"{plain(row.percent_off)} %"
        return ", ".join(format_minor(amount, currency) for currency, amount in row.amounts.items())

    @display(description="For", ordering="duration")
    def lasts(self, row: Coupon) -> str:
        if row.duration_in_months:
            return f"{row.duration_in_months} month{'' if row.duration_in_months == 1 else 's'}"
        return {"once": "one invoice", "forever": "ever"}[row.duration]

    @display(description="Products")
    def products(self, row: Coupon) -> str:
        return ", ".join(product.name for product in row.applies_to.all()) or "all"

    @display(description="Redeemed", ordering="times_redeemed")
    def redeemed(self, row: Coupon | PromotionCode) -> str:
        return times_of(row)

    @display(description="Standing", label=STANDINGS)
    def standing(self, row: Coupon) -> str:
        if row.deleted_at:
            return "Deleted"
        if row.is_exhausted:
            return "Used up"
        return "Valid" if row.is_valid(clock.now()) else "Past"


@admin.register(PromotionCode)
class PromotionCodeAdmin(VerbAdmin):
    form = PromotionCodeForm
    change_form = PromotionCodeChangeForm
    empty_list = "A promotion code is what customers enter to get a coupon. Create a coupon first."
    search_fields = ("code", "id", "coupon__id", "coupon__name")
    search_help_text = "Search by code or coupon"
    list_display = ("code", "coupon", "customer", "redeemed", "expires_at", "standing", "created_at")
    list_filter = (
        "active",
        ("coupon", AutocompleteSelectFilter),
        ("customer", AutocompleteSelectFilter),
        ("created_at", DayRangeFilter),
    )
    list_select_related = ("coupon", "customer")
    autocomplete_fields = ("coupon", "customer")
    readonly_fields = ("id", "code", "coupon", "customer", "redeemed", "expires_at", "terms", "standing", "created_at")
    fieldsets = (
        (None, {"fields": ("active", "metadata")}),
        (
            "Terms, which never change",
            {"fields": ("code", "coupon", "customer", "redeemed", "expires_at", "terms", "standing")},
        ),
        ("More", {"classes": ("collapse",), "fields": ("id", "created_at")}),
    )
    add_fieldsets = (
        (None, {"fields": ("coupon", "code", "active")}),
        (
            "Who may redeem it",
            {
                "fields": (
                    *("customer", "first_time_transaction", "minimum_amount", "minimum_amount_currency"),
                    *("max_redemptions", "expires_at"),
                )
            },
        ),
        ("More", {"classes": ("collapse",), "fields": ("metadata",)}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        rows = {"coupon": Coupon.objects.live(), "customer": Customer.objects.live()}
        return super().formfield_for_foreignkey(db_field, request, **kwargs | {"queryset": rows[db_field.name]})

    def create(self, form: PromotionCodeForm, formsets: Sequence[Any], *, at: datetime) -> PromotionCode:
        return promotion_codes.create_promotion_code(spec=form.spec(), at=at)

    def update(self, row: PromotionCode, form: PromotionCodeChangeForm, *, at: datetime) -> PromotionCode:
        return promotion_codes.update_promotion_code(
            row.pk, at=at, metadata=form.metadata_to_merge(), **form.changes(leave=("metadata",))
        )

    @display(description="Redeemed", ordering="times_redeemed")
    def redeemed(self, row: PromotionCode) -> str:
        return times_of(row)

    @display(description="Only for")
    def terms(self, row: PromotionCode) -> str:
        words = ["first purchases"] if row.first_time_transaction else []
        words += [f"{format_minor(amount, currency)} or more" for currency, amount in row.minimum_amounts.items()]
        return ", ".join(words) or "–"

    @display(description="Standing", label=STANDINGS)
    def standing(self, row: PromotionCode) -> str:
        return "Active" if row.is_redeemable(clock.now()) else "Cannot be redeemed"


@admin.register(Discount)
class DiscountAdmin(ReadOnlyAdmin):
    """Each time that a coupon was applied to something."""

    empty_list = "Each application of a coupon stands here: to whom, where, and since when. There is none yet."
    search_fields = ("id", "coupon__id", "coupon__name", "customer__name", "customer__id", "owner")
    search_help_text = "Search by coupon, customer, or what it stands on"
    list_display = ("coupon", "customer", "place", "promotion_code", "start", "end", "standing")
    list_filter = (
        ("coupon", AutocompleteSelectFilter),
        ("customer", AutocompleteSelectFilter),
        ("start", DayRangeFilter),
    )
    list_select_related = ("coupon", "customer__test_clock", "promotion_code")
    ordering = ("-start", "-id")
    fields = (
        *("coupon", "promotion_code", "customer", "place", "start", "end", "used_at", "removed_at"),
        *("standing", "origin", "id"),
    )
    readonly_fields = fields

    @display(description="Stands on", ordering="owner")
    def place(self, row: Discount) -> str:
        return "the customer" if row.owner == row.customer_id else row.owner

    @display(description="Standing", label=STANDINGS)
    def standing(self, row: Discount) -> str:
        if row.span.holds_at(row.customer.now(clock.now())):
            return "Holds"
        if row.used_at:
            return "Spent"
        return "Taken away" if row.removed_at else "Ended"


def times_of(row: Coupon | PromotionCode) -> str:
    return f"{row.times_redeemed:,}" + (f" of {row.max_redemptions:,}" if row.max_redemptions else "")


def codes_of(coupon: Coupon, at: datetime) -> dict[str, Any]:
    rows = [
        {"code": code, "times": times_of(code), "active": code.is_redeemable(at)}
        for code in coupon.promotion_codes.select_related("coupon", "customer")[:50]
    ]
    return {"coupon": coupon, "rows": rows}


def _own(customer: Customer, at: datetime) -> QuerySet[Discount]:
    return Discount.objects.of([customer.pk]).holding(customer.now(at))


def give_discount(customer: Customer, at: datetime, answers: Any) -> None:
    wishes = [{"coupon": answers["coupon"].pk}]
    set_discounts(Owner(customer.pk), wishes, sale=Sale(customer.currency or None), at=customer.now(at))


show_on(Coupon, Panel("Promotion codes", "pricing/admin/_codes.html", codes_of))
add_button(
    Coupon,
    Button(
        name="delete",
        label="Delete",
        icon="delete",
        question="Nobody can redeem the coupon any more, and its id is not free again. Discounts made of it go on.",
        done="The coupon is deleted.",
        run=lambda row, at, answers: coupons.delete_coupon(row.pk, at=at),
        when=lambda row: row.deleted_at is None,
        danger=True,
        deletes=True,
    ),
)
add_button(
    Customer,
    Button(
        name="give-discount",
        label="Give a discount",
        icon="sell",
        question="The coupon is redeemed for this customer. A discount that the customer has already is replaced.",
        done="The customer has the discount.",
        run=give_discount,
        when=lambda row: row.deleted_at is None,
        form=GiveDiscountForm,
    ),
)
add_button(
    Customer,
    Button(
        name="remove-discount",
        label="Take the discount away",
        icon="money_off",
        question="The customer's discount ends now. What was billed with it stays.",
        done="The discount is taken away.",
        run=lambda row, at, answers: remove_discount(Owner(row.pk), at=row.now(at)),
        when=lambda row: _own(row, clock.now()).exists(),
        danger=True,
    ),
)
