"""Forms of the admin that check shape only, and the fields they have beside Django's own."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from core.errors import BillingError

ROW_PARAM = re.compile(r"^(?P<rows>\w+)\[(?P<number>\d+)\]\[(?P<name>\w+)\]$")


class VerbForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form that leaves its row alone: the rules are the verb's, whose refusal becomes an error here.

    `param_fields` names the field of a parameter where the two have different names.
    """

    refusal: BillingError | None = None
    rows_params: Collection[str] = ()  # of the rows given with the form, which show their own refusals
    param_fields: Mapping[str, str] = {}

    def clean(self) -> dict[str, Any]:
        super().clean()
        row = ROW_PARAM.match(self.refusal.param or "") if self.refusal else None
        if self.refusal is not None and (row is None or row["rows"] not in self.rows_params):
            field = self.field_of(self.refusal.param)
            self.add_error(field, self.refusal.message)
        return self.cleaned_data

    def field_of(self, param: str | None) -> str | None:
        """The field that a parameter of the verb comes from; None where there is none on this form."""
        name = self.param_fields.get(param or "", param)
        return name if name in self.fields else None

    def _post_clean(self) -> None:
        """Not into the instance, and not by the model's rules: the verb writes, and knows the rules."""

    def changes(self, *, leave: tuple[str, ...] = ()) -> dict[str, Any]:
        """The fields that differ from the row, by name."""
        return {name: self.cleaned_data[name] for name in self.changed_data if name not in leave}


class VerbFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """Rows of a form whose rules are the verb's; a refusal of `rows[2][name]` becomes an error of that row."""

    refusal: BillingError | None = None
    rows_param: str = ""

    def clean(self) -> None:
        match = ROW_PARAM.match(self.refusal.param or "") if self.refusal else None
        if self.refusal is None or match is None or match["rows"] != self.rows_param:
            return
        form = self.filled()[int(match["number"])]
        name = form.param_fields.get(match["name"], match["name"])
        form.add_error(name if name in form.fields else None, self.refusal.message)

    def filled(self) -> list[Any]:
        """The rows that say anything, in their order."""
        return [form for form in self.forms if form.has_changed() and not self._should_delete_form(form)]  # type: ignore[attr-defined]


class PairsField(forms.CharField):
    """A small mapping of texts, written as one `name: value` a line."""

    widget = UnfoldAdminTextareaWidget

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        kwargs.setdefault("widget", UnfoldAdminTextareaWidget(attrs={"rows": 3}))
        super().__init__(*args, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return "\n".join(f"{name}: {text}" for name, text in value.items())
        return value

    def to_python(self, value: Any) -> dict[str, str]:  # type: ignore[override]
        pairs: dict[str, str] = {}
        for line in str(value or "").splitlines():
            name, colon, text = line.partition(":")
            if not line.strip():
                continue
            if not colon or not name.strip() or not text.strip():
                raise forms.ValidationError("Write one “name: value” a line.")
            pairs[name.strip()] = text.strip()
        return pairs

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return self.to_python(self.prepare_value(initial)) != self.to_python(data)
        except forms.ValidationError:
            return True


class WordsField(forms.CharField):
    """A list of words, separated by commas."""

    widget = UnfoldAdminTextInputWidget

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        super().__init__(*args, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        return [word for part in str(value or "").split(",") if (word := part.strip())]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != self.to_python(data)


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        kwargs.setdefault("widget", UnfoldAdminTextareaWidget(attrs={"rows": 3}))
        super().__init__(*args, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        return [text for line in str(value or "").splitlines() if (text := line.strip())]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != self.to_python(data)


def pairs_to_merge(old: Mapping[str, str] | None, wanted: Mapping[str, str]) -> dict[str, str]:
    """What merged into `old` makes `wanted`: a blank value takes a name away."""
    return dict.fromkeys(set(old or {}) - set(wanted), "") | dict(wanted)
