"""The form of a new meter in the admin: its rules are the verb's, the way to write them is for people."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextareaWidget

from core.admin_forms import LinesField, VerbForm
from meters.aggregations import AGGREGATIONS, formula_choices
from meters.filter_words import EXAMPLES, LONGEST_KEY, MOST, Unreadable, parse
from meters.models import Meter


def explained_formulas() -> list[tuple[str, Any]]:
    return [
        (
            name,
            format_html(
                '<span class="ch-strong">{}</span> <span class="ch-muted">· in a part of a period: {}</span>',
                label,
                AGGREGATIONS[name].in_part[0].lower() + AGGREGATIONS[name].in_part[1:],
            ),
        )
        for name, label in formula_choices()
    ]


class FiltersField(forms.CharField):
    """Conditions on the payload, one a line."""

    def __init__(self, **kwargs: Any) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 4, "placeholder": "\n".join(EXAMPLES), "spellcheck": "false"})
        super().__init__(required=False, widget=widget, **kwargs)

    def to_python(self, value: Any) -> list[dict[str, Any]]:  # type: ignore[override]
        try:
            return parse(str(value or ""))
        except Unreadable as error:
            raise ValidationError(str(error)) from error


class DimensionsField(LinesField):
    """Keys of the payload, one a line."""

    def validate(self, value: Any) -> None:
        if len(value) > MOST:
            raise ValidationError(f"At most {MOST} dimensions.")
        if any(len(key) > LONGEST_KEY for key in value):
            raise ValidationError(f"A key has at most {LONGEST_KEY} characters.")


class MeterForm(VerbForm):
    param_fields = {"default_aggregation[formula]": "formula"}

    formula = forms.ChoiceField(
        choices=explained_formulas,
        widget=UnfoldAdminRadioSelectWidget,
        help_text="How the values of a period become one quantity. It cannot be changed later. In grey: what is "
        "billed of a part where a period is split, for example by a change of price.",
    )
    filters = FiltersField(
        label="Count only events where",
        help_text="One condition a line, all of which must hold: “key in value, value”, “key not in value, value”, "
        "“key exists” or “key does not exist”. A value with a comma goes in double quotes. Other events are kept and "
        "not counted. Empty: every event counts.",
    )
    dimension_payload_keys = DimensionsField(
        label="Dimensions",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "model\nregion", "spellcheck": "false"}),
        help_text="Keys of the payload by which usage can be grouped and priced, one a line. Every event has to have "
        "all of them; one that lacks any is refused.",
    )

    class Meta:
        model = Meter
        fields = (
            "display_name",
            "event_name",
            "formula",
            "event_time_window",
            "filters",
            "dimension_payload_keys",
            "customer_key",
            "value_key",
        )
        help_texts = {
            "event_name": "The name under which events are sent, e.g. prompt_tokens. It cannot be changed later.",
            "event_time_window": "Set it when each event carries the total of its hour or day: the latest received "
            "then replaces the earlier ones. Leave it empty when every event counts. Levels have none.",
        }
