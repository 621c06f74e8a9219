"""Forms of the roof's screens; they clean into what services take."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.utils import timezone

from poolsite.forms import time_zones
from poolsite.money import nano_from_usd, usd_from_nano
from poolsite.ui.forms import PasswordField, SecretLinesField
from providers.views.fields import LinesField
from usage.models import Budget, ClientKey
from usage.services import BudgetTerms


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


class ClientKeyForm(forms.Form):
    """A client key: the same form creates and edits."""

    name = forms.CharField(max_length=120, help_text="Who or what will use it.")
    model_access = forms.ChoiceField(
        label="Models",
        choices=[
            ("all", "All models"),
            ("only", "Only these"),
            ("none", "None"),
        ],
        widget=forms.RadioSelect,
        initial="all",
    )
    models_allowed = LinesField(
        label="Only these models",
        required=False,
        help_text="One a line: names, or patterns such as gpt-*.",
    )
    budget_usd = forms.DecimalField(
        label="Budget in USD",
        required=False,
        min_value=Decimal(0),
        max_digits=15,
        decimal_places=9,
        widget=forms.NumberInput(attrs={"placeholder": "No budget", "step": "any"}),
        help_text="Zero means only models that cost nothing.",
    )
    window = forms.ChoiceField(
        label="Budget resets every",
        choices=[
            ("hour", "Hour"),
            ("day", "Day"),
            ("week", "Week"),
            ("month", "Month"),
            ("total", "Never"),
        ],
        initial="month",
    )
    time_zone = forms.ChoiceField(label="Budget's time zone", initial="UTC")
    hard = forms.ChoiceField(
        label="When the budget is used up",
        choices=[
            ("1", "Refuse: a request must fit what is left"),
            ("0", "Warn: the request that crosses it still finishes"),
        ],
        widget=forms.RadioSelect,
        initial="1",
    )
    expiry = forms.ChoiceField(
        label="Expires",
        choices=[
            ("30", "In 30 days"),
            ("90", "In 90 days"),
            ("365", "In a year"),
            ("date", "On a date"),
            ("never", "Never"),
        ],
        initial="365",
    )
    expires_at = forms.DateTimeField(
        label="Expiry date",
        required=False,
        widget=forms.DateTimeInput(
            attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
        ),
        help_text="In your own time zone.",
    )
    rpm = forms.IntegerField(label="Requests a minute", min_value=1, required=False)
    tpm = forms.IntegerField(label="Tokens a minute", min_value=1, required=False)
    concurrency = forms.IntegerField(
        label="Requests at the same time", min_value=1, required=False
    )
    unpriced = forms.ChoiceField(
        label="Models without a price",
        required=False,
        choices=[
            ("allow", "Allow; their cost is unknown"),
            ("default", "Only with the default price"),
            ("block", "Refuse"),
        ],
        help_text="A hard budget refuses them too, unless there is a default price.",
    )

    BUDGET = ("window", "time_zone", "hard")
    ADVANCED = ("rpm", "tpm", "concurrency", "unpriced")

    def __init__(self, *args: Any, key: ClientKey | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"].choices = time_zones()  # type: ignore[attr-defined] # a choice field
        self.key = key
        if key is not None:
            self.initial = _key_initial(key)
        else:
            own = timezone.get_current_timezone_name()
            self.initial = {"time_zone": own, **self.initial}

    @property
    def advanced_fields(self) -> list[Any]:
        """Limits."""
        return [self[name] for name in self.ADVANCED]

    @property
    def has_advanced_errors(self) -> bool:
        """Say whether the folded part must be open."""
        return any(name in self.errors for name in self.ADVANCED)

    def clean(self) -> dict[str, Any]:
        """Ask for what the choices leave open."""
        data: dict[str, Any] = super().clean() or {}
        if data.get("model_access") == "only" and not data.get("models_allowed"):
            self.add_error("models_allowed", "Name at least one model or pattern.")
        chosen = data.get("expiry")
        if chosen == "date":
            self._check_date(data.get("expires_at"))
        elif chosen is not None:
            days = None if chosen == "never" else int(chosen)
            data["expires_at"] = days and timezone.now() + timedelta(days=days)
        return data

    def _check_date(self, expires: datetime | None) -> None:
        if "expires_at" in self.errors:
            return
        if expires is None:
            self.add_error("expires_at", "Choose the date.")
        elif expires <= timezone.now():
            self.add_error("expires_at", "This lies in the past.")

    def values(self) -> dict[str, Any]:
        """Return what the key service takes, the name included."""
        names = (
            "name",
            "model_access",
            "models_allowed",
            "rpm",
            "tpm",
            "concurrency",
            "expires_at",
        )
        found = {name: self.cleaned_data[name] for name in names}
        if self.cleaned_data["unpriced"]:
            found["unpriced"] = self.cleaned_data["unpriced"]
        return found

    def terms(self) -> BudgetTerms | None:
        """Return the budget, None for none."""
        amount = self.cleaned_data["budget_usd"]
        if amount is None:
            return None
        return BudgetTerms(
            amount_nano_usd=nano_from_usd(amount),
            window=self.cleaned_data["window"],
            hard=self.cleaned_data["hard"] == "1",
            time_zone=self.cleaned_data["time_zone"],
        )


class RotateForm(forms.Form):
    """How long the old text goes on working."""

    grace = forms.ChoiceField(
        choices=[
            ("now", "Stop at once"),
            ("1h", "1 hour"),
            ("24h", "24 hours"),
            ("7d", "7 days"),
        ],
        label="The old key",
    )


def _key_initial(key: ClientKey) -> dict[str, Any]:
    names = ("name", "model_access", "models_allowed", "rpm", "tpm", "concurrency")
    initial = {name: getattr(key, name) for name in (*names, "unpriced")}
    initial["expires_at"] = key.expires_at
    initial["expiry"] = "never" if key.expires_at is None else "date"
    budget = key.budget_set.filter(scope=Budget.Scope.KEY).first()
    initial["time_zone"] = timezone.get_current_timezone_name()
    if budget is not None:
        initial["budget_usd"] = _plain(budget.amount_nano_usd)
        initial["window"] = budget.window
        initial["hard"] = "1" if budget.hard else "0"
        initial["time_zone"] = budget.time_zone
    return initial


def _plain(nano: int) -> str:
    """Write an amount without zeros that say nothing."""
    whole, _, rest = f"{usd_from_nano(nano):f}".partition(".")
    rest = rest.rstrip("0")
    return f"{whole}.{rest.ljust(2, '0')}" if rest else whole
