"""Tax rates that are kept by hand; what was once the rate stays the rate."""

from django.db import models
from django.db.models import Q

from core.ids import IdField


class TaxRate(models.Model):
    """A tax in percent of an amount, inside it (inclusive) or on top of it. Another percentage is another tax rate."""

    class TaxType(models.TextChoices):
        ADMISSIONS_TAX = "admissions_tax"
        AMUSEMENT_TAX = "amusement_tax"
        ATTENDANCE_TAX = "attendance_tax"
        COMMUNICATIONS_TAX = "communications_tax"
        DIGITAL_EXCISE_TAX = "digital_excise_tax"
        ENTERTAINMENT_TAX = "entertainment_tax"
        GET_FUND = "get_fund"
        GROSS_RECEIPTS_TAX = "gross_receipts_tax"
        GST = "gst", "GST"
        HOSPITALITY_TAX = "hospitality_tax"
        HST = "hst", "HST"
        IGST = "igst", "IGST"
        JCT = "jct", "JCT"
        LEASE_TAX = "lease_tax"
        LUXURY_TAX = "luxury_tax"
        MASS_TRANSIT_PARKING_TAX = "mass_transit_parking_tax"
        NHIL = "nhil", "NHIL"
        PARKING_TAX = "parking_tax"
        PST = "pst", "PST"
        QST = "qst", "QST"
        RESORT_TAX = "resort_tax"
        RETAIL_DELIVERY_FEE = "retail_delivery_fee"
        RST = "rst", "RST"
        SALES_TAX = "sales_tax"
        SERVICE_TAX = "service_tax"
        TOURISM_TAX = "tourism_tax"
        UTILITY_USERS_TAX = "utility_users_tax"
        VAT = "vat", "VAT"

    id = IdField(prefix="txr")
    display_name = models.CharField(max_length=50, help_text="What it is called on invoices, e.g. VAT.")
    percentage = models.DecimalField(max_digits=7, decimal_places=4)
    inclusive = models.BooleanField(default=False, help_text="Whether prices already contain it.")
    active = models.BooleanField(default=True, help_text="Whether it can be applied anew.")
    country = models.CharField(max_length=2, blank=True, default="", help_text="Two letters, e.g. NO.")
    state = models.CharField(max_length=50, blank=True, default="")
    jurisdiction = models.CharField(max_length=50, blank=True, default="", help_text="Stands on invoices.")
    tax_type = models.CharField(max_length=30, choices=TaxType, blank=True, default="")
    description = models.TextField(max_length=5000, blank=True, default="", help_text="Customers do not see it.")
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.CheckConstraint(
                condition=Q(percentage__gte=0, percentage__lte=100), name="tax_rate_percentage_bounded"
            ),
            models.CheckConstraint(condition=Q(country="") | Q(country__regex=r"^[A-Z]{2}$"), name="tax_rate_country"),
        )

    def __str__(self) -> str:
        return f"{self.display_name} {self.percentage.normalize():f} %"
