"""Tax rates in the admin."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from api.admin_forms import MetadataForm
from core.admin import VerbAdmin
from core.admin_filters import DayRangeFilter
from core.money import plain
from pricing import tax_rates
from pricing.models import TaxRate


class TaxRateForm(MetadataForm):
    """A new tax rate."""

    percentage = forms.DecimalField(
        label="Percent",
        min_value=Decimal(0),
        max_value=Decimal(100),
        max_digits=7,
        decimal_places=4,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="It stays; another percentage is another tax rate.",
    )

    class Meta:
        model = TaxRate
        fields = (
            *("display_name", "percentage", "inclusive", "active", "country", "state", "jurisdiction", "tax_type"),
            *("description", "metadata"),
        )


class TaxRateChangeForm(MetadataForm):
    """What may change about a tax rate: not the rate."""

    class Meta:
        model = TaxRate
        fields = (
            *("display_name", "active", "country", "state", "jurisdiction", "tax_type", "description", "metadata"),
        )


@admin.register(TaxRate)
class TaxRateAdmin(VerbAdmin):
    form = TaxRateForm
    change_form = TaxRateChangeForm
    empty_list = "A tax rate is a percentage with a name, in or on top of the price. Create one for each that you owe."
    search_fields = ("display_name", "jurisdiction", "id")
    search_help_text = "Search by name, jurisdiction or id"
    list_display = ("display_name", "percent", "inclusive", "country", "jurisdiction", "active", "created_at", "id")
    list_filter = ("active", "inclusive", "tax_type", ("created_at", DayRangeFilter))
    readonly_fields = ("id", "percent", "inclusive", "created_at")
    rest = ("country", "state", "jurisdiction", "tax_type")
    fieldsets = (
        (None, {"fields": ("display_name", "active", *rest, "description", "metadata")}),
        ("The rate, which never changes", {"fields": ("percent", "inclusive")}),
        ("More", {"classes": ("collapse",), "fields": ("id", "created_at")}),
    )
    add_fieldsets = (
        (None, {"fields": ("display_name", "percentage", "inclusive", *rest)}),
        ("More", {"classes": ("collapse",), "fields": ("active", "description", "metadata")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def create(self, form: TaxRateForm, formsets: Sequence[Any], *, at: datetime) -> TaxRate:
        return tax_rates.create_tax_rate(at=at, **form.cleaned_data)

    def update(self, row: TaxRate, form: TaxRateChangeForm, *, at: datetime) -> TaxRate:
        changes = form.changes(leave=("metadata",))
        return tax_rates.update_tax_rate(row.pk, changes=changes, metadata=form.metadata_to_merge(), at=at)

    @display(description="Percent", ordering="percentage")
    def percent(self, row: TaxRate) -> str:
        return f"{plain(row.percentage)} %"
