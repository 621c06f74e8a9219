"""The form of an upload: the file, whose it is, and how it is to be read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from django import forms

from poolsite.money import nano_from_usd
from usage.reconciliation import selectors, shapes
from usage.reconciliation.compare import Limits
from usage.reconciliation.read import Reading
from usage.reconciliation.services import Upload
from usage.reconciliation.shapes import Columns
from usage.reconciliation.table import LARGEST
from usage.services import UsageError

_PARTS: Final = (
    ("day", "Day"),
    ("model", "Model"),
    ("cost", "Cost"),
    ("currency", "Currency"),
    ("input", "Input tokens"),
    ("cache_read", "Cached tokens"),
    ("cache_write", "Tokens written to a cache"),
    ("output", "Output tokens"),
    ("requests", "Requests"),
)
_ORDERS: Final = (
    ("", "2026-12-31"),
    ("dmy", "31.12.2026: the day first"),
    ("mdy", "12/31/2026: the month first"),
)
_BASIS: Final = Decimal(100)


class StatementForm(forms.Form):
    """A statement to compare; the columns are named only when they must be.

    Shapes:  ``header`` are the columns of a file nobody knows; the fields that name
             them appear with it.
    """

    provider = forms.ChoiceField(help_text="Whose statement this is.")
    file = forms.FileField(
        label="Statement",
        widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,text/csv"}),
        help_text="CSV, at most 20 MB. Only its sums by day and model are kept.",
    )
    threshold = forms.DecimalField(
        label="Name differences over, percent",
        min_value=Decimal(0),
        max_value=_BASIS,
        decimal_places=2,
        initial=Decimal(1),
    )
    floor = forms.DecimalField(
        label="And of at least, USD",
        min_value=Decimal(0),
        max_value=Decimal(10**6),
        decimal_places=9,
        initial=Decimal("0.01"),
    )
    rate = forms.DecimalField(
        label="USD for one unit of its currency",
        required=False,
        min_value=Decimal("0.000001"),
        max_value=Decimal(9_999),
        help_text="Only for a statement in another currency.",
    )

    def __init__(self, *args: Any, header: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        slugs = selectors.providers()
        self.fields["provider"].choices = [(slug, slug) for slug in slugs]  # type: ignore[attr-defined] # a choice field
        if header:
            self._ask_for_columns(header)

    def _ask_for_columns(self, header: tuple[str, ...]) -> None:
        choices = [("", "Not in the file"), *((name, name) for name in header if name)]
        guessed = shapes.guess(header)
        for part, label in _PARTS:
            self.fields[f"column_{part}"] = forms.ChoiceField(
                label=f"Column: {label.lower()}",
                choices=choices,
                required=False,
                initial=guessed.get(part, ""),
            )
        self.fields["has_cached"] = forms.BooleanField(
            label="The input tokens count cached tokens too", required=False
        )
        self.fields["date_order"] = forms.ChoiceField(
            label="Days are written", choices=_ORDERS, required=False
        )
        self.fields["time_zone"] = forms.CharField(
            label="Its days end at midnight in", max_length=64, initial="UTC"
        )

    def clean_file(self) -> Any:
        """Refuse a large file before it is read."""
        file = self.cleaned_data["file"]
        if file.size > LARGEST:
            raise forms.ValidationError("A file is at most 20 MB.")
        return file

    def upload(self) -> Upload:
        """Return what a valid form says."""
        values = self.cleaned_data
        columns = self._columns()
        return Upload(
            provider=values["provider"],
            data=values["file"].read(),
            file_name=values["file"].name or "",
            how=Reading(
                columns=columns,
                time_zone=values.get("time_zone") or "UTC",
                usd_per_unit=values["rate"],
                date_order=values.get("date_order", ""),
            ),
            limits=Limits(
                basis=int(values["threshold"] * _BASIS),
                floor=nano_from_usd(values["floor"]),
            ),
        )

    def refuse(self, exc: UsageError) -> None:
        """Say beside a field what a service refused."""
        names = (exc.field, f"column_{exc.field}")
        known = next((name for name in names if name in self.fields), None)
        self.add_error(known, str(exc))

    def _columns(self) -> Columns | None:
        values = self.cleaned_data
        named = {part: values.get(f"column_{part}", "") for part, _ in _PARTS}
        return shapes.chosen(named, has_cached=values.get("has_cached", False))
