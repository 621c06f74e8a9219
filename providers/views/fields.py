"""Form fields for many short texts in one box."""

from __future__ import annotations

import re
from typing import Any

from django import forms

_SPLIT = re.compile(r"[\s,]+")


class LinesField(forms.CharField):
    """Many short texts, one a line or divided by commas; order kept, no doubles."""

    widget = forms.Textarea

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widget.attrs.update({"rows": 3, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        """Show a stored list as lines."""
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        """Return the distinct texts."""
        found = [part for part in _SPLIT.split(str(value or "")) if part]
        self.validate("\n".join(found))
        return list(dict.fromkeys(found))


class PairsField(forms.CharField):
    """Names with values, one pair a line."""

    widget = forms.Textarea

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widget.attrs.update({"rows": 3, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        """Show stored pairs as lines."""
        if not isinstance(value, dict):
            return value
        return "\n".join(f"{name}={text}" for name, text in value.items())

    def clean(self, value: Any) -> dict[str, str]:
        """Return the pairs.

        Errors: ValidationError for a line without a name and an equals sign.
        """
        pairs: dict[str, str] = {}
        for line in filter(None, map(str.strip, str(value or "").splitlines())):
            name, mark, text = line.partition("=")
            if not mark or not name.strip():
                raise forms.ValidationError(f"Write name=value, not “{line[:40]}”.")
            pairs[name.strip()] = text.strip()
        return pairs
