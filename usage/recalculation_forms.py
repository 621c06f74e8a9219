"""The form of a recalculation."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

from poolsite.clock import SystemClock
from usage import dimensions
from usage.models import Dimension
from usage.recalculation.services import EARLIEST, LATEST, Choice

_BOUNDS: Final = (
    MinValueValidator(EARLIEST.date()),
    MaxValueValidator(LATEST.date()),
)


class RecalculationForm(forms.Form):
    """Which attempts are priced again; days are UTC, both inclusive."""

    since = forms.DateField(
        label="From",
        validators=_BOUNDS,
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    until = forms.DateField(
        label="To",
        validators=_BOUNDS,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The last day, UTC.",
    )
    providers = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen means all.",
    )
    model_glob = forms.CharField(
        label="Models",
        required=False,
        max_length=200,
        help_text="As the provider calls them; * stands for anything.",
    )
    only_unpriced = forms.BooleanField(
        required=False, label="Only what had no known price"
    )
    with_reported = forms.BooleanField(
        required=False, label="Also costs the provider stated itself"
    )
    reason = forms.CharField(
        required=False, max_length=200, help_text="Shown beside every correction."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        today = SystemClock().now().date()
        kwargs["initial"] = {
            "since": (today - timedelta(days=29)).isoformat(),
            "until": today.isoformat(),
            **kwargs.get("initial", {}),
        }
        super().__init__(*args, **kwargs)
        names = Dimension.objects.filter(kind=dimensions.PROVIDER)
        slugs = names.order_by("value").values_list("value", flat=True)[:200]
        self.fields["providers"].choices = [(slug, slug) for slug in slugs]  # type: ignore[attr-defined] # a choice field

    def choice(self) -> Choice:
        """Return what a valid form says."""
        values = dict(self.cleaned_data)
        since, until = values.pop("since"), values.pop("until")
        return Choice(
            since=datetime.combine(since, time(), UTC),
            until=datetime.combine(until, time(), UTC) + timedelta(days=1),
            **{**values, "providers": tuple(values["providers"])},
        )
