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
from providers.catalogue.spec import CatalogueEntry
from providers.formats import registry
from providers.models import Provider
from providers.services.onboard import NewProvider
from providers.services.speech import AUTH_SCHEMES, FORMAT_NAMES, OPTIONS
from providers.views.fields import LinesField, PairsField
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


class ProviderForm(forms.Form):
    """A provider: the same form creates and edits."""

    slug = forms.SlugField(
        label="Id",
        max_length=64,
        help_text="Clients may ask for id/model. It cannot be changed later.",
    )
    name = forms.CharField(max_length=120)
    base_url = forms.CharField(
        label="Base URL",
        max_length=300,
        help_text="The format's own paths, such as /chat/completions, are appended.",
    )
    secrets = SecretLinesField(
        label="API keys",
        required=False,
        help_text="One a line. They are encrypted and never shown again.",
    )
    models = LinesField(
        required=False,
        help_text="One a line; what the provider lists is added by itself.",
    )
    api_format = forms.ChoiceField(label="Wire format", initial="openai")
    location = forms.ChoiceField(choices=Provider.Location.choices, initial="cloud")
    priority = forms.IntegerField(
        min_value=0, max_value=100, initial=50, help_text="Higher is asked first."
    )
    allow_private = forms.BooleanField(
        required=False,
        label="Allow this private address",
        help_text="For a server in your own network: exactly this host and port.",
    )
    concurrency = forms.IntegerField(
        min_value=1, required=False, help_text="Most calls at the same time."
    )

    auth_scheme = forms.ChoiceField(
        label="Credential",
        required=False,
        choices=tuple(AUTH_SCHEMES.items()),
        help_text="How the key is sent.",
    )
    options = PairsField(
        required=False,
        help_text="name=value, one a line; for clouds: " + ", ".join(OPTIONS) + ".",
    )

    ADVANCED = (
        "api_format",
        "location",
        "priority",
        "allow_private",
        "concurrency",
        "auth_scheme",
        "options",
    )

    def __init__(
        self,
        *args: Any,
        provider: Provider | None = None,
        entry: CatalogueEntry | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.provider = provider
        self.entry = entry
        formats = [
            (name, FORMAT_NAMES.get(name, name)) for name in sorted(registry.formats())
        ]
        self.fields["api_format"].choices = formats  # type: ignore[attr-defined] # a choice field
        if provider is not None:
            for name in ("slug", "secrets", "models"):
                del self.fields[name]
            self.initial = {name: getattr(provider, name) for name in self.fields}
        elif entry is not None:
            self.initial = {
                "slug": entry.id,
                "name": entry.name,
                "base_url": entry.base_url,
                "api_format": entry.format,
                "location": entry.location,
                "allow_private": entry.location == "local",
                "priority": 50,
            }

    def clean_slug(self) -> str:
        """Refuse an id in use before anything is sent out.

        Errors: ValidationError.
        """
        slug = str(self.cleaned_data["slug"]).lower()
        if Provider.objects.filter(slug=slug, deleted_at=None).exists():
            raise forms.ValidationError(f"A provider named {slug} exists already.")
        return slug

    @property
    def main_fields(self) -> list[Any]:
        """The fields everybody fills in."""
        return [self[name] for name in self.fields if name not in self.ADVANCED]

    @property
    def advanced_fields(self) -> list[Any]:
        """The fields most people leave as they are."""
        return [self[name] for name in self.ADVANCED]

    @property
    def has_advanced_errors(self) -> bool:
        """Say whether the folded part must be open."""
        return any(name in self.errors for name in self.ADVANCED)

    def values(self) -> dict[str, Any]:
        """Return what the services take."""
        names = ["name", "base_url", "priority", "api_format", "location"]
        names += ["auth_scheme", "options"]
        values = {name: self.cleaned_data[name] for name in names}
        values["allow_private"] = self.cleaned_data["allow_private"]
        values["concurrency"] = self.cleaned_data["concurrency"]
        return values

    def new_provider(self) -> NewProvider:
        """Return what is to be tried and stored."""
        return NewProvider(
            slug=self.cleaned_data["slug"],
            catalogue_id=self.entry.id if self.entry else "",
            values=self.values(),
            secrets=self.cleaned_data["secrets"],
            models=self.cleaned_data["models"],
        )


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

    BUDGET = ("window", "time_zone", "hard")
    ADVANCED = ("rpm", "tpm", "concurrency")

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
        return {name: self.cleaned_data[name] for name in names}

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
    initial = {name: getattr(key, name) for name in names}
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
