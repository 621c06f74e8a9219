"""Forms of the usage screens."""

from __future__ import annotations

from django import forms


class ViewForm(forms.Form):
    """The name of a saved view."""

    name = forms.CharField(max_length=80, label="Name")
