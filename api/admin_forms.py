"""Fields of the admin's forms with rules of the API's: metadata, and networks of IP addresses."""

from ipaddress import ip_network
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget

from api.callers import Network
from api.metadata import MAX_KEYS, check_entry
from core.admin_forms import PairsField, VerbForm, pairs_to_merge


class MetadataField(PairsField):
    """Metadata as one `name: value` a line."""

    def to_python(self, value: object) -> dict[str, str]:  # type: ignore[override]
        pairs = super().to_python(value)
        problems = [problem for name, text in pairs.items() if (problem := check_entry(name, text))]
        if len(pairs) > MAX_KEYS:
            problems.append(f"Metadata may have at most {MAX_KEYS} keys.")
        if problems:
            raise forms.ValidationError(problems)
        return pairs


class NetworksField(forms.CharField):
    """Networks of IP addresses, one a line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}), **kwargs)

    def to_python(self, value: object) -> list[Network]:  # type: ignore[override]
        try:
            return [ip_network(word) for word in str(value or "").replace(",", " ").split()]
        except ValueError as error:
            raise forms.ValidationError(f"{error}.") from error


class MetadataForm(VerbForm):
    """A form of a row that carries metadata."""

    metadata = MetadataField(help_text="For your own use; one “name: value” a line.")

    def metadata_to_merge(self) -> dict[str, str]:
        """What a verb merges into the row's metadata to make it what the form says."""
        return pairs_to_merge(self.initial.get("metadata"), self.cleaned_data["metadata"])
