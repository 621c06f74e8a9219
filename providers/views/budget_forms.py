"""Forms of budgets: how much in which window, for whom, and more for a while."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.utils import timezone

from poolsite.forms import time_zones
from poolsite.money import nano_from_usd, usd_from_nano
from usage.budgets.services import Whose
from usage.models import Budget, ClientKey, Team
from usage.services import BudgetTerms

_NARROW: Final = {
    ("agent", ""): "Each agent",
    ("agent", "one"): "One agent, by name",
    ("session", ""): "Each session",
    ("session", "agent"): "Each session of one agent",
    ("session", "provider"): "Each session that one provider served last",
    ("session", "one"): "One session, by its id",
}


def _usd_field(label: str, **values: Any) -> forms.DecimalField:
    placeholder = values.pop("placeholder", "")
    return forms.DecimalField(
        label=label,
        required=False,
        min_value=Decimal(0),
        max_digits=15,
        decimal_places=9,
        widget=forms.NumberInput(attrs={"placeholder": placeholder, "step": "any"}),
        **values,
    )


class TermsFields(forms.Form):
    """How much may be spent in which window."""

    budget_usd = _usd_field(
        "Budget in USD",
        placeholder="No budget",
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
    warn_usd = _usd_field(
        "Warn from, in USD",
        help_text="Answers say so from here on; nothing is refused.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"].choices = time_zones()  # type: ignore[attr-defined] # a choice field

    def terms(self) -> BudgetTerms | None:
        """Return the budget, None for none."""
        amount = self.cleaned_data["budget_usd"]
        if amount is None:
            return None
        warns = self.cleaned_data["warn_usd"]
        return BudgetTerms(
            amount_nano_usd=nano_from_usd(amount),
            window=self.cleaned_data["window"],
            hard=self.cleaned_data["hard"] == "1",
            time_zone=self.cleaned_data["time_zone"],
            warn_nano_usd=nano_from_usd(warns) if warns else None,
        )


class BudgetForm(TermsFields):
    """A budget of any scope; whose it is cannot be changed later."""

    whose = forms.ChoiceField(
        label="For",
        choices=[
            ("pool", "The whole pool"),
            ("team", "A team"),
            ("key", "A client key"),
            *[(":".join(place), label) for place, label in _NARROW.items()],
        ],
        initial="pool",
        help_text="What is narrower replaces what is wider among agents and sessions.",
    )
    team = forms.ModelChoiceField(
        Team.objects.order_by("name"), required=False, empty_label="No team"
    )
    key = forms.CharField(
        label="Client key",
        required=False,
        max_length=120,
        help_text="By name. It narrows a rule for agents or sessions to its calls.",
    )
    value = forms.CharField(
        label="Agent, provider or session",
        required=False,
        max_length=200,
        help_text="The one the rule names.",
    )

    def __init__(self, *args: Any, budget: Budget | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.budget = budget
        self.fields["budget_usd"].required = True
        self.initial.setdefault("time_zone", timezone.get_current_timezone_name())
        if budget is not None:
            for name in ("whose", "team", "key", "value"):
                del self.fields[name]
            self.initial = {
                "budget_usd": plain_usd(budget.amount_nano_usd),
                "warn_usd": plain_usd(budget.warn_nano_usd),
                "window": budget.window,
                "time_zone": budget.time_zone,
                "hard": "1" if budget.hard else "0",
            }
        is_personal = budget is not None and budget.scope in ("agent", "session")
        self.fields["budget_usd"].help_text = (
            "Zero means no limit; it replaces wider rules all the same."
            if is_personal
            else "Zero means only models that cost nothing; for agents and sessions, "
            "no limit."
        )
        self.order_fields(["whose", "team", "key", "value"])

    def clean_key(self) -> ClientKey | None:
        """Find the key that was named."""
        name = self.cleaned_data["key"].strip()
        if not name:
            return None
        key = ClientKey.objects.filter(name=name, revoked_at=None).first()
        if key is None:
            raise forms.ValidationError("No live key has this name.")
        return key

    def whom(self) -> Whose:
        """Return whom a new budget is for."""
        data = self.cleaned_data
        scope, _, applies_to = data["whose"].partition(":")
        return Whose(
            scope,
            key=data["key"],
            team=data["team"] if scope == "team" else None,
            applies_to=applies_to,
            value=data["value"].strip() if applies_to else "",
        )


class IncreaseForm(forms.Form):
    """More for a while."""

    # Emptying the amount takes an increase away, and needs no date.
    use_required_attribute = False

    extra_usd = _usd_field(
        "More, in USD", help_text="On top of the budget; empty takes an increase away."
    )
    until = forms.DateTimeField(
        error_messages={"required": "Say until when."},
        widget=forms.DateTimeInput(
            attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
        ),
        help_text="In your own time zone. Not needed to take an increase away.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        amount = str(self["extra_usd"].value() or "")
        if self.is_bound and not amount.strip(" 0."):
            self.fields["until"].required = False

    def clean(self) -> dict[str, Any]:
        """Refuse a past moment."""
        data: dict[str, Any] = super().clean() or {}
        until: datetime | None = data.get("until")
        if data.get("extra_usd") and until and until <= timezone.now():
            self.add_error("until", "This lies in the past.")
        return data

    def nano(self) -> int:
        """Return how much more, in nano-USD."""
        amount = self.cleaned_data["extra_usd"]
        return nano_from_usd(amount) if amount else 0


def plain_usd(nano: int | None) -> str:
    """Write an amount without zeros that say nothing; blank for none."""
    if nano is None:
        return ""
    whole, _, rest = f"{usd_from_nano(nano):f}".partition(".")
    rest = rest.rstrip("0")
    return f"{whole}.{rest.ljust(2, '0')}" if rest else whole
