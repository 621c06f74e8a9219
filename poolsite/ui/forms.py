"""Render every form of the console the same way, and take secrets without keeping them.

``{{ form }}`` gives the error summary and all fields; ``{{ form.name.as_field_group }}``
gives one field: label, control, hint, or the error in the hint's place.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from django import forms
from django.conf import settings
from django.forms import renderers
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

_BEARER: Final = re.compile(r"^\s*bearer\s+", re.IGNORECASE)
_SPACE: Final = re.compile(r"\s+")
_SELECTED: Final = SafeString(" selected")


class ConsoleFormRenderer(renderers.DjangoTemplates):
    """Take the form and field templates from the project, widgets from Django."""

    form_template_name = "ui/form.html"
    field_template_name = "ui/field.html"

    @cached_property
    def engine(self) -> Any:
        """Return the template engine of forms.

        It is its own engine because Django's widget templates are no part of the
        installed apps; the project's folder comes first.
        """
        configured: Any = settings.TEMPLATES[0]["DIRS"]
        folders = [Path(str(folder)) for folder in configured]
        return self.backend(
            {
                "APP_DIRS": False,
                "DIRS": [*folders, Path(renderers.__file__).parent / "templates"],
                "NAME": "consoleforms",
                "OPTIONS": {},
            }
        )


def clean_secret(text: str) -> str:
    """Strip what comes along when a key is pasted: blanks, line ends, ``Bearer``."""
    return _SPACE.sub("", _BEARER.sub("", text))


class LongSelect(forms.Select):
    """A choice among very many, written in one piece.

    A template for each option takes 60 ms for a thousand of them. No groups.
    """

    def render(
        self,
        name: str,
        value: Any,
        attrs: dict[str, Any] | None = None,
        renderer: Any = None,
    ) -> SafeString:
        """Write the control."""
        chosen = "" if value is None else str(value)
        options = format_html_join(
            "",
            '<option value="{}"{}>{}</option>',
            (
                (key, _SELECTED if str(key) == chosen else "", label)
                for key, label in self.choices
            ),
        )
        own = {"name": name, **self.build_attrs(self.attrs, attrs)}
        return format_html("<select{}>{}</select>", flatatt(own), options)


class SecretInput(forms.PasswordInput):
    """A write-only control: what is stored is never sent back to the browser."""

    template_name = "ui/secret.html"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        quiet = {"autocomplete": "off", "spellcheck": "false", "data-secret": "1"}
        super().__init__({**quiet, **(attrs or {})}, render_value=False)


class SecretField(forms.CharField):
    """One secret. ``stored`` is the mask of the one already kept, if any.

    With a stored secret the field is optional and empty means "keep it".
    """

    widget = SecretInput

    def __init__(self, *, stored: str = "", **kwargs: Any) -> None:
        if stored:
            kwargs["required"] = False
            kwargs.setdefault("help_text", "Leave empty to keep the stored one.")
        kwargs.setdefault("max_length", 8192)
        super().__init__(**kwargs)
        self.set_stored(stored)

    def set_stored(self, mask: str) -> None:
        """Show the mask of what is stored, for a form that learns of it late."""
        if mask:
            self.required = False
            self.widget.attrs["placeholder"] = f"Stored: {mask}"

    def to_python(self, value: Any) -> str:
        """Return the cleaned secret, empty when nothing was entered."""
        text = super().to_python(value)
        return clean_secret(text or "")


class PasswordField(forms.CharField):
    """A person's new password: blanks belong to it, and it is never sent back."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"autocomplete": "new-password"}
        widget = forms.PasswordInput(attrs=attrs, render_value=False)
        widget.template_name = SecretInput.template_name
        super().__init__(widget=widget, strip=False, **{"max_length": 1024, **kwargs})


class SecretLinesField(forms.CharField):
    """Many secrets, one a line; duplicates are dropped, the order is kept."""

    widget = forms.Textarea

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widget.attrs.update(
            {
                "rows": 3,
                "autocomplete": "off",
                "spellcheck": "false",
                "data-secret": "1",
            }
        )

    def prepare_value(self, value: Any) -> str:
        """Never send a secret back, not even after a mistake elsewhere in the form."""
        return ""

    def clean(self, value: Any) -> list[str]:
        """Return the distinct secrets.

        Errors: ValidationError when the field is required and no line holds anything.
        """
        lines = [clean_secret(line) for line in str(value or "").splitlines()]
        found = list(dict.fromkeys(line for line in lines if line))
        self.validate("\n".join(found))
        return found
