"""The one form that creates and edits a client key, and the one that rotates it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.utils import timezone

from poolsite.models import User
from providers.views.budget_forms import TermsFields, plain_usd
from providers.views.fields import LinesField
from usage import services
from usage.models import Budget, ClientKey, Team

_PLAIN: Final = (
    "name", "model_access", "models_allowed", "provider_access", "providers_allowed",
    "ip_allow", "tags", "team", "owner", "rpm", "tpm", "tpd", "concurrency",
    "window_requests", "window_s", "assumed_output_tokens", "unpriced",
    "default_mode", "default_strategy", "overrides_allowed", "log_level",
)  # fmt: skip
"""Fields that are named and stored like the columns of a key."""

_ALWAYS: Final = {
    "provider_access": "all",
    "unpriced": "allow",
    "log_level": "metadata",
}
"""What a new key gets where the form says nothing; an old one keeps what it has."""


class _WordsField(forms.MultipleChoiceField):
    """Any of some words; blank ones are none."""

    def clean(self, value: Any) -> list[str]:
        """Return the words that were ticked."""
        found: list[str] = super().clean([each for each in value or () if each])
        return found


class ClientKeyForm(TermsFields):
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
    tpd = forms.IntegerField(label="Tokens a day", min_value=1, required=False)
    concurrency = forms.IntegerField(
        label="Requests at the same time", min_value=1, required=False
    )
    window_requests = forms.IntegerField(
        label="Requests in a window",
        min_value=1,
        required=False,
        help_text="So many in each stretch of the seconds below.",
    )
    window_s = forms.IntegerField(
        label="Window in seconds",
        min_value=1,
        required=False,
        help_text="3600 is an hour, 86400 a day; windows follow UTC.",
    )
    assumed_output_tokens = forms.IntegerField(
        label="Output tokens to reserve",
        min_value=1,
        required=False,
        help_text="For requests that name no maximum; else the pool's own number.",
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
    provider_access = forms.ChoiceField(
        label="Providers",
        required=False,
        choices=[
            ("all", "All providers"),
            ("only", "Only these"),
            ("none", "None"),
        ],
    )
    providers_allowed = LinesField(
        label="Only these providers",
        required=False,
        help_text="One a line: ids, or patterns such as eu-*.",
    )
    ip_allow = LinesField(
        label="Addresses it may call from",
        required=False,
        help_text="One a line: addresses or networks, IPv4 or IPv6. Empty: any.",
    )
    team = forms.ModelChoiceField(
        Team.objects.order_by("name"), required=False, empty_label="No team"
    )
    owner = forms.ModelChoiceField(
        User.objects.none(), required=False, empty_label="Nobody"
    )
    tags = LinesField(required=False, help_text="One a line, for finding it again.")
    default_mode = forms.ChoiceField(
        label="Routing mode",
        required=False,
        choices=[
            ("", "The pool's own"),
            *[(m, m.capitalize()) for m in services.MODES],
        ],
    )
    default_strategy = forms.ChoiceField(
        label="Routing strategy",
        required=False,
        choices=[
            ("", "The pool's own"),
            *[(s, s.replace("_", " ").capitalize()) for s in services.STRATEGIES],
        ],
    )
    overrides_allowed = _WordsField(
        label="A request may choose for itself",
        required=False,
        choices=[(word, f"x-pool-{word}") for word in services.OVERRIDES],
        widget=forms.CheckboxSelectMultiple,
    )
    log_level = forms.ChoiceField(
        label="Recorded of each request",
        required=False,
        choices=[
            ("metadata", "Metadata only"),
            ("bodies", "Metadata and bodies, where the pool keeps them"),
        ],
    )

    LIMITS = (
        "rpm", "tpm", "tpd", "concurrency", "window_requests", "window_s",
        "assumed_output_tokens", "unpriced",
    )  # fmt: skip
    ACCESS = ("provider_access", "providers_allowed", "ip_allow")
    BELONGS = ("team", "owner", "tags", "log_level")
    ROUTING = ("default_mode", "default_strategy", "overrides_allowed")

    def __init__(self, *args: Any, key: ClientKey | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.key = key
        people = User.objects.filter(is_active=True)
        if key is not None and key.owner_id:
            people = people | User.objects.filter(pk=key.owner_id)
        owner = self.fields["owner"]
        owner.queryset = people.order_by("email")  # type: ignore[attr-defined] # a model's field
        if key is not None:
            self.initial = _initial(key)
        else:
            own = timezone.get_current_timezone_name()
            self.initial = {"time_zone": own, **self.initial}

    @property
    def folded(self) -> list[dict[str, Any]]:
        """The parts of the form that start folded; open where something is wrong."""
        parts = {
            "Limits": self.LIMITS,
            "Providers and addresses": self.ACCESS,
            "Team, owner, tags": self.BELONGS,
            "Routing": self.ROUTING,
        }
        return [
            {
                "title": title,
                "fields": [self[name] for name in names],
                "is_open": any(name in self.errors for name in names),
            }
            for title, names in parts.items()
        ]

    def clean(self) -> dict[str, Any]:
        """Ask for what the choices leave open."""
        data: dict[str, Any] = super().clean() or {}
        if data.get("model_access") == "only" and not data.get("models_allowed"):
            self.add_error("models_allowed", "Name at least one model or pattern.")
        if data.get("provider_access") == "only" and not data.get("providers_allowed"):
            self.add_error("providers_allowed", "Name at least one provider.")
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
        found = {name: self.cleaned_data[name] for name in _PLAIN}
        for name, word in _ALWAYS.items():
            found[name] = found[name] or self.initial.get(name) or word
        return {**found, "expires_at": self.cleaned_data["expires_at"]}

    def rule(self) -> tuple[str, tuple[str, ...], str, tuple[str, ...]]:
        """Return who may be asked, as it stands in a form that may be incomplete."""
        data = self.cleaned_data if self.is_bound else self.initial
        return (
            str(data.get("model_access") or "none"),
            tuple(data.get("models_allowed") or ()),
            str(data.get("provider_access") or "all"),
            tuple(data.get("providers_allowed") or ()),
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


def _initial(key: ClientKey) -> dict[str, Any]:
    initial: dict[str, Any] = {name: getattr(key, name) for name in _PLAIN}
    initial |= {"team": key.team_id, "owner": key.owner_id}
    initial["expires_at"] = key.expires_at
    initial["expiry"] = "never" if key.expires_at is None else "date"
    budget = key.budget_set.filter(scope=Budget.Scope.KEY).order_by("pk").first()
    initial["time_zone"] = timezone.get_current_timezone_name()
    if budget is not None:
        initial["budget_usd"] = plain_usd(budget.amount_nano_usd)
        initial["warn_usd"] = plain_usd(budget.warn_nano_usd)
        initial["window"] = budget.window
        initial["hard"] = "1" if budget.hard else "0"
        initial["time_zone"] = budget.time_zone
    return initial
