"""Forms of routing: the settings, a fallback rule, an alias, what is published."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.utils.html import format_html

from poolsite.money import nano_from_usd
from poolsite.ui.forms import LongSelect
from providers.services import routing_words as words
from providers.services.routing_words import Choice
from providers.snapshot.types import RoutingRecord, RuleRecord
from providers.views.budget_forms import plain_usd

_SECONDS: Final = ("sticky_s", "first_token_s", "queue_wait_s", "wait_cap_s")
_PREFIX: Final = "cooldown_"


class RowsField(forms.CharField):
    """Many short texts, one a line: they may hold blanks and commas."""

    widget = forms.Textarea

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widget.attrs.update({"rows": 2, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        """Show a stored list as lines."""
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> list[str]:
        """Return the distinct texts."""
        found = [line.strip() for line in str(value or "").splitlines()]
        listed = list(dict.fromkeys(filter(None, found)))
        self.validate("\n".join(listed))
        return listed


class RoutingForm(forms.Form):
    """Everything of a routing but its rules."""

    strategy = forms.ChoiceField(widget=forms.RadioSelect)
    mode = forms.ChoiceField(label="Where requests may go", widget=forms.RadioSelect)
    groups = RowsField(
        required=False,
        help_text="One a line: free, paid, official, other, or a pattern of provider "
        "ids such as eu-*. Each group is used up before the next, whatever the "
        "strategy. Empty: all are one.",
    )
    format_affinity = forms.BooleanField(
        label="Prefer a provider that speaks the client's dialect",
        required=False,
        help_text="Among equals, so that nothing is lost in translation.",
    )
    sticky_s = forms.FloatField(
        label="A session stays at its provider for, in seconds",
        help_text="Its prompt cache stays warm there. 0: it does not.",
    )
    first_token_s = forms.FloatField(
        label="Wait for the first token, in seconds",
        help_text="Then the next candidate is asked. 0: each provider's own deadline.",
    )
    wait_cap_s = forms.FloatField(
        label="Wait for a hinted retry at most, in seconds",
        help_text="Where the vendor says when to come back and nobody else is left.",
    )
    queue_length = forms.IntegerField(
        label="Calls that may wait for a free place",
        help_text="Where everybody is at the limit of parallel calls.",
    )
    queue_wait_s = forms.FloatField(label="How long they wait, in seconds")

    def __init__(self, *args: Any, record: RoutingRecord, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.record = record
        _set_choices(self, "strategy", words.STRATEGIES)
        _set_choices(self, "mode", words.MODES)
        self.initial = {
            name: getattr(record, name)
            for name in self.fields
            if name not in ("groups",)
        }
        self.initial["groups"] = list(record.groups)
        for name in _SECONDS:
            self.initial[name] = f"{getattr(record, name):g}"
        for name in (*_SECONDS, "queue_length"):
            self.fields[name].widget.attrs["step"] = "any"
        for name, label, usual in words.cooldown_fields():
            unit = ", seconds" if name.endswith("_s") else ""
            self.fields[_PREFIX + name] = forms.FloatField(
                label=f"{label}{unit}",
                required=False,
                widget=forms.NumberInput(
                    attrs={"placeholder": f"{usual:g}", "step": "any"}
                ),
            )
            if name in record.cooldown:
                self.initial[_PREFIX + name] = f"{record.cooldown[name]:g}"

    @property
    def timing(self) -> list[forms.BoundField]:
        """Return the fields of deadlines and queues."""
        return [self[name] for name in (*_SECONDS[1:], "queue_length")]

    @property
    def cooldowns(self) -> list[forms.BoundField]:
        """Return the fields of the cooldowns' numbers."""
        return [self[name] for name in self.fields if name.startswith(_PREFIX)]

    @property
    def is_timed(self) -> bool:
        """Tell whether deadlines or queues are not the usual ones, or are wrong."""
        usual = RoutingRecord()
        names = [*_SECONDS[1:], "queue_length"]
        return any(
            getattr(self.record, name) != getattr(usual, name) or name in self.errors
            for name in names
        )

    @property
    def is_cooled(self) -> bool:
        """Tell whether a number of the cooldowns was set, or is wrong."""
        return bool(self.record.cooldown) or any(
            name.startswith(_PREFIX) for name in self.errors
        )

    def values(self) -> dict[str, Any]:
        """Return the settings as the service takes them."""
        data = self.cleaned_data
        return {
            **{name: data[name] for name in data if not name.startswith(_PREFIX)},
            "cooldown": {
                name.removeprefix(_PREFIX): value
                for name, value in data.items()
                if name.startswith(_PREFIX) and value is not None
            },
        }

    def put_error(self, field: str, message: str) -> None:
        """Show a refusal at its field."""
        name = field if field in self.fields else _PREFIX + field
        self.add_error(name if name in self.fields else None, message)


class RuleForm(forms.Form):
    """One fallback rule: the same form creates and edits."""

    trigger = forms.ChoiceField(label="When", widget=forms.RadioSelect)
    below_usd = forms.DecimalField(
        label="Less than, in USD",
        required=False,
        min_value=Decimal(0),
        max_digits=15,
        decimal_places=9,
        widget=forms.NumberInput(attrs={"step": "any"}),
        help_text="Needed when little money is left: of the balance the vendor "
        "reports. Not reported never matches.",
    )
    limit = forms.ChoiceField(
        label="Which limit of the session",
        choices=[("soft", "Soft: warned"), ("hard", "Hard: would be refused")],
        required=False,
        help_text="When a session reached its limit.",
    )
    action = forms.ChoiceField(label="Then", widget=forms.RadioSelect)
    provider = forms.ChoiceField(
        required=False,
        help_text="Needed to ask another provider; nothing else looks at it.",
        widget=LongSelect,
    )
    model = forms.CharField(
        required=False,
        max_length=200,
        help_text="As its provider names it. Needed to ask for another model; with "
        "another provider, empty means the same model.",
        widget=forms.TextInput(attrs={"list": "model-names", "autocomplete": "off"}),
    )
    max_retries = forms.IntegerField(
        label="Times to try again",
        required=False,
        min_value=1,
        initial=3,
        help_text="To wait and try again. Empty: 3.",
    )
    backoff = forms.ChoiceField(
        label="Wait between them",
        choices=[
            ("exponential", "Longer each time: 2, 4, 8 s"),
            ("constant", "1 s each time"),
        ],
        required=False,
        help_text="To wait and try again.",
    )
    models = RowsField(
        label="Only for these models",
        required=False,
        help_text="One pattern a line, as clients ask: gpt-*. Empty: every model.",
    )
    agents = RowsField(
        label="Only for these agents", required=False, help_text="One pattern a line."
    )
    keys = RowsField(
        label="Only for these client keys",
        required=False,
        help_text="One pattern a line, by name.",
    )
    name = forms.CharField(
        required=False, max_length=120, help_text="To find it again."
    )

    def __init__(
        self,
        *args: Any,
        providers: Sequence[str],
        rule: RuleRecord | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.rule = rule
        _set_choices(self, "trigger", words.TRIGGERS)
        _set_choices(self, "action", words.ACTIONS)
        self.initial = {"trigger": "error", "action": "switch_provider"}
        chosen = [("", "Choose a provider"), *((slug, slug) for slug in providers)]
        if rule is not None:
            self.initial = {
                name: getattr(rule, name)
                for name in self.fields
                if name in rule.__struct_fields__
            }
            self.initial["below_usd"] = plain_usd(rule.below_nano_usd)
            if rule.provider and rule.provider not in providers:
                chosen.append((rule.provider, f"{rule.provider} (deleted)"))
        self.fields["provider"].choices = chosen  # type: ignore[attr-defined] # a choice field

    @property
    def is_narrow(self) -> bool:
        """Tell whether the rule is for some only, or says so wrongly."""
        rule = self.rule
        narrow = rule is not None and bool(rule.models or rule.agents or rule.keys)
        return narrow or any(n in self.errors for n in ("models", "agents", "keys"))

    def values(self) -> dict[str, Any]:
        """Return the rule as plain values; an edited one keeps its switch."""
        data = dict(self.cleaned_data)
        below = data.pop("below_usd")
        data["below_nano_usd"] = None if below is None else nano_from_usd(below)
        data["max_retries"] = data["max_retries"] or 3
        data["backoff"] = data["backoff"] or "exponential"
        data["limit"] = data["limit"] or "soft"
        data["enabled"] = self.rule is None or self.rule.enabled
        return data

    def put_error(self, field: str, message: str) -> None:
        """Show a refusal at its field."""
        self.add_error(field if field in self.fields else None, message)


class PublishForm(forms.Form):
    """Put the draft in force."""

    note = forms.CharField(
        required=False, max_length=200, help_text="Why; it stands in the history."
    )
    tag = forms.CharField(widget=forms.HiddenInput, required=False, max_length=40)


class DefaultModelForm(forms.Form):
    """What a request asks for that names no model, and who serves it first."""

    default_model = forms.CharField(
        label="Model or alias",
        required=False,
        max_length=200,
        help_text="For requests that name none, or auto; provider/model binds them to "
        "one provider. Empty: the well-known models of the pool share them.",
        widget=forms.TextInput(attrs={"list": "model-names", "autocomplete": "off"}),
    )

    def __init__(
        self, *args: Any, providers: Iterable[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", "Whoever the strategy says"), *((s, s) for s in providers)]
        self.fields["default_provider"] = forms.ChoiceField(
            label="Provider to ask first",
            required=False,
            choices=choices,
            widget=LongSelect,
            help_text="For names that name no provider; whatever the strategy.",
        )


class AliasForm(forms.Form):
    """A name clients may ask for, and where it leads."""

    name = forms.CharField(
        max_length=200,
        help_text="A name such as fast, or a pattern such as claude-*opus*.",
    )
    targets = RowsField(
        help_text="One a line, in the order they are tried: provider/model, or a model "
        "that whoever offers it may serve."
    )
    description = forms.CharField(required=False, max_length=200)

    def __init__(self, *args: Any, is_new: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["targets"].widget.attrs["rows"] = 6
        if not is_new:
            del self.fields["name"]

    def put_error(self, field: str, message: str) -> None:
        """Show a refusal at its field."""
        field = "name" if field == "models" and "name" in self.fields else field
        self.add_error(field if field in self.fields else None, message)


def _set_choices(form: forms.Form, name: str, choices: Sequence[Choice]) -> None:
    listed = [
        (
            each.word,
            format_html(
                '<span>{} <span class="muted">{}</span></span>',
                each.label,
                each.consequence,
            ),
        )
        for each in choices
    ]
    form.fields[name].choices = listed  # type: ignore[attr-defined] # a choice field
