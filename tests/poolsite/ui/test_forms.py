"""Forms tie errors to their fields, and secrets go one way."""

from __future__ import annotations

import re

import pytest
from django import forms
from django.test.html import parse_html

from poolsite.ui.forms import (
    LongSelect,
    PasswordField,
    SecretField,
    SecretLinesField,
    clean_secret,
)
from tests.poolsite.ui.site import ProviderForm


class Keys(forms.Form):
    keys = SecretLinesField()


class Secret(forms.Form):
    key = SecretField()


class Password(forms.Form):
    password = PasswordField()


def test_an_error_replaces_the_hint_and_is_tied_to_the_control() -> None:
    html = str(ProviderForm({"name": ""}))
    control = re.search(r'<input[^>]*name="name"[^>]*>', html)
    assert control
    assert 'aria-invalid="true"' in control[0]
    assert 'aria-describedby="id_name_helptext id_name_error"' in control[0]
    assert 'id="id_name_helptext" hidden' in html
    assert 'id="id_name_error"' in html


def test_every_id_that_describes_a_control_exists() -> None:
    html = str(ProviderForm({"name": ""}))
    for ids in re.findall(r'aria-describedby="([^"]+)"', html):
        for name in ids.split():
            assert f'id="{name}"' in html


def test_the_summary_takes_the_focus_and_links_to_the_fields() -> None:
    html = str(ProviderForm({"name": ""}))
    assert 'role="alert" tabindex="-1" autofocus' in html
    assert '<a href="#id_name">Name</a>' in html


def test_a_form_without_mistakes_has_no_summary() -> None:
    assert "form-errors" not in str(ProviderForm())


def test_optional_is_marked_and_required_is_not() -> None:
    html = str(ProviderForm())
    assert re.search(r"Notes<span class=\"optional\">", html)
    assert not re.search(r"Name<span class=\"optional\">", html)


def test_every_control_has_a_label() -> None:
    html = str(ProviderForm())
    for name in re.findall(r'id="(id_[a-z_]+?(?:_\d)?)"', html):
        if not name.endswith(("_helptext", "_group", "_access")):
            assert f'for="{name}"' in html


@pytest.mark.parametrize(
    "pasted",
    [
        "sk-abc",
        "  sk-abc\n",
        "Bearer sk-abc",
        "bearer  sk-abc ",
        "sk-\nabc",
        "\tsk-abc",
    ],
)
def test_what_comes_along_with_a_pasted_key_is_stripped(pasted: str) -> None:
    assert clean_secret(pasted) == "sk-abc"


def test_a_secret_never_comes_back() -> None:
    form = Secret({"key": "sk-secret"})
    assert form.is_valid()
    assert "sk-secret" not in str(form)


def test_a_stored_secret_shows_its_mask_and_may_stay() -> None:
    html = str(ProviderForm())
    assert "Stored: sk-…a1b2" in html
    form = ProviderForm({"name": "x", "base_url": "", "region": "eu", "access": "all"})
    form.is_valid()
    assert form.cleaned_data["api_key"] == ""


def test_many_secrets_are_distinct_and_in_order() -> None:
    form = Keys({"keys": " sk-b \nBearer sk-a\n\nsk-b\n"})
    assert form.is_valid()
    assert form.cleaned_data["keys"] == ["sk-b", "sk-a"]
    assert "sk-a" not in str(form)


def test_no_secret_at_all_is_a_mistake() -> None:
    assert not Keys({"keys": " \n "}).is_valid()


def test_a_password_keeps_its_blanks() -> None:
    form = Password({"password": " Bearer of  news "})
    assert form.is_valid()
    assert form.cleaned_data["password"] == " Bearer of  news "
    assert "news" not in str(form)


@pytest.mark.parametrize("value", [None, "", "b", "<&\"'>", 7, "elsewhere"])
def test_a_long_select_is_written_as_any_other(value: object) -> None:
    choices = [("", "Choose"), ("b", "B"), ("<&\"'>", "<script>\u202e"), (7, "Seven")]
    attrs = {"id": "x", "required": True, "aria-describedby": "y<"}
    long, usual = (
        kind(choices=choices).render("n", value, attrs)
        for kind in (LongSelect, forms.Select)
    )
    assert parse_html(long) == parse_html(usual)
    assert "<script>" not in long
