"""Forms of the models' screens."""

from __future__ import annotations

from typing import Any

from django import forms

from providers.models import Provider, ProviderModel
from providers.views.fields import LinesField


class ModelSettingsForm(forms.Form):
    """What a person says of one model at one provider."""

    timeout_s = forms.IntegerField(
        label="Longest time for one call, in seconds",
        required=False,
        min_value=1,
        help_text="Then the next candidate is asked. Empty: its provider's deadline.",
    )
    context_window = forms.IntegerField(
        label="Context in tokens", required=False, min_value=1
    )
    max_output_tokens = forms.IntegerField(
        label="Output in tokens at most", required=False, min_value=1
    )
    display_name = forms.CharField(label="Name", required=False, max_length=200)

    def __init__(self, *args: Any, model: ProviderModel, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial = {name: getattr(model, name) for name in self.fields}


class ModelAccessForm(forms.Form):
    """Which models of a provider may be used."""

    model_access = forms.ChoiceField(
        label="Models",
        choices=[
            ("all", "All it lists"),
            ("only", "Only these"),
            ("none", "None"),
        ],
        widget=forms.RadioSelect,
    )
    models_allowed = LinesField(
        label="Only these models",
        required=False,
        help_text="One a line: ids, or patterns such as gpt-* or */claude-*.",
    )

    def __init__(self, *args: Any, provider: Provider, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial = {
            "model_access": provider.model_access,
            "models_allowed": list(provider.models_allowed),
        }

    def clean(self) -> dict[str, Any]:
        """Ask for a name where only some are allowed: an empty list is never all."""
        data: dict[str, Any] = super().clean() or {}
        if data.get("model_access") == "only" and not data.get("models_allowed"):
            self.add_error("models_allowed", "Name at least one model or pattern.")
        return data

    def rule(self) -> tuple[str, tuple[str, ...]]:
        """Return the rule as it stands in the form, also while it is not complete."""
        data = self.cleaned_data if self.is_bound else self.initial
        names = data.get("models_allowed") or ()
        return str(data.get("model_access") or "none"), tuple(names)
