"""The form of a price: texts in any unit into one price and the time it holds for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from pricing import units
from pricing.cost import PriceSpec
from pricing.models import CustomPrice
from pricing.selectors import DEFAULT_MODEL
from pricing.units import PriceTextError
from pricing.versions import spec_of
from providers.services.prices import NewPrice, PriceDoubtError

_ANY = "Any provider"
_DECIMAL = {"inputmode": "decimal", "autocomplete": "off", "class": "num"}
_HINTS = {
    "cache_read": "Unknown is billed as input.",
    "cache_write": "Unknown is billed as input.",
    "cache_write_1h": "Unknown is billed as the 5 minute one.",
    "reasoning": "Unknown is billed as output.",
    "long_input": "Replaces the usual price on longer prompts.",
}


class PriceForm(forms.Form):
    """A price a person sets; the same form creates and edits.

    Shapes:  ``spec`` holds the columns that could be read, also of a form with
             mistakes, so that the example follows what is typed.
    """

    model = forms.CharField(
        max_length=200,
        help_text="A model's id, or a pattern such as gpt-*.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "class": "mono"}),
    )
    provider = forms.ChoiceField(required=False, help_text="Where it costs this much.")
    unit = forms.ChoiceField(
        label="Unit",
        choices=tuple(units.TOKEN_UNITS.items()),
        initial=units.MILLION,
        help_text="Of every price by the token here.",
    )
    long_threshold = forms.IntegerField(
        label="Long context above",
        required=False,
        min_value=1,
        max_value=1_000_000_000,
        help_text="Tokens of a prompt from which the long prices hold.",
    )
    valid_from = forms.DateTimeField(
        label="Valid from",
        required=False,
        widget=forms.DateTimeInput(
            attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
        ),
        help_text="In your own time zone; empty is from now on.",
    )
    valid_to = forms.DateTimeField(
        label="Valid until",
        required=False,
        widget=forms.DateTimeInput(
            attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
        ),
        help_text="Empty is for ever.",
    )
    reason = forms.CharField(
        max_length=200,
        required=False,
        help_text="For whoever reads this later: a contract, a page, a date.",
    )
    confirmed = forms.BooleanField(label="Yes, this is the price", required=False)

    def __init__(
        self,
        *args: Any,
        providers: Iterable[tuple[str, str]] = (),
        row: CustomPrice | None = None,
        known: PriceSpec | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.row = row
        self.known = known
        self.is_doubted = False
        self.spec = PriceSpec()
        for name, label in {**units.TOKENS, **units.PIECES}.items():
            self.fields[name] = forms.CharField(
                label=label,
                required=False,
                max_length=40,
                help_text=_HINTS.get(name, ""),
                widget=forms.TextInput(attrs=_DECIMAL),
            )
        choices = [("", _ANY), *providers]
        self.fields["provider"].choices = choices  # type: ignore[attr-defined] # a choice field
        if row is not None:
            del self.fields["model"], self.fields["provider"]
            for name in ("valid_from", "valid_to", "reason"):
                self.initial[name] = getattr(row, name)
            known = spec_of(row.version)
        elif self.names_the_default:
            del self.fields["provider"]
        self._show(known)

    # Parts the template lays out

    @property
    def names_the_default(self) -> bool:
        """Tell whether this is the price of whatever has none."""
        if self.row is not None:
            return self.row.model == DEFAULT_MODEL
        sent = self.data.get("model") if self.is_bound else self.initial.get("model")
        return sent == DEFAULT_MODEL

    @property
    def main_fields(self) -> list[Any]:
        """The prices most models have."""
        return [self[name] for name in units.MAIN]

    @property
    def groups(self) -> list[tuple[str, list[list[Any]]]]:
        """The prices under "More" by what they are for, in rows of three."""
        pieces = [self[name] for name in units.PIECES]
        tokens = [self[name] for name in units.MORE_TOKENS]
        long = [self["long_threshold"], *(self[name] for name in units.LONG)]
        tiers = [self[name] for name in units.TIERS]
        return [
            ("By the piece, in USD for one", _rows(pieces)),
            ("Other tokens", _rows(tokens)),
            ("Long context", _rows(long)),
            ("Service tiers", _rows(tiers)),
        ]

    @property
    def opens_more(self) -> bool:
        """Tell whether something under "More" is filled in or wrong."""
        fields = [each for _, rows in self.groups for row in rows for each in row]
        return any(each.errors or each.value() not in (None, "") for each in fields)

    # Reading

    def clean(self) -> dict[str, Any]:
        """Read every price in the unit that was chosen."""
        data: dict[str, Any] = super().clean() or {}
        unit = data.get("unit", units.MILLION)
        columns: dict[str, int] = {}
        for name in (*units.TOKENS, *units.PIECES):
            text = (data.get(name) or "").strip()
            if not text:
                continue
            per = units.ONE if name in units.PIECES else unit
            try:
                columns[name] = units.read_price(text, per=per)
            except PriceTextError as exc:
                self.add_error(name, str(exc))
        if data.get("long_threshold"):
            columns["long_threshold"] = data["long_threshold"]
        self.spec = PriceSpec(**columns)
        return data

    def new_price(self) -> NewPrice:
        """Return what a valid form asks for."""
        data = self.cleaned_data
        return NewPrice(
            model=self.row.model if self.row else data["model"],
            spec=self.spec,
            provider=self.row.provider_slug if self.row else data.get("provider", ""),
            valid_from=data["valid_from"],
            valid_to=data["valid_to"],
            reason=data["reason"],
        )

    def doubt(self, error: PriceDoubtError) -> None:
        """Ask whether a price that looks like a slip is meant."""
        self.is_doubted = True
        for slip in error.slips:
            self.add_error(slip.column, slip.said)

    def _show(self, known: PriceSpec | None) -> None:
        """Fill in a price that is known, per million tokens and for one piece."""
        if known is None:
            return
        for name in (*units.TOKENS, *units.PIECES):
            per = units.ONE if name in units.PIECES else units.MILLION
            self.initial[name] = units.write_price(getattr(known, name), per=per)
        self.initial["long_threshold"] = known.long_threshold


def _rows(fields: list[Any]) -> list[list[Any]]:
    return [fields[start : start + 3] for start in range(0, len(fields), 3)]
