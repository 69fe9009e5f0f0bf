"""Products and prices in the admin; a price shows what some quantities would cost, also while it is filled in."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from core.admin import VerbAdmin, VerbInline
from core.admin_filters import DayRangeFilter
from core.buttons import Button, add_button
from core.errors import BillingError
from core.panels import Panel, show_on
from meters.models import Meter
from pricing import coupon_admin as coupon_admin  # these enter their pages
from pricing import prices, products
from pricing import tax_admin as tax_admin
from pricing.admin_forms import PriceChangeForm, PriceForm, ProductForm, TierForm, TierFormSet, terms_of_spec
from pricing.admin_panels import cadence_words, cost_words, options_of, prices_of, samples_of, samples_shown, tiers_of
from pricing.models import Price, PriceTier, Product


@admin.register(Product)
class ProductAdmin(VerbAdmin):
    form = ProductForm
    empty_list = "A product is what you sell; its name stands on invoices. Create one, then give it a price."
    search_fields = ("name", "id")
    search_help_text = "Search by name or id"
    list_display = ("name", "unit_label", "price_count", "active", "created_at", "id")
    list_filter = ("active", ("created_at", DayRangeFilter))
    readonly_fields = ("id", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("name", "description", "unit_label", "active", "default_price")}),
        (
            "More",
            {
                "classes": ("collapse",),
                "fields": (
                    "statement_descriptor",
                    "tax_code",
                    "url",
                    "images",
                    "metadata",
                    "id",
                    "created_at",
                    "updated_at",
                ),
            },
        ),
    )
    add_fieldsets = (
        (None, {"fields": ("name", "description", "unit_label", "active")}),
        (
            "More",
            {
                "classes": ("collapse",),
                "fields": ("id", "statement_descriptor", "tax_code", "url", "images", "metadata"),
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(deleted_at=None).annotate(price_count=Count("prices"))

    def create(self, form: ProductForm, formsets: Sequence[Any], *, at: datetime) -> Product:
        given = {"name": form.cleaned_data["name"]} | form.wanted()
        return products.create_product(
            at=at, id=form.cleaned_data["id"] or None, metadata=form.metadata_to_merge(), **given
        )

    def update(self, row: Product, form: ProductForm, *, at: datetime) -> Product:
        return products.update_product(row.pk, changes=form.wanted(), metadata=form.metadata_to_merge(), at=at)

    @display(description="Prices", ordering="price_count")
    def price_count(self, row: Any) -> int:
        return int(row.price_count)


class TierInline(VerbInline):
    model = PriceTier
    form = TierForm
    formset = TierFormSet
    fields = ("up_to", "unit_amount_decimal", "flat_amount_decimal")
    rows_param = "tiers"
    verbose_name = "tier"
    verbose_name_plural = "Tiers, in rising order; the last has no upper end"
    extra = 2
    hide_title = True


class MeteredFilter(admin.SimpleListFilter):
    title = "billing"
    parameter_name = "billing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("metered", "By usage"), ("licensed", "By quantity, in advance"), ("once", "Once")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(usage_type=None if self.value() == "once" else self.value())


class ListedMeterFilter(RelatedDropdownFilter):
    """Without the meters that prices with usage records have of their own."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        found: list[tuple[Any, str]] = field.get_choices(
            include_blank=False,
            ordering=self.field_admin_ordering(field, request, model_admin),
            limit_choices_to={"hidden": False},
        )
        return found


@admin.register(Price)
class PriceAdmin(VerbAdmin):
    form = PriceForm
    change_form = PriceChangeForm
    change_form_after_template = "pricing/admin/_live_samples.html"
    panels_first = True
    empty_list = "A price says what a product costs. Create one, per unit or in tiers, by usage or by quantity."
    search_fields = ("nickname", "product__name", "lookup_key", "id")
    search_help_text = "Search by product, nickname, lookup key or id"
    list_display = ("__str__", "product", "cost", "every", "meter", "active", "created_at")
    list_filter = (
        "active",
        MeteredFilter,
        "currency",
        ("product", RelatedDropdownFilter),
        ("meter", ListedMeterFilter),
        ("created_at", DayRangeFilter),
    )
    list_select_related = ("product", "meter")
    autocomplete_fields = ("product", "meter")
    add_inlines = (TierInline,)
    readonly_fields = ("id", "product", "currency_code", "cost", "every", "meter", "aggregate_usage", "created_at")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "active",
                    "nickname",
                    "lookup_key",
                    "transfer_lookup_key",
                    "tax_behavior",
                    "late_usage",
                    "metadata",
                )
            },
        ),
        (
            "Terms, which never change",
            {"fields": ("product", "currency_code", "cost", "every", "meter", "aggregate_usage")},
        ),
        ("More", {"classes": ("collapse",), "fields": ("id", "created_at")}),
    )
    add_fieldsets = (
        (None, {"fields": ("product", "currency", "meter", "interval", "interval_count")}),
        (
            "More",
            {
                "classes": ("collapse",),
                "fields": ("nickname", "lookup_key", "tax_behavior", "active", "metadata"),
            },
        ),
        # Last, so that the tiers follow it.
        ("Cost", {"fields": ("scheme", "unit_amount_decimal", "transform_divide_by", "transform_round")}),
    )

    class Media:
        js = ("admin_pages/price_form.js",)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.samples))
        return [path("samples/", view, name="pricing_price_samples"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("tiers")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Of what can get new prices."""
        if db_field.name == "meter":
            kwargs["queryset"] = Meter.objects.active().listed()
        if db_field.name == "product":
            kwargs["queryset"] = Product.objects.live().filter(active=True)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def create(self, form: PriceForm, formsets: Sequence[TierFormSet], *, at: datetime) -> Price:
        spec = form.spec(formsets[0].specs())
        return prices.create_price(form.cleaned_data["product"].pk, spec=spec, at=at)

    def update(self, row: Price, form: PriceChangeForm, *, at: datetime) -> Price:
        return prices.update_price(
            row.pk,
            changes=form.changes(leave=("metadata", "transfer_lookup_key")),
            metadata=form.metadata_to_merge(),
            transfer_lookup_key=form.cleaned_data["transfer_lookup_key"],
            at=at,
        )

    def samples(self, request: HttpRequest) -> HttpResponse:
        """What the price in the form would cost, as a fragment of the page; the form need not be finished."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form: Any = self.get_form(request)(request.POST)
        formset = self._create_formsets(request, form.instance, change=False)[0][0]
        form.full_clean()
        try:
            if not formset.is_valid():
                raise UnfinishedTiers("Some tiers cannot be read yet.")
            spec = replace(form.spec(formset.specs()), recurring=None)
            shown = samples_shown(terms_of_spec(spec), spec.currency)
        except BillingError as error:
            shown = {"waiting": error.message}
        return render(request, "pricing/admin/_samples.html", {"data": shown})

    @display(description="Currency", ordering="currency")
    def currency_code(self, row: Price) -> str:
        return row.currency.upper()

    @display(description="Costs", ordering="unit_amount_decimal")
    def cost(self, row: Price) -> str:
        return cost_words(row)

    @display(description="Every", ordering="interval")
    def every(self, row: Price) -> str:
        return cadence_words(row)


class UnfinishedTiers(BillingError):
    """The tiers of a form cannot be read yet."""


show_on(Price, Panel("Tiers", "pricing/admin/_tiers.html", tiers_of, order=10))
show_on(Price, Panel("In other currencies", "pricing/admin/_options.html", options_of, order=15))
show_on(Price, Panel("What would it cost?", "pricing/admin/_samples.html", samples_of, order=20))
show_on(Product, Panel("Prices", "pricing/admin/_prices.html", prices_of))
add_button(
    Product,
    Button(
        name="delete",
        label="Delete",
        icon="delete",
        question="The product is deleted for good. Only one that never had a price can be deleted; switch off others.",
        done="The product is deleted.",
        run=lambda row, at, answers: products.delete_product(row.pk, at=at),
        when=lambda row: not row.prices.exists(),
        danger=True,
        deletes=True,
    ),
)
