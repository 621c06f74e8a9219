"""Forms of the ground's screens."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django import forms

from poolsite.accounts import ROLES
from poolsite.models import User
from poolsite.tokens import SCOPES
from poolsite.ui.forms import PasswordField

_ROLE_TEXT = {
    "owner": "Owner: everything, people included",
    "operator": "Operator: providers, keys, budgets, prices",
    "viewer": "Viewer: may look, changes nothing",
}
_SCOPE_TEXT = {
    "admin": "admin: read and change",
    "read": "read: look only",
    "metrics": "metrics: /metrics only",
}


def time_zones() -> list[tuple[str, str]]:
    """Return every zone by name, UTC first."""
    names = sorted(zoneinfo.available_timezones() - {"UTC", "localtime"})
    return [("UTC", "UTC"), *[(name, name) for name in names]]


class UserForm(forms.Form):
    """A new person."""

    email = forms.EmailField(
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
        help_text="They sign in with it.",
    )
    password = PasswordField(
        help_text="At least 12 characters. Tell it them in person."
    )
    role = forms.ChoiceField(
        choices=[(role, _ROLE_TEXT[role]) for role in ROLES],
        widget=forms.RadioSelect,
        initial="operator",
    )


class RoleForm(forms.Form):
    """A person's role."""

    role = forms.ChoiceField(choices=[(role, role.capitalize()) for role in ROLES])


class ProfileForm(forms.Form):
    """How one person likes the console."""

    name = forms.CharField(max_length=120, required=False)
    time_zone = forms.ChoiceField(
        help_text="Times on every screen are shown in this zone."
    )
    theme = forms.ChoiceField(choices=User.Theme.choices)
    density = forms.ChoiceField(choices=User.Density.choices)
    shortcuts = forms.BooleanField(
        required=False, label="Single-letter keyboard shortcuts"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"].choices = time_zones()  # type: ignore[attr-defined] # a choice field


class TokenForm(forms.Form):
    """A new API token."""

    name = forms.CharField(max_length=120, help_text="What it is for.")
    scopes = forms.MultipleChoiceField(
        choices=[(scope, _SCOPE_TEXT[scope]) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
    )
