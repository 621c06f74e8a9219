"""Forms of the roof's screens; they clean into what services take."""

from __future__ import annotations

from typing import Any

from django import forms

from poolsite.forms import time_zones
from poolsite.ui.forms import PasswordField, SecretLinesField
from providers.views.fields import LinesField


class AccountForm(forms.Form):
    """The first owner."""

    email = forms.EmailField(
        widget=forms.EmailInput(attrs={"autocomplete": "username"})
    )
    password = PasswordField(help_text="At least 12 characters.")
    time_zone = forms.ChoiceField(initial="UTC")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"].choices = time_zones()  # type: ignore[attr-defined] # a choice field


class ApiKeyForm(forms.Form):
    """More of our keys at a provider."""

    secrets = SecretLinesField(
        label="API keys", help_text="One a line. They are never shown again."
    )
    label = forms.CharField(max_length=120, required=False)


class ModelsForm(forms.Form):
    """Ids of models to add."""

    models = LinesField(label="Model ids", help_text="One a line.")
