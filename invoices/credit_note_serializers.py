"""Credit notes and their lines on the wire."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, cast

from api import objects, params
from api.params import ListParams, Params
from core.money import CONTEXT, round_minor
from invoices.line_serializers import PretaxCredits, Taxes, WholeQuantity, pretax_credits
from invoices.models import CreditNote, CreditNoteLine
from invoices.serializers import sum_shares
from pricing.models import TaxRate
from pricing.tax_serializers import TaxRateObject

EMAIL_TYPES = ("credit_note", "none")


class CreditNoteLineParams(Params):
    later = ("tax_amounts",)

    amount = params.Amount(minimum=1)
    description = params.String()
    invoice_line_item = params.String()
    metadata = params.MetadataParam()
    quantity = params.PositiveDecimal(help_text="A whole number with Stripe; here also a part of a unit.")
    tax_rates = params.Array(params.String(), max_length=20, unset=True)
    type = params.Choice(("custom_line_item", "invoice_line_item"), required=True)
    unit_amount = params.Amount()
    unit_amount_decimal = params.DecimalAmount()


class PreviewCreditNote(Params):
    later = ("refunds", "shipping_cost")

    amount = params.Amount(minimum=1)
    credit_amount = params.Amount()
    effective_at = params.UnixTime()
    email_type = params.Choice(EMAIL_TYPES, help_text="No mail is sent: only `none` is accepted.")
    invoice = params.String(required=True)
    lines = params.Array(CreditNoteLineParams)
    memo = params.String()
    metadata = params.MetadataParam()
    out_of_band_amount = params.Amount()
    reason = params.Choice(CreditNote.Reason)
    refund_amount = params.Amount()


class CreateCreditNote(PreviewCreditNote):
    pass


class PreviewCreditNoteLines(PreviewCreditNote, ListParams):
    pass


class UpdateCreditNote(Params):
    memo = params.String(unset=True)
    metadata = params.MetadataParam()


class ListCreditNotes(ListParams):
    later = ("customer_account",)

    created = params.TimeRange()
    customer = params.String()
    invoice = params.String()


class TaxRates(objects.WireField):
    """The tax rates themselves, not their ids."""

    schema_type = {"type": "array", "items": {"type": "object"}}

    def to_representation(self, value: list[str]) -> list[dict[str, Any]]:
        return [TaxRateObject().to_representation(self._rate(id)) for id in value]

    def _rate(self, id: str) -> TaxRate:
        """Each is read once for all the objects of an answer."""
        known: dict[str, TaxRate] = cast(dict[str, Any], self.context).setdefault("tax_rates", {})
        if id not in known:
            known[id] = TaxRate.objects.get(pk=id)
        return known[id]


class CreditNoteLineObject(objects.Object):
    id = objects.Text()
    object = objects.Const("credit_note_line_item")
    amount = objects.Integer()
    description = objects.Text()
    discount_amount = objects.Integer()
    discount_amounts = objects.Json()
    invoice_line_item = objects.ObjectId(source="invoice_line_id")
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    pretax_credit_amounts = PretaxCredits(source="*")
    quantity = WholeQuantity()
    tax_rates = TaxRates()
    taxes = Taxes(source="tax_amounts")
    type = objects.Text(source="kind")
    unit_amount = objects.Integer()
    unit_amount_decimal = objects.DecimalString()


class DiscountAmounts(objects.WireField):
    schema_type = {"type": "array", "items": {"type": "object"}}

    def to_representation(self, value: CreditNote) -> list[dict[str, Any]]:
        return _added_up(value, "discount_amounts", "discount")


class NotePretaxCredits(objects.WireField):
    schema_type = {"type": "array", "items": {"type": "object"}}

    def to_representation(self, value: CreditNote) -> list[dict[str, Any]]:
        credits = (share for line in shown_lines(value) for share in line.credit_amounts)
        return pretax_credits(_added_up(value, "discount_amounts", "discount"), credits)


class NoteTaxes(Taxes):
    def to_representation(self, value: Any) -> list[dict[str, Any]]:
        return super().to_representation(_added_up(value, "tax_amounts", "tax_rate", "inclusive", "reason"))


class SubtotalExcludingTax(objects.WireField):
    """The subtotal without the taxes in it: those that would be in it if nothing had been taken off."""

    schema_type = {"type": "integer"}

    def to_representation(self, value: CreditNote) -> int:
        return value.subtotal - sum(_untouched_tax(line) for line in shown_lines(value))


class CreditNoteObject(objects.Object):
    id = objects.Text()
    object = objects.Const("credit_note")
    amount = objects.Integer(source="total")
    amount_shipping = objects.Const(0)
    created = objects.UnixTime(source="created_at")
    currency = objects.Text()
    customer = objects.ObjectId(source="customer_id")
    customer_account = objects.Const(None)
    customer_balance_transaction = objects.ObjectId(source="customer_balance_transaction_id")
    discount_amount = objects.Integer()
    discount_amounts = DiscountAmounts(source="*")
    effective_at = objects.UnixTime()
    invoice = objects.ObjectId(source="invoice_id")
    lines = objects.InlineList(
        CreditNoteLineObject,
        source=lambda note: shown_lines(note),
        url=lambda note: f"/v1/credit_notes/{note.pk}/lines",
    )
    livemode = objects.Livemode()
    memo = objects.Text()
    metadata = objects.Metadata()
    number = objects.Text()
    out_of_band_amount = objects.Integer()
    pdf = objects.Const("")
    post_payment_amount = objects.Integer()
    pre_payment_amount = objects.Integer()
    pretax_credit_amounts = NotePretaxCredits(source="*")
    reason = objects.Text()
    refunds = objects.Fixed([])
    shipping_cost = objects.Const(None)
    status = objects.Text()
    subtotal = objects.Integer()
    subtotal_excluding_tax = SubtotalExcludingTax(source="*")
    total = objects.Integer()
    total_excluding_tax = objects.Integer()
    total_taxes = NoteTaxes(source="*")
    type = objects.Text()
    voided_at = objects.UnixTime()


def shown_lines(note: CreditNote) -> list[CreditNoteLine]:
    """The lines in their order; those of a preview are not stored and hang on the object."""
    unsaved: list[CreditNoteLine] | None = getattr(note, "unsaved_lines", None)
    return unsaved if unsaved is not None else list(note.lines.all())


def _added_up(note: CreditNote, shares: str, *by: str) -> list[dict[str, Any]]:
    lines: Iterable[Iterable[Mapping[str, Any]]] = (getattr(line, shares) for line in shown_lines(note))
    return sum_shares(lines, by)


def _untouched_tax(line: CreditNoteLine) -> int:
    if not line.inclusive_tax_total or not line.net:
        return 0
    return round_minor(CONTEXT.divide(Decimal(line.amount * line.inclusive_tax_total), Decimal(line.net)))
