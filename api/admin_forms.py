"""Metadata on the forms of the admin, by the same rules as on the wire."""

from django import forms

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


class MetadataForm(VerbForm):
    """A form of a row that carries metadata."""

    metadata = MetadataField(help_text="For your own use; one “name: value” a line.")

    def metadata_to_merge(self) -> dict[str, str]:
        """What a verb merges into the row's metadata to make it what the form says."""
        return pairs_to_merge(self.initial.get("metadata"), self.cleaned_data["metadata"])
