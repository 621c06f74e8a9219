"""Forms of the usage screens."""

from __future__ import annotations

from django import forms


class ViewForm(forms.Form):
    """The name of a saved view."""

    name = forms.CharField(max_length=80, label="Name")


class RebuildForm(forms.Form):
    """The UTC days whose rollups are made anew, both inclusive."""

    first = forms.DateField(
        label="From", widget=forms.DateInput(attrs={"type": "date"})
    )
    last = forms.DateField(
        label="To",
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The last day, UTC.",
    )
